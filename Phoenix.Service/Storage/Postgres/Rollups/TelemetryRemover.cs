using Npgsql;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Removes stored telemetry and sets the roll-ups right in the same transaction. All pending deltas are applied first and writers wait
/// meanwhile, so a removal costs them some milliseconds; it is meant for people, not for retention, which drops partitions.
/// </summary>
internal sealed class TelemetryRemover(NpgsqlDataSource dataSource, TraceRanges ranges, TraceMetrics metrics)
{
    private const int ProjectStep = 20_000;
    private const string RemovalKey = "hashtextextended('mats.removals.' || current_schema(), 0)";

    private static readonly string[] s_rowTables = ["spans", "span_vectors", "logs", "metric_points", "metric_series"];

    /// <summary>
    /// After the rows: who removes a trace meanwhile, having found it before, sets its roll-ups only as long as it has spans.
    /// </summary>
    private static readonly string[] s_rollupTables =
        ["traces", "sessions", "span_minutes", "uncounted_calls", "nested_suspects", "removed_projects"];

    /// <summary>Removes one span; its children become orphans. False when there is none.</summary>
    public async Task<bool> RemoveSpanAsync(int projectId, Guid traceId, long spanId, CancellationToken cancellationToken) =>
        await RemoveAsync(projectId, [traceId], spanId, keepMinutes: false, cancellationToken) > 0;

    /// <summary>Removes whole traces of a project; returns how many spans they had.</summary>
    public Task<long> RemoveTracesAsync(int projectId, Guid[] traceIds, CancellationToken cancellationToken) =>
        RemoveAsync(projectId, traceIds, null, keepMinutes: false, cancellationToken);

    /// <summary>
    /// Removes whole traces, but leaves them counted in the minute series: what was sampled away still happened. Returns how many spans
    /// they had.
    /// </summary>
    public Task<long> PruneTracesAsync(int projectId, Guid[] traceIds, CancellationToken cancellationToken) =>
        RemoveAsync(projectId, traceIds, null, keepMinutes: true, cancellationToken);

    /// <summary>
    /// Removes a project with all it holds. The project vanishes first, in one short transaction, and readers find nothing of it from then
    /// on; its rows and then its roll-ups follow in steps, so that no long transaction holds others up; in between, when its name is free
    /// again, <paramref name="gone"/> is called. Steps that a fault leaves out are done by <see cref="FinishAsync"/>. False when there is
    /// no such project.
    /// </summary>
    public async Task<bool> RemoveProjectAsync(int projectId, Action gone, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var found = new RollupFindings();
        await using (var transaction = await connection.BeginTransactionAsync(cancellationToken))
        {
            await RollupStore.OwnAsync(connection, cancellationToken);
            await RollupStore.ApplyAllAsync(connection, found, cancellationToken);
            await UncountedCalls.SettleAllAsync(connection, found, cancellationToken);
            await OwedUsage.BalanceAsync(connection, found, cancellationToken);
            if (await ExecuteAsync(connection, "DELETE FROM projects WHERE id = $1", projectId, cancellationToken) == 0)
            {
                return false;
            }

            await ExecuteAsync(connection, "INSERT INTO removed_projects VALUES ($1)", projectId, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            metrics.Count(found);
            gone();
        }

        while (await StepAsync(connection, $"SELECT true FROM pg_advisory_xact_lock({RemovalKey})", cancellationToken))
        {
        }

        return true;
    }

    /// <summary>
    /// Does one step of what is left of removed projects; false when nothing is left, or another one is at it.
    /// </summary>
    public async Task<bool> FinishAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        return await StepAsync(connection, $"SELECT pg_try_advisory_xact_lock({RemovalKey})", cancellationToken);
    }

    /// <summary>
    /// Does the next step of one removed project, if <paramref name="take"/> gets the lock: two at once would each take the other's rows
    /// for the last ones.
    /// </summary>
    private static async Task<bool> StepAsync(NpgsqlConnection connection, string take, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var taken = new NpgsqlCommand(take, connection) { CommandTimeout = 0 };
        await using var next = new NpgsqlCommand("SELECT min(project_id) FROM removed_projects", connection);
        if (!(bool)(await taken.ExecuteScalarAsync(cancellationToken))!
            || await next.ExecuteScalarAsync(cancellationToken) is not int projectId)
        {
            return false;
        }

        try
        {
            if (!await RemoveSomeAsync(connection, s_rowTables, projectId, cancellationToken))
            {
                await RollupStore.OwnAsync(connection, cancellationToken);
                await RemoveSomeAsync(connection, s_rollupTables, projectId, cancellationToken);
            }

            await transaction.CommitAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState == PostgresErrorCodes.UndefinedTable)
        {
            // Retention has dropped the partition meanwhile: the next step does without it.
        }

        return true;
    }

    /// <summary>
    /// Removes some rows of the project from the first of <paramref name="tables"/>, or of their partitions, that has any; false when none
    /// has. From each partition by itself: places of rows in several at once would be looked up in all of them.
    /// </summary>
    private static async Task<bool> RemoveSomeAsync(
        NpgsqlConnection connection, string[] tables, int projectId, CancellationToken cancellationToken)
    {
        await using var listing = new NpgsqlCommand("""
            SELECT coalesce(leaf.relid, parent.name::regclass)::text, parent.name
            FROM unnest($1) WITH ORDINALITY AS parent (name, place) LEFT JOIN LATERAL pg_partition_tree(parent.name::regclass) AS leaf ON leaf.isleaf
            ORDER BY parent.place
            """, connection);
        listing.Bind(tables);
        var leaves = new List<(string Leaf, string Parent)>();
        await using (var reader = await listing.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                leaves.Add((reader.GetString(0), reader.GetString(1)));
            }
        }

        foreach (var (leaf, parent) in leaves)
        {
            var found = parent == "metric_points"
                ? $"SELECT p.ctid FROM metric_series s JOIN {leaf} p ON p.series_id = s.id WHERE s.project_id = $1"
                : $"SELECT ctid FROM {leaf} WHERE project_id = $1";
            if (await ExecuteAsync(
                connection, $"DELETE FROM {leaf} WHERE ctid = ANY(ARRAY({found} LIMIT {ProjectStep}))", projectId, cancellationToken) > 0)
            {
                return true;
            }
        }

        return false;
    }

    private async Task<long> RemoveAsync(int projectId, Guid[] traceIds, long? spanId, bool keepMinutes,
        CancellationToken cancellationToken)
    {
        var found = await ranges.FindAsync(projectId, traceIds, cancellationToken);
        if (found.Count == 0)
        {
            return 0;
        }

        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await RollupStore.OwnAsync(connection, cancellationToken);
        var findings = new RollupFindings();
        await RollupStore.ApplyAllAsync(connection, findings, cancellationToken);
        await UncountedCalls.SettleAllAsync(connection, findings, cancellationToken);
        await OwedUsage.BalanceAsync(connection, findings, cancellationToken);
        await RollupStore.ExecuteAsync(connection, """
            CREATE TEMP TABLE removed ON COMMIT DROP AS SELECT * FROM spans LIMIT 0;
            CREATE TEMP TABLE touched_traces (trace_id uuid, project_id integer) ON COMMIT DROP
            """, cancellationToken);
        long removed;
        await using (var command = new NpgsqlCommand(
            "WITH gone AS (DELETE FROM spans WHERE project_id = $1 AND trace_id = ANY($2) AND start_ns BETWEEN $3 AND $4"
            + (spanId is null ? string.Empty : " AND span_id = $5") + " RETURNING *) INSERT INTO removed SELECT * FROM gone", connection))
        {
            command.Bind(projectId);
            command.Bind(found.Select(range => range.TraceId).ToArray());
            command.Bind(found.Min(range => range.FirstNanos));
            command.Bind(found.Max(range => range.LastNanos));
            if (spanId is { } id)
            {
                command.Bind(id);
            }

            removed = await command.ExecuteNonQueryAsync(cancellationToken);
        }

        await RollupStore.ExecuteAsync(connection, """
            DELETE FROM span_vectors v USING removed r
                WHERE v.project_id = r.project_id AND v.start_ns = r.start_ns AND v.trace_id = r.trace_id AND v.span_id = r.span_id;
            INSERT INTO touched_traces SELECT DISTINCT trace_id, project_id FROM removed
            """, cancellationToken);
        if (keepMinutes)
        {
            await RollupStore.ExecuteAsync(connection, UncountedCalls.ForgetTouched, cancellationToken);
        }
        else
        {
            await RollupStore.ExecuteAsync(connection, $"""
                {UncountedCalls.PutBackTouched};
                {RollupSql.AddMinutes($"({RollupSql.MinuteSums("removed", -1)})")};
                DELETE FROM span_minutes m USING (SELECT DISTINCT project_id, start_ns / 60000000000 AS minute FROM removed) AS r
                    WHERE m.project_id = r.project_id AND m.minute = r.minute AND m.span_count = 0
                """, cancellationToken);
        }

        // What is put back and taken out again here has been counted before: removing telemetry does not change what was used.
        await RollupStore.RecomputeAsync(connection, cancellationToken);
        await UncountedCalls.SettleAllAsync(connection, new RollupFindings(), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        metrics.Count(findings);
        return removed;
    }

    private static async Task<int> ExecuteAsync(
        NpgsqlConnection connection, string text, int projectId, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = 0 };
        command.Bind(projectId);
        return await command.ExecuteNonQueryAsync(cancellationToken);
    }
}
