using System.Net;
using System.Text.Json;

namespace MatsObservability.Tests.Phoenix.Query;

[Trait("Req", "B001")]
public sealed class TraceAndSessionTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Theory]
    [InlineData("all", "", "12,11,10,9,8,7,6,5,4,3,2,1")]
    [InlineData("ascending", "order=asc", "1,2,3,4,5,6,7,8,9,10,11,12")]
    [InlineData("sessions", "session_identifier=even", "12,10,8,6,4,2")]
    [InlineData("between", "start_time_unix_nano=1760000000003000000&end_time_unix_nano=1760000000005000000", "4,3")]
    public async Task List_OrderOrFilter_WalksEveryTraceOnce(string project, string query, string expected)
    {
        await SendTwelveAsync(project);

        var traces = await server.WalkAsync($"/v1/projects/{project}/traces?limit=5&{query}");

        Assert.Equal(expected, string.Join(',', traces.Select(Number)));
    }

    [Fact]
    public async Task ListAndSession_RightAfterTheAcknowledgement_ShowTheTrace()
    {
        for (var trace = 1; trace <= 5; trace++)
        {
            await server.SendAsync("fresh", TestSpan.Of(900 + trace, 1, startMs: trace, session: "fresh-session"));

            Assert.Equal(trace, (await server.GetAsync("/v1/projects/fresh/traces")).GetProperty("data").GetArrayLength());
            Assert.Equal(
                trace, (await server.GetAsync("/v1/sessions/fresh-session")).GetProperty("data").GetProperty("traces").GetArrayLength());
        }
    }

    [Fact]
    public async Task List_ByLatency_NeitherSkipsNorRepeatsEqualOnes()
    {
        await SendTwelveAsync("latency");

        var traces = await server.WalkAsync("/v1/projects/latency/traces?limit=5&sort=latency_ms");

        var numbers = traces.Select(Number).ToList();
        Assert.Equal(Enumerable.Range(1, 12), numbers.Order());
        Assert.Equal(numbers.Select(DurationOf).OrderDescending(), numbers.Select(DurationOf));
    }

    [Fact]
    public async Task List_IncludeSpans_ShowsTokensAndSpansByStart()
    {
        await server.SendAsync(
            "included",
            TestSpan.Of(1, 1, kind: "AGENT", name: "agent", durationMs: 50, attributes: [("llm.token_count.prompt", 1000L)]),
            TestSpan.Of(1, 3, parent: 1, startMs: 20, kind: "LLM",
                attributes: [("llm.token_count.prompt", 7L), ("llm.token_count.completion", 3L)]),
            TestSpan.Of(1, 2, parent: 1, startMs: 10, kind: "LLM", attributes: [("llm.token_count.prompt", 5L)]));
        await server.RolledUpAsync();

        var trace = Assert.Single(
            (await server.GetAsync("/v1/projects/included/traces?include_spans=true")).GetProperty("data").EnumerateArray());
        var bare = Assert.Single((await server.GetAsync("/v1/projects/included/traces")).GetProperty("data").EnumerateArray());

        Assert.Equal(["1", "2", "3"],
            trace.GetProperty("spans").EnumerateArray().Select(span => span.GetProperty("span_id").GetString()!.TrimStart('0')));
        Assert.Equal(JsonValueKind.Null, bare.GetProperty("spans").ValueKind);
        Assert.Equal(
            [12, 3, 15],
            new[] { "token_count_prompt", "token_count_completion", "token_count_total" }.Select(
                name => trace.GetProperty(name).GetInt32()));
    }

    [Fact]
    public async Task Sessions_GetListDelete_CascadeToTracesAndSpans()
    {
        await server.SendAsync(
            "talk", TestSpan.Of(1, 1, session: "a"), TestSpan.Of(2, 1, startMs: 5, session: "a"), TestSpan.Of(3, 1, session: "b"),
            TestSpan.Of(4, 1, session: "c"));
        await server.RolledUpAsync();

        var session = (await server.GetAsync("/v1/sessions/a")).GetProperty("data");
        var listed = await server.WalkAsync("/v1/projects/talk/sessions?limit=1&order=desc");

        Assert.Equal([TestSpan.Hex(1), TestSpan.Hex(2)],
            session.GetProperty("traces").EnumerateArray().Select(trace => trace.GetProperty("trace_id").GetString()!));
        Assert.Equal(["a", "b", "c"], listed.Select(item => item.GetProperty("session_id").GetString()!).Order(StringComparer.Ordinal));

        using var deleted = await server.Client.DeleteAsync($"/v1/sessions/{Uri.EscapeDataString(session.GetProperty("id").GetString()!)}");
        var (many, _) = await server.PostAsync("/v1/sessions/delete", """{"session_identifiers":["b","unknown"]}""");
        var (empty, _) = await server.PostAsync("/v1/sessions/delete", """{"session_identifiers":[]}""");
        var (mixed, _) = await server.PostAsync("/v1/sessions/delete", """{"session_identifiers":["b","UHJvamVjdFNlc3Npb246MQ=="]}""");

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NoContent), (deleted.StatusCode, many));
        Assert.Equal((HttpStatusCode.UnprocessableEntity, HttpStatusCode.UnprocessableEntity), (empty, mixed));
        await server.GetAsync("/v1/sessions/a", HttpStatusCode.NotFound, "text/plain");
        var left = Assert.Single((await server.GetAsync("/v1/projects/talk/spans")).GetProperty("data").EnumerateArray());
        Assert.Equal(TestSpan.Hex(4), left.GetProperty("context").GetProperty("trace_id").GetString());
    }

    [Fact]
    public async Task Sessions_WithMoreTracesThanAnAnswerLists_AreOnTheNextPageWithAllOfThem()
    {
        const int Traces = 6_000;
        await server.SendAsync("long", [.. Enumerable.Range(0, 2 * Traces).Select(index =>
            TestSpan.Of(1_000_000 + index, 1, startMs: index, session: index < Traces ? "long-1" : "long-2"))]);
        await server.RolledUpAsync();

        var sessions = await server.WalkAsync("/v1/projects/long/sessions?limit=10");

        Assert.Equal([("long-1", Traces), ("long-2", Traces)], sessions.Select(session =>
            (session.GetProperty("session_id").GetString()!, session.GetProperty("traces").GetArrayLength())).Order());
    }

    [Fact]
    public async Task Delete_SpanThenTrace_CountsRightAtOnce()
    {
        await server.SendAsync(
            "pruned",
            TestSpan.Of(60, 0x601, durationMs: 900, session: "p", kind: "AGENT"),
            TestSpan.Of(60, 0x602, parent: 0x601, startMs: 10, status: 2),
            TestSpan.Of(61, 0x603, session: "p"), TestSpan.Of(61, 0x604, parent: 0x603));

        // Not rolled up yet on purpose: what is still pending must not be counted a second time after the delete.
        using var byId = await server.Client.DeleteAsync($"/v1/spans/{TestSpan.SpanHex(0x602)}");
        var span = (await server.GetAsync($"/v1/projects/pruned/spans?trace_id={TestSpan.Hex(61)}&parent_id=null")).GetProperty("data")[0];
        var globalId = Uri.EscapeDataString(span.GetProperty("id").GetString()!);
        using var byGlobalId = await server.Client.DeleteAsync($"/v1/spans/{globalId}");
        using var again = await server.Client.DeleteAsync($"/v1/spans/{globalId}");
        var kept = await server.GetAsync("/v1/projects/pruned/traces?order=asc");
        using var trace = await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(60)}");
        using var unknown = await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(999)}");

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.NoContent, HttpStatusCode.NoContent),
            (byId.StatusCode, byGlobalId.StatusCode, trace.StatusCode));
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (again.StatusCode, unknown.StatusCode));
        Assert.Equal(
            ["1:0", "1:0"], kept.GetProperty("data").EnumerateArray()
                .Select(item => $"{item.GetProperty("span_count")}:{item.GetProperty("error_count")}"));
        var left = Assert.Single((await server.GetAsync("/v1/projects/pruned/traces")).GetProperty("data").EnumerateArray());
        Assert.Equal(TestSpan.Hex(61), left.GetProperty("trace_id").GetString());
        await server.GetAsync("/v1/sessions/p", HttpStatusCode.NotFound, "text/plain");
    }

    [Fact]
    public async Task Projects_CreateChangeDelete_FollowTheContract()
    {
        var (created, body) = await server.PostAsync("/v1/projects", """{"name":"made","description":"d"}""");
        var (again, _) = await server.PostAsync("/v1/projects", """{"name":"made"}""");
        var (nameless, _) = await server.PostAsync("/v1/projects", """{"name":"a/b"}""");
        var id = Uri.EscapeDataString(JsonSerializer.Deserialize<JsonElement>(body).GetProperty("data").GetProperty("id").GetString()!);
        await server.SendAsync("made", TestSpan.Of(77, 1));
        using var changed = await server.Client.PutAsync($"/v1/projects/{id}", new StringContent("""{"description":"new"}"""));
        var shown = await server.GetAsync("/v1/projects/made");
        var listed = await server.WalkAsync("/v1/projects?limit=1&name_contains=MAD");
        using var deleted = await server.Client.DeleteAsync("/v1/projects/made");
        using var kept = await server.Client.DeleteAsync("/v1/projects/default");

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.Conflict, HttpStatusCode.UnprocessableEntity), (created, again, nameless));
        Assert.Equal(HttpStatusCode.OK, changed.StatusCode);
        Assert.Equal("new", shown.GetProperty("data").GetProperty("description").GetString());
        Assert.Equal("made", Assert.Single(listed).GetProperty("name").GetString());
        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Forbidden), (deleted.StatusCode, kept.StatusCode));
        await server.GetAsync("/v1/projects/made", HttpStatusCode.NotFound, "text/plain");
        Assert.Equal(0, await server.Server.ScalarAsync<long>($"SELECT count(*) FROM spans WHERE trace_id = '{TestSpan.TraceId(77)}'"));
    }

    [Fact]
    public async Task Projects_DeletedAndSentAgainAtOnce_AreMadeAnewWithWhatWasSent()
    {
        for (var round = 1; round <= 3; round++)
        {
            await server.SendAsync("phoenix-of-projects", TestSpan.Of(88, round));
            using var deleted = await server.Client.DeleteAsync("/v1/projects/phoenix-of-projects");
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
            await server.SendAsync("phoenix-of-projects", TestSpan.Of(89, round));

            var spans = await server.GetAsync("/v1/projects/phoenix-of-projects/spans");

            Assert.Equal(TestSpan.Hex(89),
                Assert.Single(spans.GetProperty("data").EnumerateArray()).GetProperty("context").GetProperty("trace_id").GetString());
            using var cleared = await server.Client.DeleteAsync("/v1/projects/phoenix-of-projects");
        }
    }

    private static int Number(JsonElement trace) => Convert.ToInt32(trace.GetProperty("trace_id").GetString()![..8], 16);

    private static int DurationOf(int trace) => 1 + ((trace + 4) % 5);

    private async Task SendTwelveAsync(string project)
    {
        await server.SendAsync(project, [.. Enumerable.Range(1, 12).Select(trace =>
            TestSpan.Of(trace, 1, startMs: trace, durationMs: DurationOf(trace), session: trace % 2 == 0 ? "even" : null))]);
        await server.RolledUpAsync();
    }
}
