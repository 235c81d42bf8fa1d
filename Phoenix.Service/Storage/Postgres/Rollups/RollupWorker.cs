using System.Diagnostics;
using Npgsql;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Adds pending deltas to the roll-ups, off the ingest path. Every replica runs one; an advisory lock lets one work at a time. A pass is
/// one transaction that applies deltas and removes them, so each counts exactly once whenever a process or the database dies. Writers never
/// wait for a pass; only giving an emptied table's space back takes the table for itself, for milliseconds, while writers use the other
/// one.
/// </summary>
internal sealed partial class RollupWorker(
    NpgsqlDataSource dataSource, DatabaseState state, RollupDeltas deltas, TraceMetrics metrics, TimeProvider time,
    ILogger<RollupWorker> logger) : DatabaseLoop(state, time, new WriteBackoff(time))
{
    /// <summary>Deltas that one pass applies at most; more, after an outage, take several passes.</summary>
    private const int PassRows = 50_000;

    /// <summary>Passes over one slot before the other has its turn.</summary>
    private const int SlotPasses = 10;

    /// <summary>Passes without work after which the next one waits for a signal.</summary>
    private const int IdlePasses = 5;

    private static readonly TimeSpan s_busyPause = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_idlePause = TimeSpan.FromSeconds(5);

    /// <summary>Longest wait for a writer that is still in a slot: who waits for a table holds up everybody behind.</summary>
    private static readonly TimeSpan s_lockTimeout = TimeSpan.FromMilliseconds(100);

    private int _idlePasses;

    /// <inheritdoc/>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        var applied = false;
        foreach (var slot in DeltaSlots.All)
        {
            applied |= await ApplyAsync(slot, cancellationToken);
        }

        applied |= await SettleAsync(cancellationToken);

        // A signal comes before the commit of what it announces, so idle means idle for a while.
        _idlePasses = applied ? 0 : _idlePasses + 1;
        if (_idlePasses < IdlePasses)
        {
            return s_busyPause;
        }

        await deltas.WaitAsync(s_idlePause, cancellationToken);
        _idlePasses = 0;
        return TimeSpan.Zero;
    }

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    /// <summary>Applies what is in a slot; false when there was nothing to do or somebody else works.</summary>
    private async Task<bool> ApplyAsync(int slot, CancellationToken cancellationToken)
    {
        var started = Stopwatch.GetTimestamp();
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var applied = false;

        // What writers append during a pass waits for the next step, unless it fills a pass: to plan and to commit a pass costs the same for
        // few rows as for many.
        for (var pass = 0;
            pass < SlotPasses
            && await RollupStore.HasPendingAsync(connection, slot, moreThan: pass == 0 ? 0 : PassRows, cancellationToken);
            pass++)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            if (!await RollupStore.TryOwnAsync(connection, cancellationToken))
            {
                return applied;
            }

            var found = new RollupFindings();
            await RollupStore.ApplyAsync(connection, slot, PassRows, found, cancellationToken);

            // In the same transaction, so that a call reported twice is mostly never counted twice; what is more than this waits for its
            // own.
            for (var looks = 0; looks < SlotPasses && await UncountedCalls.HasSuspectsAsync(connection, cancellationToken); looks++)
            {
                await UncountedCalls.SettleAsync(connection, RollupStore.SettleTraces, found, cancellationToken);
            }

            await OwedUsage.BalanceAsync(connection, found, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            metrics.Count(found);
            applied = true;
        }

        if (slot != DeltaSlots.Active(Time.GetUtcNow()))
        {
            await TrimAsync(connection, slot, cancellationToken);
        }

        if (applied)
        {
            Log.Applied(logger, slot, Stopwatch.GetElapsedTime(started).TotalMilliseconds);
        }

        return applied;
    }

    /// <summary>Looks at traces in which calls may be reported twice; false when there are none or somebody else works.</summary>
    private async Task<bool> SettleAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        var settled = false;
        for (var pass = 0; pass < SlotPasses && await UncountedCalls.HasSuspectsAsync(connection, cancellationToken); pass++)
        {
            await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
            if (!await RollupStore.TryOwnAsync(connection, cancellationToken))
            {
                return settled;
            }

            var found = new RollupFindings();
            await UncountedCalls.SettleAsync(connection, RollupStore.SettleTraces, found, cancellationToken);
            await OwedUsage.BalanceAsync(connection, found, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
            metrics.Count(found);
            settled = true;
        }

        return settled;
    }

    private async Task TrimAsync(NpgsqlConnection connection, int slot, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        try
        {
            await RollupStore.ExecuteAsync(connection, $"SET LOCAL lock_timeout = {(long)s_lockTimeout.TotalMilliseconds}",
                cancellationToken);
            await RollupStore.TrimAsync(connection, slot, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }
        catch (PostgresException exception) when (exception.SqlState is PostgresErrorCodes.LockNotAvailable
            or PostgresErrorCodes.DeadlockDetected)
        {
            Log.Busy(logger, slot);
        }
    }
}
