using System.Globalization;
using Microsoft.Extensions.Options;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Retention;

/// <summary>
/// Removes expired telemetry. A partition of which everything has expired, for every project, is dropped whole; of others the rows of those
/// projects go whose time is over. Traces, sessions and minutes follow. Every replica runs one; steps take turns by an advisory lock.
/// </summary>
internal sealed partial class RetentionJob(
    RetentionStore store, DatabaseState state, RetentionMetrics metrics, IOptions<RetentionOptions> options,
    TimeProvider time, ILogger<RetentionJob> logger)
    : DatabaseLoop(state, time, Every(options.Value.Interval, time), options.Value.Interval)
{
    private readonly RetentionOptions _options = options.Value;

    /// <inheritdoc/>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        await RunAsync(cancellationToken);
        return _options.Interval;
    }

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    /// <summary>Removes what has expired by now. Can be stopped and repeated at any time.</summary>
    internal async Task RunAsync(CancellationToken cancellationToken)
    {
        var now = Time.GetUtcNow();
        var projects = (await store.ReadProjectsAsync(cancellationToken)).ConvertAll(
            project => new Keeping(project.Id, project.Name, _options.DaysOf(project.Name), now));
        var oldestKept = long.MaxValue;
        foreach (var leaf in await store.ReadLeavesAsync(now, TimeSpan.FromDays(_options.LateDays), cancellationToken))
        {
            var expired = projects.Where(project => project.HasExpired(leaf, _options.LateDays, now)).ToList();
            var dropped = false;
            if (expired.Count > 0 && expired.Count == projects.Count && leaf.EndNanos is not null)
            {
                dropped = await DropAsync(leaf, expired, cancellationToken);
            }
            else
            {
                await RemoveAsync(leaf, expired, oldestKept, cancellationToken);
            }

            if (!dropped && leaf is { Signal: Signal.Spans, StartNanos: { } start })
            {
                oldestKept = Math.Min(oldestKept, start);
            }
        }

        metrics.Finished(now);
    }

    private async Task<bool> DropAsync(RetentionLeaf leaf, List<Keeping> projects, CancellationToken cancellationToken)
    {
        if (_options.DryRun)
        {
            Log.WouldDrop(logger, leaf.Table);
            return false;
        }

        await RemoveRollupsAsync(leaf, projects, leaf.EndNanos!.Value, cancellationToken);
        if (!await store.DropAsync(leaf, new RetentionAudit(projects[0].Now, string.Empty, "all it held had expired for every project"),
            cancellationToken))
        {
            Log.Busy(logger, leaf.Table);
            return false;
        }

        metrics.CountPartition(leaf.Signal);
        Log.Dropped(logger, leaf.Table);
        return true;
    }

    private async Task RemoveAsync(RetentionLeaf leaf, List<Keeping> projects, long oldestKept, CancellationToken cancellationToken)
    {
        foreach (var project in projects)
        {
            if (_options.DryRun)
            {
                Log.WouldRemove(logger, project.Name, leaf.Table);
                continue;
            }

            var total = 0L;
            for (int removed; (removed = await store.RemoveRowsAsync(
                leaf, project.Id, project.CutoffNanos, _options.StepRows, project.Audit, cancellationToken)) > 0;)
            {
                total += removed;
                metrics.CountRows(leaf.Signal, removed);
            }

            if (total > 0)
            {
                Log.Removed(logger, total, project.Name, leaf.Table);
            }

            await RemoveRollupsAsync(leaf, [project], leaf.EndNanos ?? oldestKept, cancellationToken);
        }
    }

    /// <summary>
    /// Removes the roll-ups and vectors of what started in the partition; of the default one: before <paramref name="endNanos"/>, where no
    /// partition is kept.
    /// </summary>
    private async Task RemoveRollupsAsync(RetentionLeaf leaf, List<Keeping> projects, long endNanos, CancellationToken cancellationToken)
    {
        if (leaf.Signal != Signal.Spans)
        {
            return;
        }

        foreach (var project in projects)
        {
            var end = Math.Min(endNanos, project.CutoffNanos);
            while (await store.RemoveRollupsAsync(project.Id, leaf.StartNanos ?? 0, end, project.CutoffNanos, _options.StepRows,
                project.Audit, cancellationToken) is > 0 and var traces)
            {
                metrics.CountTraces(traces);
            }

            while (await store.RemoveVectorsAsync(
                project.Id, leaf.StartNanos ?? 0, end, _options.StepRows, project.Audit, cancellationToken) > 0)
            {
            }
        }
    }

    /// <summary>How long one project's telemetry is kept.</summary>
    private sealed class Keeping(int id, string name, int days, DateTimeOffset now)
    {
        public int Id => id;

        public string Name => name;

        /// <summary>Start of the run.</summary>
        public DateTimeOffset Now => now;

        /// <summary>What the audit says of rows of the project alone.</summary>
        public RetentionAudit Audit { get; } = new(now, name, string.Create(CultureInfo.InvariantCulture, $"kept for {days} days"));

        /// <summary>What is older has expired, Unix ns.</summary>
        public long CutoffNanos { get; } = days == 0
            ? long.MinValue
            : Math.Max(0, (now - TimeSpan.FromDays(days) - DateTimeOffset.UnixEpoch).Ticks * 100);

        /// <summary>
        /// Whether all rows of the project in the partition have expired (of the default one: whether some may have), and none came lately.
        /// </summary>
        public bool HasExpired(RetentionLeaf leaf, int lateDays, DateTimeOffset at) =>
            days > 0 && (leaf.EndNanos ?? 0) <= CutoffNanos && leaf.ChangedAt <= at - TimeSpan.FromDays(Math.Min(lateDays, days));
    }
}
