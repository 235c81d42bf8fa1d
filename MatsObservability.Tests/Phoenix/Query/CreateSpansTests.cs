using System.Net;
using System.Text;
using System.Text.Json;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Query;

[Trait("Req", "B001")]
public sealed class CreateSpansTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Fact]
    public async Task Create_NewSpans_AreReadBackAsSent()
    {
        var (status, body) = await server.PostAsync("/v1/projects/born/spans", $$"""{"data":[{{Span(1, 1)}}]}""");

        var span = Assert.Single((await server.GetAsync("/v1/projects/born/spans")).GetProperty("data").EnumerateArray());
        Assert.Equal((HttpStatusCode.Accepted, """{"total_received":1,"total_queued":1}"""), (status, body));
        Assert.Equal("LLM", span.GetProperty("span_kind").GetString());
        Assert.Equal("2026-01-02T03:04:05.123456+00:00", span.GetProperty("start_time").GetString());
        Assert.Equal("OK", span.GetProperty("status_code").GetString());
        Assert.Equal("""{"llm.model_name":"gpt-4o","n":3,"f":1.5,"l":["a"],"o.k":true}""", span.GetProperty("attributes").GetRawText());
        Assert.Equal("""[{"name":"e","timestamp":"2026-01-02T03:04:05.000000+00:00","attributes":{"x":"y"}}]""",
            span.GetProperty("events").GetRawText());
    }

    [Fact]
    public async Task Create_DuplicateOrInvalid_StoresNothingAndNamesThem()
    {
        await server.PostAsync("/v1/projects/refused/spans", $$"""{"data":[{{Span(2, 1)}}]}""");

        var (status, body) = await server.PostAsync(
            "/v1/projects/refused/spans",
            $$"""{"data":[{{Span(2, 1)}},{{Span(2, 2)}},{{Span(2, 2)}},{{Span(2, 3).Replace(TestSpan.SpanHex(3), "xyz")}}]}""");

        var answer = JsonSerializer.Deserialize<JsonElement>(body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Equal(
            [4, 0, 2, 1],
            new[] { "total_received", "total_queued", "total_duplicates", "total_invalid" }.Select(
                name => answer.GetProperty(name).GetInt32()));
        Assert.Equal("xyz", answer.GetProperty("invalid_spans")[0].GetProperty("span_id").GetString());
        Assert.Single((await server.GetAsync("/v1/projects/refused/spans")).GetProperty("data").EnumerateArray());
    }

    [Fact]
    public async Task Create_MoreDaysThanARequestMayHave_CountsOnlyWhatIsStored()
    {
        var spans = Enumerable.Range(0, TelemetryBatch.MaxDays + 3).Select(day => Span(9, day + 1)
            .Replace("2026-01-02T03:04:05.123456Z", $"{new DateOnly(2001, 1, 1).AddDays(day):yyyy-MM-dd}T03:04:05Z"));

        var (status, body) = await server.PostAsync("/v1/projects/years/spans", $$"""{"data":[{{string.Join(',', spans)}}]}""");

        Assert.Equal((HttpStatusCode.Accepted, """{"total_received":403,"total_queued":400}"""), (status, body));
        Assert.Equal(
            400L,
            await server.Server.ScalarAsync<long>("SELECT count(*) FROM spans JOIN projects p ON p.id = project_id WHERE p.name = 'years'"));
    }

    [Theory]
    [InlineData("\"start_time\":\"2026-01-02T03:04:05.123456Z\"", "\"start_time\":\"2026-01-02T03:04:05\"",
        """["body","data",1,"start_time"]""")]
    [InlineData("\"name\":\"chat\",", "", """["body","data",1,"name"]""")]
    [InlineData("\"span_kind\":\"LLM\"", "\"span_kind\":7", """["body","data",1,"span_kind"]""")]
    [InlineData("\"attributes\":{", "\"attributes\":[],\"x\":{", """["body","data",1,"attributes"]""")]
    [InlineData("\"name\":\"e\"", "\"name\":5", """["body","data",1,"events",0,"name"]""")]
    [InlineData("\"n\":3", "\"t\":\"abc\\ud83d\"", """["body","data",1]""")]
    [InlineData("\"n\":3", "\"t\\uDC00\":3", """["body","data",1]""")]
    [InlineData("\"name\":\"chat\"", "\"n\\ud83d\":1,\"name\":\"chat\"", """["body","data",1]""")]
    [InlineData("\"name\":\"chat\"", "\"name\":\"\\ud83d\\ud83d\"", """["body","data",1]""")]
    public async Task Create_MalformedSpan_Is422WithItsIndex(string sound, string broken, string location)
    {
        var second = Span(3, 2);
        var at = second.IndexOf(sound, StringComparison.Ordinal);
        Assert.True(at >= 0);

        var (status, body) = await server.PostAsync(
            "/v1/projects/malformed/spans", $$"""{"data":[{{Span(3, 1)}},{{second[..at] + broken + second[(at + sound.Length)..]}}]}""");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains(location, body, StringComparison.Ordinal);
        await server.GetAsync("/v1/projects/malformed", HttpStatusCode.NotFound, "text/plain");
    }

    [Theory]
    [InlineData("chat")]
    [InlineData("OK")]
    [InlineData("y")]
    [InlineData("o")]
    public async Task Create_TextThatIsNotUtf8_Is422WithItsIndex(string text)
    {
        var body = Encoding.UTF8.GetBytes($$"""{"data":[{{Span(8, 1)}}]}""");
        body[body.AsSpan().IndexOf(Encoding.UTF8.GetBytes($"\"{text}\"")) + 1] = 0xFF;

        var (status, answer) = await server.PostAsync("/v1/projects/bytes/spans", new ByteArrayContent(body));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains("""["body","data",0]""", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_WithAByteOrderMark_IsTaken()
    {
        var body = Encoding.UTF8.Preamble.ToArray().Concat(Encoding.UTF8.GetBytes($$"""{"data":[{{Span(11, 1)}}]}""")).ToArray();

        var (status, _) = await server.PostAsync("/v1/projects/marked/spans", new ByteArrayContent(body));

        Assert.Equal(HttpStatusCode.Accepted, status);
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"name":"n","context":{"trace_id":"","span_id":""},"span_kind":"","status_code":"","start_time":"2026-01-02T03:04:05Z","end_time":"2026-01-02T03:04:05Z","events":[EVENTS]}""")]
    public async Task Create_ThousandsOfFaults_TellsAHundred(string item)
    {
        var items = item.Contains("EVENTS", StringComparison.Ordinal)
            ? item.Replace("EVENTS", string.Join(',', Enumerable.Repeat("{}", 10_000)), StringComparison.Ordinal)
            : string.Join(',', Enumerable.Repeat(item, 10_000));

        var (status, body) = await server.PostAsync("/v1/projects/malformed/spans", $$"""{"data":[{{items}}]}""");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.InRange(JsonSerializer.Deserialize<JsonElement>(body).GetProperty("detail").GetArrayLength(), 100, 106);
    }

    [Fact]
    public async Task Create_ProjectNameThatNoIndexTakes_Is422()
    {
        var name = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(1500));

        var (status, body) = await server.PostAsync($"/v1/projects/{name}/spans", $$"""{"data":[{{Span(12, 1)}}]}""");

        Assert.Equal(HttpStatusCode.UnprocessableEntity, status);
        Assert.Contains("1024 bytes", body, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("/v1/projects/default/spans", 21)]
    [InlineData("/v1/projects/default/records/resolve", 2)]
    [InlineData("/v1/sessions/delete", 2)]
    public async Task Post_BodyAboveItsLimit_Is413(string route, int mebibytes)
    {
        foreach (var chunked in (bool[])[false, true])
        {
            using var request = new HttpRequestMessage(HttpMethod.Post, route)
            {
                Content = new ByteArrayContent(Encoding.UTF8.GetBytes(new string(' ', mebibytes * 1024 * 1024))),
            };
            request.Headers.TransferEncodingChunked = chunked;
            request.Headers.ExpectContinue = true;
            using var response = await server.Client.SendAsync(request);

            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        }
    }

    [Fact]
    public async Task Create_BodyOfManyMebibytes_IsTaken()
    {
        var padded = Span(13, 1).Replace("\"y\"", $"\"{new string('y', 5 * 1024 * 1024)}\"", StringComparison.Ordinal);

        var (status, body) = await server.PostAsync("/v1/projects/long/spans", $$"""{"data":[{{padded}}]}""");

        Assert.True(status == HttpStatusCode.Accepted, body);
    }

    [Theory]
    [InlineData("\"n\":3", "\"n\":1e999")]
    [InlineData("\"l\":[\"a\"]", "\"l\":[[-1e999]]")]
    [InlineData("\"x\":\"y\"", "\"x\":1e999")]
    public async Task Create_NumberBeyondADouble_IsAnInvalidSpan(string sound, string broken)
    {
        var (status, body) = await server.PostAsync(
            "/v1/projects/huge/spans", $$"""{"data":[{{Span(5, 1).Replace(sound, broken, StringComparison.Ordinal)}}]}""");

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("\"total_invalid\":1", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Create_MutatedBodies_NeverFailTheServer()
    {
        var random = new Random(20_26);
        var sound = $$"""{"d\ud83d":0,"data":[{{Span(6, 1)}}]}""";
        string[] pieces = ["null", "5", "1e999", "\"\\ud800\"", "\\udc00", "\"", "{", "}", "[", "]", ",", ":", "\\u0000", "\"name\":", "-", "\u00e9"];

        for (var round = 0; round < 500; round++)
        {
            var body = sound;
            for (var change = random.Next(3); change >= 0; change--)
            {
                var at = random.Next(body.Length);
                body = body[..at] + pieces[random.Next(pieces.Length)] + body[Math.Min(body.Length, at + random.Next(12))..];
            }

            var (status, answer) = await server.PostAsync("/v1/projects/mutated/spans", body);

            Assert.True((int)status < 500, $"{(int)status} {answer} for {body}");
        }
    }

    [Fact]
    public async Task Create_UnknownGlobalId_Is404()
    {
        var (status, _) = await server.PostAsync("/v1/projects/UHJvamVjdDo5OTk5OTk=/spans", $$"""{"data":[{{Span(4, 1)}}]}""");

        Assert.Equal(HttpStatusCode.NotFound, status);
    }

    private static string Span(int trace, int id) => $$"""
        {"id":"ignored","name":"chat","context":{"trace_id":"{{TestSpan.Hex(trace)}}","span_id":"{{TestSpan.SpanHex(id)}}" },"span_kind":"LLM","parent_id":null,
        "start_time":"2026-01-02T03:04:05.123456Z","end_time":"2026-01-02T04:04:06+01:00","status_code":"OK",
        "attributes":{"llm.model_name":"gpt-4o","n":3,"f":1.5,"l":["a"],"o":{"k":true},"nothing":null},
        "events":[{"name":"e","timestamp":"2026-01-02T03:04:05Z","attributes":{"x":"y"} }]}
        """;
}
