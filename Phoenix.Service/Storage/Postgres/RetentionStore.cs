using System.Globalization;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// A partition as retention sees it. Bounds in Unix ns, half-open; the default partition, which holds what has none of its own, has none.
/// </summary>
internal sealed record RetentionLeaf(Signal Signal, string Table, long? StartNanos, long? EndNanos, DateTimeOffset ChangedAt);

/// <summary>What an entry of <c>audit_log</c> says beside table and count: start of the run, the project (empty = all) and why.</summary>
internal sealed record RetentionAudit(DateTimeOffset At, string Project, string Reason);

/// <summary>
/// Removal of expired telemetry. Every step is a short transaction of its own that leaves the tables consistent, so a run can stop
/// anywhere; replicas take turns by an advisory lock on each step. Each step that removed something says so in <c>audit_log</c>, in the
/// same transaction.
/// </summary>
internal sealed class RetentionStore(NpgsqlDataSource dataSource, Partitions partitions)
{
    private const string LockKey = "hashtextextended('mats.retention.' || current_schema(), 0)";

    /// <summary>Longest wait for readers of a partition that is to be dropped: who waits for a table holds up everybody behind.</summary>
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromSeconds(2);

    /// <summary>Every project with its name.</summary>
    public async Task<List<(int Id, string Name)>> ReadProjectsAsync(CancellationToken cancellationToken)
    {
        var projects = new List<(int, string)>();
        await using var command = dataSource.CreateCommand("SELECT id, name FROM projects ORDER BY id");
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            projects.Add((reader.GetInt32(0), reader.GetString(1)));
        }

        return projects;
    }

    /// <summary>
    /// Every partition, the oldest first and the default ones last; notes which received rows since the last call. The default ones may
    /// receive some every day: their first ones in <paramref name="grace"/> count, so that these are not kept by the later ones.
    /// </summary>
    public async Task<List<RetentionLeaf>> ReadLeavesAsync(DateTimeOffset now, TimeSpan grace, CancellationToken cancellationToken)
    {
        var leaves = new List<RetentionLeaf>();
        await using var command = dataSource.CreateCommand("""
            WITH leaf AS MATERIALIZED (
                SELECT parent.relname AS parent, leaf.relname::text AS leaf, pg_get_expr(leaf.relpartbound, leaf.oid) AS bounds,
                    pg_stat_get_tuples_inserted(leaf.oid) AS inserted
                FROM pg_inherits JOIN pg_class parent ON parent.oid = inhparent JOIN pg_class leaf ON leaf.oid = inhrelid
                WHERE parent.relnamespace = current_schema()::regnamespace AND parent.relname IN ('spans', 'logs', 'metric_points')),
            forgotten AS (DELETE FROM partition_activity WHERE leaf NOT IN (SELECT leaf FROM leaf)),
            noted AS (
                INSERT INTO partition_activity AS a SELECT leaf, inserted, $1 FROM leaf
                ON CONFLICT (leaf) DO UPDATE SET inserted = excluded.inserted,
                    changed_at = CASE WHEN excluded.inserted > a.inserted
                        AND NOT (a.changed_at > $2 AND EXISTS (SELECT FROM leaf l WHERE l.leaf = excluded.leaf AND l.bounds = 'DEFAULT'))
                        THEN excluded.changed_at ELSE a.changed_at END
                RETURNING leaf, changed_at)
            SELECT leaf.parent, leaf.leaf, leaf.bounds, CASE WHEN leaf.bounds = 'DEFAULT' THEN coalesce(before.changed_at, noted.changed_at) ELSE noted.changed_at END
            FROM leaf JOIN noted USING (leaf) LEFT JOIN partition_activity before USING (leaf)
            """);
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = now });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = now - grace });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var signal = Enum.GetValues<Signal>().First(candidate => Partitions.Parent(candidate) == reader.GetString(0));
            var bounds = Partitions.ParseBounds(reader.GetString(2));
            leaves.Add(
                new RetentionLeaf(signal, reader.GetString(1), bounds?.StartNanos, bounds?.EndNanos,
                    reader.GetFieldValue<DateTimeOffset>(3)));
        }

        return [.. leaves.OrderBy(static leaf => leaf.StartNanos ?? long.MaxValue).ThenBy(static leaf => leaf.Signal)];
    }

    /// <summary>
    /// Drops a partition. False when somebody reads it for longer than it is worth waiting, or another replica is at work.
    /// </summary>
    public async Task<bool> DropAsync(RetentionLeaf leaf, RetentionAudit audit, CancellationToken cancellationToken)
    {
        try
        {
            var dropped = await StepAsync(async connection =>
            {
                await RollupStore.ExecuteAsync(connection, $"""
                    SELECT pg_advisory_xact_lock(hashtextextended('mats.partitions.' || current_schema(), 0));
                    SET LOCAL lock_timeout = {(long)s_lockTimeout.TotalMilliseconds}
                    """, cancellationToken);
                await AuditAsync(
                    connection, audit, "drop_partition",
                    leaf.Table, $"(SELECT pg_stat_get_live_tuples(oid) FROM pg_class WHERE oid = to_regclass('{leaf.Table}'))",
                    cancellationToken);
                await RollupStore.ExecuteAsync(connection, $"DROP TABLE IF EXISTS {leaf.Table}", cancellationToken);
            }, cancellationToken);
            if (dropped)
            {
                await partitions.ForgetAsync(cancellationToken);
            }

            return dropped;
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.LockNotAvailable
            or PostgresErrorCodes.DeadlockDetected)
        {
            return false;
        }
    }

    /// <summary>
    /// Removes up to <paramref name="rows"/> rows of a project from before <paramref name="cutoffNanos"/>; how many there were.
    /// </summary>
    public async Task<int> RemoveRowsAsync(
        RetentionLeaf leaf, int projectId, long cutoffNanos, int rows, RetentionAudit audit, CancellationToken cancellationToken)
    {
        var found = leaf.Signal switch
        {
            Signal.Spans => $"SELECT ctid FROM {leaf.Table} WHERE project_id = $1 AND start_ns < $2 LIMIT {rows}",
            Signal.Logs => $"SELECT ctid FROM {leaf.Table} WHERE project_id = $1 AND time_ns < $2 LIMIT {rows}",
            _ => $"SELECT p.ctid FROM metric_series s JOIN {leaf.Table} p ON p.series_id = s.id WHERE s.project_id = $1 AND p.time_ns < $2 LIMIT {rows}",
        };
        var removed = 0;
        await StepAsync(async connection =>
        {
            await using var command = new NpgsqlCommand($"DELETE FROM {leaf.Table} WHERE ctid = ANY(ARRAY({found}))", connection)
            {
                CommandTimeout = 0,
            };
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = projectId });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = cutoffNanos });
            removed = await command.ExecuteNonQueryAsync(cancellationToken);
            await AuditAsync(connection, audit, "remove_rows", leaf.Table,
                removed.ToString(CultureInfo.InvariantCulture), cancellationToken);
        }, cancellationToken);
        return removed;
    }

    /// <summary>
    /// Removes up to <paramref name="rows"/> vectors of a project's spans with start in [start, end); how many there were.
    /// </summary>
    public async Task<int> RemoveVectorsAsync(
        int projectId, long startNanos, long endNanos, int rows, RetentionAudit audit, CancellationToken cancellationToken)
    {
        var removed = 0;
        await StepAsync(async connection =>
        {
            await using var command = new NpgsqlCommand($"""
                DELETE FROM span_vectors WHERE ctid = ANY(ARRAY(
                    SELECT ctid FROM span_vectors WHERE project_id = $1 AND start_ns >= $2 AND start_ns < $3 LIMIT {rows}))
                """, connection) { CommandTimeout = 0 };
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = projectId });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = startNanos });
            command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = endNanos });
            removed = await command.ExecuteNonQueryAsync(cancellationToken);
            await AuditAsync(connection, audit, "remove_rows", "span_vectors",
                removed.ToString(CultureInfo.InvariantCulture), cancellationToken);
        }, cancellationToken);
        return removed;
    }

    /// <summary>
    /// Removes up to <paramref name="rows"/> traces of a project that started in [start, end) and ended before
    /// <paramref name="cutoffNanos"/> from the roll-ups, and the minutes of the range; sessions become what their remaining traces add up
    /// to. How many traces there were.
    /// </summary>
    public async Task<int> RemoveRollupsAsync(
        int projectId, long startNanos, long endNanos, long cutoffNanos, int rows, RetentionAudit audit,
        CancellationToken cancellationToken)
    {
        const long MinuteNanos = 60_000_000_000;
        var removed = 0;
        await StepAsync(async connection =>
        {
            await RollupStore.OwnAsync(connection, cancellationToken);
            await RollupStore.ExecuteAsync(connection,
                "CREATE TEMP TABLE touched_traces (trace_id uuid, project_id integer, session_id text) ON COMMIT DROP", cancellationToken);
            await using (var command = new NpgsqlCommand($"""
                WITH gone AS (
                    DELETE FROM traces WHERE ctid = ANY(ARRAY(
                        SELECT ctid FROM traces WHERE project_id = $1 AND start_ns >= $2 AND start_ns < $3 AND end_ns < $4 LIMIT {rows}))
                    RETURNING trace_id, project_id, session_id)
                INSERT INTO touched_traces SELECT * FROM gone
                """, connection) { CommandTimeout = 0 })
            {
                command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = projectId });
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = startNanos });
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = endNanos });
                command.Parameters.Add(new NpgsqlParameter<long> { TypedValue = cutoffNanos });
                removed = await command.ExecuteNonQueryAsync(cancellationToken);
            }

            var minutes = string.Create(
                CultureInfo.InvariantCulture, $"minute >= {startNanos / MinuteNanos} AND minute < {endNanos / MinuteNanos}");
            await RollupStore.ExecuteAsync(connection, $"""
                CREATE TEMP TABLE touched_sessions ON COMMIT DROP AS SELECT DISTINCT project_id, session_id FROM touched_traces WHERE session_id IS NOT NULL;
                {RollupSql.RecomputeSessions};
                {UncountedCalls.ForgetTouched};
                DELETE FROM span_minutes WHERE project_id = {projectId.ToString(CultureInfo.InvariantCulture)} AND {minutes}
                """, cancellationToken);
            await AuditAsync(connection, audit, "remove_traces", "traces",
                removed.ToString(CultureInfo.InvariantCulture), cancellationToken);
        }, cancellationToken);
        return removed;
    }

    /// <summary>
    /// Notes <paramref name="rows"/> (SQL) removed from <paramref name="target"/>; the steps of a run over one table and project are one
    /// entry. Nothing removed is no entry.
    /// </summary>
    private static async Task AuditAsync(
        NpgsqlConnection connection, RetentionAudit audit, string action, string target, string rows, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand($"""
            INSERT INTO audit_log AS a (at, actor, action, target, project, rows, reason)
            SELECT $1, 'retention', $2, $3, $4, removed, $5 FROM (SELECT {rows} AS removed) AS r WHERE removed > 0 OR removed = 0 AND $2 = 'drop_partition'
            ON CONFLICT (at, actor, action, target, project) DO UPDATE SET rows = a.rows + excluded.rows
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = audit.At });
        foreach (var text in (string[])[action, target, audit.Project, audit.Reason])
        {
            command.Parameters.Add(new NpgsqlParameter<string> { TypedValue = text });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>Runs one step as the owner of retention; false when another replica is.</summary>
    private async Task<bool> StepAsync(Func<NpgsqlConnection, Task> step, CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using (var own = new NpgsqlCommand($"SELECT pg_try_advisory_xact_lock({LockKey})", connection))
        {
            if (!(bool)(await own.ExecuteScalarAsync(cancellationToken))!)
            {
                return false;
            }
        }

        await step(connection);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }
}
