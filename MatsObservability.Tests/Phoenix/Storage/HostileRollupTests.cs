using Google.Protobuf;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>What a sender claims must not stop the roll-ups of everybody: sums stay at their bound, names fit into the indexes.</summary>
[Trait("Req", "B002")]
public sealed class HostileRollupTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Export_SumsThatDoNotFitTheirColumns_StayAtTheBoundAndRollUpsGoOn()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        for (var request = 0; request < 3; request++)
        {
            // Every span lasts from 1970 or this moment to 2262; costs 9 million dollars; and has as many tokens as are believed.
            await QueryServer.SendAsync(server.Client, "hostile", [.. Enumerable.Range(1, 3).SelectMany(id => new[]
            {
                Long(Call(1, (10 * request) + id, "gpt-4o", 3_600_000_000_000), 0), Long(
                    Call(2, (10 * request) + id, "no-price", 1L << 53), TestSpan.Epoch),
            })]);
        }

        await QueryServer.SendAsync(server.Client, "hostile",
            [.. Enumerable.Range(100, 1200).Select(id => Call(2, id, "no-price", 1L << 53)), Call(2, 99, "no-price", 1, completion: 1)]);
        await QueryServer.SendAsync(server.Client, "honest", Call(3, 1, "gpt-4o", 10));
        await QueryServer.RolledUpAsync(server);

        Assert.Equal(
            long.MaxValue, await server.ScalarAsync<long>($"SELECT cost_pico_usd FROM traces WHERE trace_id = '{TestSpan.TraceId(1)}'"));
        Assert.Equal(
            long.MaxValue, await server.ScalarAsync<long>($"SELECT prompt_tokens FROM traces WHERE trace_id = '{TestSpan.TraceId(2)}'"));
        Assert.Equal(
            long.MaxValue, await server.ScalarAsync<long>(
                "SELECT s.cost_pico_usd FROM sessions s JOIN projects p ON p.id = s.project_id WHERE session_id = 'shared' AND p.name = 'hostile'"));
        Assert.Equal(long.MaxValue, await server.ScalarAsync<long>("SELECT max(duration_ns) FROM span_minutes"));
        Assert.Equal(
            25_000_000, await server.ScalarAsync<long>($"SELECT cost_pico_usd FROM traces WHERE trace_id = '{TestSpan.TraceId(3)}'"));

        // What reads and changes these sums can, too.
        foreach (var page in (string[])["/", "/projects/hostile", "/projects/hostile/metrics", "/v1/projects/hostile/traces?limit=10",
            "/v1/projects/hostile/sessions", $"/projects/hostile/traces/{TestSpan.Hex(1)}", $"/projects/hostile/traces/{TestSpan.Hex(2)}",
            "/projects/hostile/session?id=shared", "/projects/hostile/sessions"])
        {
            using var answer = await server.Client.GetAsync(page);
            var text = await answer.Content.ReadAsStringAsync();
            Assert.True(answer.IsSuccessStatusCode, $"{page}: {(int)answer.StatusCode}");
            Assert.DoesNotContain("-9.2", text, StringComparison.Ordinal);
            Assert.DoesNotContain("-922", text, StringComparison.Ordinal);
        }

        Assert.Contains(
            "\"token_count_total\":9223372036854775807", await server.Client.GetStringAsync("/v1/projects/hostile/traces"),
            StringComparison.Ordinal);

        (await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(1)}")).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Export_CallsTakenOutOfASumAtItsBound_LeaveNothingNegativeAndRollUpsGoOn()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await QueryServer.SendAsync(
            server.Client, "hostile", [.. Enumerable.Range(1, 3).Select(trace => Call(trace, 1, "gpt-4o", 3_600_000_000_000))]);
        await QueryServer.RolledUpAsync(server);
        Assert.Equal(long.MaxValue, await server.ScalarAsync<long>("SELECT cost_pico_usd FROM sessions"));

        // A call inside the first one is the same call told again, so the outer one is not counted any more.
        foreach (var trace in Enumerable.Range(1, 3))
        {
            var inner = Call(trace, 2, "gpt-4o", 1);
            inner.ParentSpanId = ByteString.CopyFrom(Convert.FromHexString(TestSpan.SpanHex(1)));
            await QueryServer.SendAsync(server.Client, "hostile", inner);
            await QueryServer.RolledUpAsync(server);
        }

        await QueryServer.SendAsync(server.Client, "honest", Call(4, 1, "gpt-4o", 10));
        await QueryServer.RolledUpAsync(server);

        Assert.Equal(
            "2500000 2500000 2500000 25000000",
            await server.ScalarAsync<string>("SELECT string_agg(cost_pico_usd::text, ' ' ORDER BY trace_id) FROM traces"));
        Assert.Equal(0, await server.ScalarAsync<long>("SELECT min(cost_pico_usd) FROM sessions"));
        Assert.Equal(3, await server.ScalarAsync<long>("SELECT count(*) FROM uncounted_calls"));
    }

    [Fact]
    public async Task Export_NamesLongerThanAnIndexTakes_AreStoredCutAndRollUpsGoOn()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var name = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(6000));
        await QueryServer.SendAsync(
            server.Client, name, TestSpan.Of(
                1, 1, kind: "LLM", session: name, attributes: [("user.id", name), ("llm.model_name", name), ("llm.provider", name)]));
        (await server.Client.PostAsync(Otlp.Gauge(name, 1, Otlp.NowNanos))).EnsureSuccessStatusCode();
        using var named = Otlp.Content(Otlp.Spans(1).ToByteArray());
        named.Headers.Add("x-project-name", name);
        (await server.Client.PostAsync("/v1/traces", named)).EnsureSuccessStatusCode();
        await QueryServer.RolledUpAsync(server);

        Assert.Equal(2L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
        var kept = $"{name[..1024]} …[truncated, 12000 bytes in all]";
        Assert.Equal(kept, await server.ScalarAsync<string>("SELECT session_id FROM sessions"));
        Assert.Equal(kept, await server.ScalarAsync<string>("SELECT llm_model FROM span_minutes WHERE length(llm_model) > 100"));
        Assert.Equal(kept, await server.ScalarAsync<string>("SELECT name FROM metric_series"));
        Assert.Equal(kept, await server.ScalarAsync<string>("SELECT name FROM projects WHERE name <> 'default'"));
        Assert.Equal(
            System.Net.HttpStatusCode.UnprocessableEntity,
            (await server.Client.PostAsync("/v1/projects",
                new StringContent($$"""{"name":"{{name}}"}""", System.Text.Encoding.UTF8, "application/json"))).StatusCode);
    }

    private static Span Call(int trace, int id, string model, long tokens, long completion = 0) => TestSpan.Of(
        trace, id, kind: "LLM", session: "shared",
        attributes: [("llm.model_name", model), ("llm.token_count.prompt", tokens), ("llm.token_count.completion", completion)]);

    private static Span Long(Span span, ulong start)
    {
        (span.StartTimeUnixNano, span.EndTimeUnixNano) = (start, long.MaxValue);
        return span;
    }
}
