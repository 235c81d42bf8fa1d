using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace MatsObservability.Tests.Phoenix.Storage;

[Trait("Req", "B094")]
public sealed class RollupSqlTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Trace = "00000000-0000-0000-0000-00000000000a";

    [Fact]
    public async Task AppendStoredAsync_TraceInPieces_AddsUpToOneRowByTheWorker()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await InsertAsync(server, (1, 5, 1_000_000_000, 3_000_000_000, "late root", null, 1, 2),
            (2, 5, 2_000_000_000, 9_000_000_000, "child", "s2", 1, 0));
        await InsertAsync(server, (3, null, 500_000_000, 600_000_000, "root", "s1", 7, 0));

        await Eventually.TrueAsync(
            async () => await server.ScalarAsync<long>("SELECT coalesce(sum(span_count), 0)::bigint FROM traces") == 3);

        Assert.Equal(
            "root|svc|7|s1|500000000|9000000000|3|1|20|6|30",
            await server.ScalarAsync<string>("""
                SELECT concat_ws('|', root_name, root_service, root_span_kind, session_id, start_ns, end_ns, span_count, error_count, prompt_tokens,
                    completion_tokens, cost_pico_usd) FROM traces
                """));
        Assert.Equal("s1|1", await server.ScalarAsync<string>("SELECT string_agg(session_id || '|' || trace_count, ',') FROM sessions"));
        Assert.Equal(3, await server.ScalarAsync<long>("SELECT sum(span_count)::bigint FROM span_minutes"));
        Assert.Equal(3, await server.ScalarAsync<long>("SELECT sum(b)::bigint FROM span_minutes, unnest(duration_buckets) AS b"));
    }

    [Fact]
    public async Task Rebuild_AfterIncrements_ChangesNothing()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await InsertAsync(server, (1, 5, 1_000_000_000, 3_000_000_000, "late root", null, 1, 2),
            (2, 5, 2_000_000_000, 9_000_000_000, "child", "s2", 1, 0));
        await InsertAsync(server, (3, null, 500_000_000, 600_000_000, "root", "s1", 7, 0));
        await Eventually.TrueAsync(
            async () => await server.ScalarAsync<long>("SELECT coalesce(sum(span_count), 0)::bigint FROM traces") == 3);
        const string Rows =
            "SELECT (SELECT json_agg(t)::text FROM traces t) || (SELECT json_agg(s)::text FROM sessions s) || (SELECT json_agg(m ORDER BY span_kind, status)::text FROM span_minutes m)";
        var before = await server.ScalarAsync<string>(Rows);

        await using var connection = await server.OpenAsync();
        await RollupRebuild.RunAsync(connection, 0, 60_000_000_000, CancellationToken.None);

        Assert.Equal(before, await server.ScalarAsync<string>(Rows));
    }

    private static async Task InsertAsync(
        PhoenixServer server,
        params (long Id, long? Parent, long Start, long End, string Name, string? Session, int Kind, int Status)[] spans)
    {
        await using var connection = await server.OpenAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await ExecuteAsync(connection, """
            INSERT INTO resources VALUES (11, 'svc', '{}', NULL, 0) ON CONFLICT DO NOTHING;
            CREATE TEMP TABLE fresh (LIKE spans) ON COMMIT DROP
            """);
        foreach (var span in spans)
        {
            await ExecuteAsync(connection, $"""
                INSERT INTO fresh (project_id, trace_id, span_id, parent_id, start_ns, end_ns, name, kind, span_kind, status, resource_id, scope_id, session_id,
                    prompt_tokens, completion_tokens, cost_pico_usd, attributes)
                VALUES (1, '{Trace}', {span.Id}, {span.Parent?.ToString() ?? "NULL"}, {span.Start}, {span.End}, '{span.Name}', 1, {span.Kind}, {span.Status}, 11, 21,
                    {(span.Session is null ? "NULL" : $"'{span.Session}'")}, 10, 3, 10, '[]')
                """);
        }

        await ExecuteAsync(connection, "INSERT INTO spans SELECT * FROM fresh");
        await server.Services.GetRequiredService<RollupDeltas>().AppendStoredAsync(connection, "fresh", CancellationToken.None);
        await transaction.CommitAsync();
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
