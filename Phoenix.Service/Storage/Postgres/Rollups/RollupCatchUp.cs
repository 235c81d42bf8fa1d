using Npgsql;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Lets a reader of the roll-ups see what was acknowledged before it asked: a few pending deltas are applied on the spot. Many are left to
/// the <see cref="RollupWorker"/>, because a reader must not do a loaded system's work; then the roll-ups lag by about a second.
/// </summary>
internal sealed class RollupCatchUp(NpgsqlDataSource dataSource, TraceMetrics metrics)
{
    /// <summary>Up to here applying takes some milliseconds.</summary>
    private const int FewDeltas = 1_000;

    /// <summary>Longest wait for a pass of the worker that is under way.</summary>
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromSeconds(1);

    /// <summary>Applies what is pending when it is little.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using (var count = new NpgsqlCommand($"""
            SELECT count(*) FROM (SELECT FROM pending_trace_deltas UNION ALL SELECT FROM nested_suspects LIMIT {FewDeltas + 1}) AS pending
            """, connection))
        {
            if ((long)(await count.ExecuteScalarAsync(cancellationToken))! is 0 or > FewDeltas)
            {
                return;
            }
        }

        var found = new RollupFindings();
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        try
        {
            await RollupStore.ExecuteAsync(connection, $"SET LOCAL lock_timeout = {(long)s_lockTimeout.TotalMilliseconds}",
                cancellationToken);
            await RollupStore.OwnAsync(connection, cancellationToken);
            foreach (var slot in DeltaSlots.All)
            {
                await RollupStore.ApplyAsync(connection, slot, FewDeltas, found, cancellationToken);
            }

            await UncountedCalls.SettleAsync(connection, RollupStore.SettleTraces, found, cancellationToken);
            await OwedUsage.BalanceAsync(connection, found, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            metrics.Count(found);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.LockNotAvailable)
        {
            // Somebody else is applying for longer than a reader should wait: the roll-ups as they are will do.
        }
    }
}
