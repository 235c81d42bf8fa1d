using System.Collections.Immutable;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>
/// Runs the health checks of every running resource, publishes their reports, and fires <see cref="ResourceReadyEvent"/> once per start.
/// </summary>
internal sealed class HealthMonitor(RunContext context, HealthCheckService checks, ILogger<HealthMonitor> logger)
{
    private static readonly TimeSpan s_healthyInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_firstInterval = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan s_longestFirstInterval = TimeSpan.FromSeconds(1);

    /// <summary>Follows the states of all resources until cancelled.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        var watched = new Dictionary<IResource, Watch>();
        try
        {
            await foreach (var change in context.Notifications.WatchAsync(cancellationToken))
            {
                // Its own state as the event tells it, not as it is by now: a quick stop and start must not be missed.
                var isRunning = change.Snapshot.State?.Text == KnownResourceStates.Running
                    || RunContext.InstancesOf(change.Resource).Any(id => id != change.ResourceId && IsRunning(id));
                if (isRunning && !watched.ContainsKey(change.Resource))
                {
                    var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
                    watched[change.Resource] = new Watch(stop, WatchAsync(change.Resource, stop.Token));
                }
                else if (!isRunning && watched.Remove(change.Resource, out var watch))
                {
                    await watch.EndAsync();
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over, or the application is stopping.
        }
        finally
        {
            await Task.WhenAll(watched.Values.Select(watch => watch.EndAsync()));
        }
    }

    private async Task WatchAsync(IResource resource, CancellationToken cancellationToken)
    {
        await Task.Yield();
        try
        {
            var keys = resource.Annotations.OfType<HealthCheckAnnotation>().Select(check => check.Key).ToHashSet(StringComparer.Ordinal);
            if (keys.Count == 0)
            {
                await PublishAsync(resource, [], cancellationToken);
                return;
            }

            var wasHealthy = false;
            for (var failures = 0; ;)
            {
                var report = await checks.CheckHealthAsync(registration => keys.Contains(registration.Name), cancellationToken);
                var isHealthy = await PublishAsync(resource, ReportsOf(report), cancellationToken);
                wasHealthy |= isHealthy;
                failures = isHealthy ? 0 : failures + 1;
                await Task.Delay(IntervalAfter(failures, wasHealthy), context.Time, cancellationToken);
            }
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            // It does not run any more.
        }
        catch (Exception failure)
        {
            // The loop must outlive nothing silently: what breaks it is told where people look.
            logger.LogError(failure, "The health checks of resource '{Resource}' ended.", resource.Name);
        }
    }

    /// <summary>
    /// 30 s when healthy, else 1 s more with each failure up to 5 s; before the first success shorter, because a start is waited for.
    /// </summary>
    private static TimeSpan IntervalAfter(int failures, bool wasHealthy)
    {
        if (failures == 0)
        {
            return s_healthyInterval;
        }

        var starting = s_firstInterval * failures;
        return wasHealthy
            ? TimeSpan.FromSeconds(Math.Min(5, failures))
            : starting < s_longestFirstInterval ? starting : s_longestFirstInterval;
    }

    /// <summary>
    /// Publishes the reports to every instance and, when that makes the resource healthy for the first time in this start, fires the event.
    /// True when healthy.
    /// </summary>
    private async Task<bool> PublishAsync(IResource resource, ImmutableArray<HealthReportSnapshot> reports,
        CancellationToken cancellationToken)
    {
        var isHealthy = false;
        foreach (var id in RunContext.InstancesOf(resource))
        {
            cancellationToken.ThrowIfCancellationRequested();
            await context.Notifications.PublishUpdateAsync(resource, id,
                snapshot => snapshot.State?.Text == KnownResourceStates.Running ? snapshot with { HealthReports = reports } : snapshot);
            isHealthy |= context.Notifications.TryGetCurrentState(id, out var current)
                && current.Snapshot.HealthStatus == HealthStatus.Healthy;
        }

        if (isHealthy && RunContext.InstancesOf(resource).Any(id => IsRunning(id) && !IsReady(id)))
        {
            var ready = context.Eventing.PublishAsync(
                new ResourceReadyEvent(resource, context.Services), EventDispatchBehavior.BlockingSequential, cancellationToken);
            foreach (var id in RunContext.InstancesOf(resource))
            {
                await context.Notifications.PublishUpdateAsync(
                    resource, id, snapshot =>
                        snapshot.State?.Text == KnownResourceStates.Running ? snapshot with { Ready = snapshot.Ready ?? ready } : snapshot);
            }

            await LogFailureAsync(resource, ready);
        }

        return isHealthy;
    }

    private async Task LogFailureAsync(IResource resource, Task ready)
    {
        try
        {
            await ready;
        }
        catch (Exception failure) when (failure is not OperationCanceledException)
        {
            // Whoever waits for the resource gets the exception; the log says so for people.
            context.Loggers.GetLogger(resource).LogError(failure, "A handler of the ready event failed.");
        }
    }

    private ImmutableArray<HealthReportSnapshot> ReportsOf(HealthReport report) =>
    [
        .. report.Entries.Select(
            entry =>
                new HealthReportSnapshot(entry.Key, entry.Value.Status, entry.Value.Description,
                    entry.Value.Exception?.Message) { LastRunAt = context.Now }),
    ];

    private bool IsRunning(string id) => context.Notifications.TryGetCurrentState(id, out var current)
        && current.Snapshot.State?.Text == KnownResourceStates.Running;

    private bool IsReady(string id) => context.Notifications.TryGetCurrentState(id, out var current) && current.Snapshot.Ready is not null;

    private sealed record Watch(CancellationTokenSource Stop, Task Loop)
    {
        public async Task EndAsync()
        {
            await Stop.CancelAsync();
            await Loop;
            Stop.Dispose();
        }
    }
}
