using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace MatsObservability.Tests.Phoenix.Storage;

[Trait("Req", "B079")]
public sealed class RollupLoadTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly string[] s_tables =
    [
        "SELECT to_jsonb(t) - 'id' - 'open_mask' AS r FROM traces t ORDER BY project_id, trace_id",
        "SELECT to_jsonb(s) - 'id' AS r FROM sessions s ORDER BY project_id, session_id",
        "SELECT to_jsonb(m) AS r FROM span_minutes m ORDER BY project_id, minute, llm_model, llm_provider, span_kind, status",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Rollups_RandomLoadWithDuplicatesRestartAndTwoReplicas_EqualARecompute(int seed)
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var first = await PhoenixServer.StartAsync(database);
        var second = await PhoenixServer.StartAsync(database);
        var random = new Random(seed);
        var spans = Enumerable.Range(1, 600).Select(id => Any(random, id)).ToArray();
        random.Shuffle(spans);
        try
        {
            var chunks = spans.Chunk(25).ToList();
            for (var index = 0; index < chunks.Count; index++)
            {
                // Half of each request was sent before, to the other replica: what a retry after a lost answer looks like.
                var again = index > 0 && random.Next(3) == 0 ? chunks[random.Next(index)].Take(12) : [];
                var client = index % 2 == 0 ? first.Client : second.Client;
                await QueryServer.SendAsync(client, $"p{index % 2 * random.Next(2)}",
                    [.. chunks[index], .. again.Where(span => !chunks[index].Contains(span))]);
                if (index == chunks.Count / 2)
                {
                    await second.DisposeAsync();
                    second = await PhoenixServer.StartAsync(database);
                }
            }

            await QueryServer.RolledUpAsync(first);
            var before = await ReadAsync(first);
            await using (var connection = await first.OpenAsync())
            {
                await RollupRebuild.RunAsync(connection, 0, long.MaxValue, CancellationToken.None);
            }

            Assert.Equal(before, await ReadAsync(first));
            Assert.True(await first.ScalarAsync<long>("SELECT count(*) FROM uncounted_calls") > 0);
            Assert.Equal(
                await first.ScalarAsync<long>("SELECT sum(prompt_tokens)::bigint FROM spans WHERE span_kind = 1"),
                await first.ScalarAsync<long>(
                    "SELECT (sum(t.prompt_tokens) + (SELECT sum(prompt_tokens) FROM uncounted_calls))::bigint FROM traces t"));
            Assert.Equal(
                await first.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await first.ScalarAsync<long>("SELECT sum(span_count)::bigint FROM traces"));
        }
        finally
        {
            await second.DisposeAsync();
        }
    }

    [Fact]
    public async Task HasPending_SomeDeltas_IsTrueOnlyWhileThereAreMore()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var connection = await server.OpenAsync();

        // Never committed, so the service's own worker does not take them.
        await using var transaction = await connection.BeginTransactionAsync();
        await RollupStore.ExecuteAsync(connection, """
            INSERT INTO trace_deltas_1 (project_id, trace_id, start_ns, end_ns, span_count, error_count, prompt_tokens, completion_tokens, cost_pico_usd)
            SELECT 1, gen_random_uuid(), 1, 2, 1, 0, 0, 0, 0 FROM generate_series(1, 3)
            """, CancellationToken.None);

        Assert.False(await RollupStore.HasPendingAsync(connection, 0, moreThan: 0, CancellationToken.None));
        Assert.True(await RollupStore.HasPendingAsync(connection, 1, moreThan: 0, CancellationToken.None));
        Assert.True(await RollupStore.HasPendingAsync(connection, 1, moreThan: 2, CancellationToken.None));
        Assert.False(await RollupStore.HasPendingAsync(connection, 1, moreThan: 3, CancellationToken.None));
    }

    private static Span Any(Random random, int id)
    {
        // Parents mostly lie in the same trace, so that calls under calls are frequent.
        var trace = 1 + (id % 40);
        var parent = (40 * random.Next(0, 15)) + trace - 1;
        var kind = new[] { null, "LLM", "LLM", "TOOL", "EMBEDDING", "RERANKER", "AGENT" }[random.Next(7)];
        var span = TestSpan.Of(
            trace, id, parent: random.Next(4) == 0 || parent == id
                ? 0
                : parent, startMs: random.Next(200_000), durationMs: random.Next(20_000),
            name: $"n{random.Next(3)}", kind: kind, status: random.Next(3), session: random.Next(5) == 0 ? $"s{random.Next(8)}" : null);
        if (random.Next(3) == 0)
        {
            span.Attributes.Add(Otlp.Text("user.id", $"u{random.Next(4)}"));
        }

        if (kind is "LLM" && random.Next(2) == 0)
        {
            span.Attributes.Add(Otlp.Text("gen_ai.response.id", $"r{random.Next(2)}"));
        }

        if (kind is "LLM" or "EMBEDDING" or "RERANKER")
        {
            span.Attributes.Add(Otlp.Text("llm.model_name", new[] { "gpt-4o", "other", "ö" }[random.Next(3)]));
            span.Attributes.Add(
                new OpenTelemetry.Proto.Common.V1.KeyValue
                {
                    Key = "llm.token_count.prompt",
                    Value = TestSpan.Any((long)random.Next(1000)),
                });
            span.Attributes.Add(
                new OpenTelemetry.Proto.Common.V1.KeyValue
                {
                    Key = "llm.token_count.completion",
                    Value = TestSpan.Any((long)random.Next(100)),
                });
        }

        return span;
    }

    private static async Task<List<string>> ReadAsync(PhoenixServer server)
    {
        var tables = new List<string>();
        foreach (var table in s_tables)
        {
            tables.Add(await server.ScalarAsync<string>($"SELECT coalesce(string_agg(r::text, E'\\n'), '') FROM ({table}) AS rows"));
        }

        return tables;
    }
}
