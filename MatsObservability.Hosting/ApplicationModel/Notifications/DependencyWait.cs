using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Carries out the waits of one resource.</summary>
internal sealed partial class DependencyWait(
    ResourceNotificationService notifications, ILogger logger, IResource waiter, WaitBehavior defaultBehavior)
{
    public Task WaitAsync(WaitAnnotation wait, CancellationToken cancellationToken) => wait.WaitType switch
    {
        WaitType.WaitForCompletion => WaitForCompletionAsync(wait, cancellationToken),
        WaitType.WaitUntilStarted => WaitUntilStartedAsync(wait, cancellationToken),
        _ => WaitUntilHealthyAsync(wait, cancellationToken),
    };

    private async Task WaitUntilHealthyAsync(WaitAnnotation wait, CancellationToken cancellationToken)
    {
        var name = wait.Resource.Name;
        await WaitUntilStartedAsync(wait, cancellationToken);
        if (wait.Resource.HasAnnotationOfType<HealthCheckAnnotation>())
        {
            Log.WaitingForHealthy(logger, name);
        }

        await notifications.WaitForResourceHealthyAsync(name, wait.WaitBehavior ?? defaultBehavior, cancellationToken);
        Log.FinishedWaiting(logger, name);
    }

    private async Task WaitUntilStartedAsync(WaitAnnotation wait, CancellationToken cancellationToken)
    {
        var name = wait.Resource.Name;
        var stopsWhenUnavailable = (wait.WaitBehavior ?? defaultBehavior) == WaitBehavior.StopOnResourceUnavailable;
        Log.WaitingForStart(logger, name);
        var reached = await notifications.WaitForResourceAsync(
            name,
            current => current.Snapshot.State?.Text == KnownResourceStates.Running
                || (stopsWhenUnavailable && ResourceNotificationService.IsUnavailable(current)),
            cancellationToken);
        if (ResourceNotificationService.IsUnavailable(reached))
        {
            throw new DistributedApplicationException(
                $"Resource '{waiter.Name}' cannot start: dependency resource '{name}' is '{reached.Snapshot.State?.Text}'{ExitCode(reached)}.");
        }
    }

    private async Task WaitForCompletionAsync(WaitAnnotation wait, CancellationToken cancellationToken)
    {
        var name = wait.Resource.Name;
        Log.WaitingForCompletion(logger, name);
        var ended = await notifications.WaitForResourceAsync(
            name, current => current.Snapshot.State?.Text is { } state && KnownResourceStates.TerminalStates.Contains(state),
            cancellationToken);
        if (ended.Snapshot.State!.Text == KnownResourceStates.FailedToStart)
        {
            throw new DistributedApplicationException($"Resource '{waiter.Name}' cannot start: dependency resource '{name}' failed to start.");
        }

        if (ended.Snapshot.ExitCode is { } exitCode && exitCode != wait.ExitCode)
        {
            throw new DistributedApplicationException(
                $"Resource '{waiter.Name}' cannot start: dependency resource '{name}' ended with exit code {exitCode}, expected {wait.ExitCode}.");
        }

        Log.FinishedWaiting(logger, name);
    }

    private static string ExitCode(ResourceEvent current) => current.Snapshot.ExitCode is { } code ? $" (exit code {code})" : "";
}
