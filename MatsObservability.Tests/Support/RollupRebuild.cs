using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace MatsObservability.Tests.Support;

/// <summary>Computes roll-ups from the stored spans alone: what adding up deltas must come to.</summary>
internal static class RollupRebuild
{
    /// <summary>
    /// Sets the roll-ups of every trace with a span or roll-up that starts in [start, end), of their sessions, and of every minute in the
    /// range to what the stored spans add up to. Bounds are widened to whole minutes. Runs in a transaction of its own and keeps writers
    /// out meanwhile.
    /// </summary>
    public static async Task RunAsync(NpgsqlConnection connection, long startNanos, long endNanos, CancellationToken cancellationToken)
    {
        const long MinuteNanos = 60_000_000_000;
        var (first, last) = (startNanos / MinuteNanos, (endNanos - 1) / MinuteNanos);
        var range = $"start_ns >= {(Int128)first * MinuteNanos} AND start_ns < {(Int128)(last + 1) * MinuteNanos}";
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await RollupStore.OwnAsync(connection, cancellationToken);
        await RollupStore.ApplyAllAsync(connection, new RollupFindings(), cancellationToken);
        await RollupStore.ExecuteAsync(connection, $"""
            CREATE TEMP TABLE touched_traces ON COMMIT DROP AS
                SELECT trace_id, project_id FROM spans WHERE {range} UNION SELECT trace_id, project_id FROM traces WHERE {range};
            {UncountedCalls.PutBackTouched};
            DELETE FROM span_minutes WHERE minute BETWEEN {first} AND {last};
            {RollupSql.AddMinutes($"({RollupSql.MinuteSums($"(SELECT * FROM spans WHERE {range})", 1)})")}
            """, cancellationToken);
        await RollupStore.RecomputeAsync(connection, cancellationToken);
        await UncountedCalls.SettleAllAsync(connection, new RollupFindings(), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }
}
