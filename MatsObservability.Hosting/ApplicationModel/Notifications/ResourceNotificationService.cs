using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>Keeps the present state of every instance of every resource, and tells whoever watches or waits.</summary>
public class ResourceNotificationService : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, ResourceEvent> _states = new(StringComparer.OrdinalIgnoreCase);
    private readonly List<Channel<ResourceEvent>> _watchers = [];
    private readonly CancellationTokenSource _stopping;
    private readonly ResourceLoggerService _loggers;
    private readonly IServiceProvider _services;
    private readonly WaitBehavior _defaultWaitBehavior;

    internal ResourceNotificationService(
        ResourceLoggerService loggers, IHostApplicationLifetime lifetime, IServiceProvider services, WaitBehavior defaultWaitBehavior)
    {
        _loggers = loggers;
        _services = services;
        _defaultWaitBehavior = defaultWaitBehavior;
        _stopping = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping);
    }

    /// <summary>
    /// Waits until an instance of the resource is in a state; <see cref="KnownResourceStates.Running"/> if none is given. Returns at once
    /// if it is already.
    /// </summary>
    public async Task WaitForResourceAsync(string resourceName, string? targetState = null,
        CancellationToken cancellationToken = default) =>
        await WaitForResourceAsync(resourceName, [targetState ?? KnownResourceStates.Running], cancellationToken);

    /// <summary>Waits until an instance of the resource is in one of the states, and returns that state.</summary>
    public async Task<string> WaitForResourceAsync(
        string resourceName, IEnumerable<string> targetStates, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(targetStates);
        var states = targetStates.ToHashSet(StringComparer.OrdinalIgnoreCase);
        var reached = await WaitForResourceAsync(
            resourceName, current => current.Snapshot.State?.Text is { } state && states.Contains(state), cancellationToken);
        return reached.Snapshot.State!.Text;
    }

    /// <summary>Waits until an event of the resource satisfies the predicate; the present state counts as an event.</summary>
    /// <exception cref="OperationCanceledException">Cancelled, or the application is stopping.</exception>
    public async Task<ResourceEvent> WaitForResourceAsync(
        string resourceName, Func<ResourceEvent, bool> predicate, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(resourceName);
        ArgumentNullException.ThrowIfNull(predicate);
        await foreach (var current in WatchAsync(cancellationToken))
        {
            if (string.Equals(current.Resource.Name, resourceName, StringComparison.OrdinalIgnoreCase) && predicate(current))
            {
                return current;
            }
        }

        throw new OperationCanceledException($"The application stopped before the resource '{resourceName}' met the condition.");
    }

    /// <summary>Waits until the resource runs, is healthy and its ready handlers are done.</summary>
    /// <exception cref="DistributedApplicationException">It ended or cannot start, and the behaviour is to stop then.</exception>
    public Task<ResourceEvent> WaitForResourceHealthyAsync(string resourceName, CancellationToken cancellationToken = default) =>
        WaitForResourceHealthyAsync(resourceName, _defaultWaitBehavior, cancellationToken);

    /// <inheritdoc cref="WaitForResourceHealthyAsync(string, CancellationToken)"/>
    public async Task<ResourceEvent> WaitForResourceHealthyAsync(
        string resourceName, WaitBehavior waitBehavior, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(resourceName);
        if (waitBehavior == WaitBehavior.StopOnResourceUnavailable && !Knows(resourceName))
        {
            throw new DistributedApplicationException($"Resource '{resourceName}' not found.");
        }

        var reached = await WaitForResourceAsync(
            resourceName,
            current => (IsHealthy(current) && current.Snapshot.Ready is not null)
                || (waitBehavior == WaitBehavior.StopOnResourceUnavailable && IsUnavailable(current)),
            cancellationToken);
        if (!IsHealthy(reached))
        {
            throw new DistributedApplicationException(
                $"Stopped waiting for resource '{resourceName}' to become healthy because its state is '{reached.Snapshot.State?.Text}'.");
        }

        await reached.Snapshot.Ready!.WaitAsync(cancellationToken);
        return reached;
    }

    /// <summary>
    /// Waits for everything the resource's annotations say; it is <see cref="KnownResourceStates.Waiting"/> meanwhile. Waits run together.
    /// </summary>
    /// <exception cref="DistributedApplicationException">Something it waits for ended, cannot start, or ended with another exit
    /// code.</exception>
    public async Task WaitForDependenciesAsync(IResource resource, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var waits = resource.Annotations.OfType<WaitAnnotation>()
            .DistinctBy(wait => (wait.Resource, wait.WaitType, wait.ExitCode))
            .Where(wait => wait.Resource is not IResourceWithoutLifetime)
            .ToArray();
        if (waits.Length == 0)
        {
            return;
        }

        await PublishUpdateAsync(resource, snapshot => snapshot with { State = KnownResourceStates.Waiting });
        var dependencies = new DependencyWait(this, _loggers.GetLogger(resource), resource, _defaultWaitBehavior);
        await Task.WhenAll(waits.Select(wait => dependencies.WaitAsync(wait, cancellationToken)));
    }

    /// <summary>The present state of an instance; a resource's name will do if it has one instance.</summary>
    public bool TryGetCurrentState(string resourceId, [NotNullWhen(true)] out ResourceEvent? resourceEvent)
    {
        ArgumentNullException.ThrowIfNull(resourceId);
        lock (_lock)
        {
            if (_states.TryGetValue(resourceId, out resourceEvent))
            {
                return true;
            }

            var instances = _states.Values.Where(
                state => string.Equals(state.Resource.Name, resourceId, StringComparison.OrdinalIgnoreCase))
                .Take(2).ToArray();
            resourceEvent = instances.Length == 1 ? instances[0] : null;
            return resourceEvent is not null;
        }
    }

    /// <summary>The present states, then every change, until cancelled or the application stops.</summary>
    public async IAsyncEnumerable<ResourceEvent> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, _stopping.Token);
        var channel = Channel.CreateUnbounded<ResourceEvent>(new UnboundedChannelOptions { SingleReader = true });
        lock (_lock)
        {
            foreach (var state in _states.Values)
            {
                channel.Writer.TryWrite(state);
            }

            _watchers.Add(channel);
        }

        try
        {
            await foreach (var current in channel.Reader.ReadAllAsync(stop.Token))
            {
                yield return current;
            }
        }
        finally
        {
            lock (_lock)
            {
                _watchers.Remove(channel);
            }
        }
    }

    /// <summary>Changes the state of every instance of the resource.</summary>
    public async Task PublishUpdateAsync(IResource resource, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        ArgumentNullException.ThrowIfNull(resource);
        foreach (var id in resource.Annotations.OfType<ResourceInstancesAnnotation>().LastOrDefault()?.Ids ?? [resource.Name])
        {
            await PublishUpdateAsync(resource, id, stateFactory);
        }
    }

    /// <summary>
    /// Changes the state of one instance: the factory gets the present snapshot and returns the new one. Changes of one instance do not
    /// overlap.
    /// </summary>
    public Task PublishUpdateAsync(IResource resource, string resourceId, Func<CustomResourceSnapshot, CustomResourceSnapshot> stateFactory)
    {
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(resourceId);
        ArgumentNullException.ThrowIfNull(stateFactory);
        lock (_lock)
        {
            var present = _states.TryGetValue(resourceId, out var state) ? state.Snapshot : SnapshotFactory.Initial(resource);
            var updated = new ResourceEvent(resource, resourceId, SnapshotFactory.Complete(resource, stateFactory(present), _services));
            _states[resourceId] = updated;
            foreach (var watcher in _watchers)
            {
                watcher.Writer.TryWrite(updated);
            }
        }

        return Task.CompletedTask;
    }

    public void Dispose()
    {
        _stopping.Cancel();
        _stopping.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Ended, or impossible to start.</summary>
    internal static bool IsUnavailable(ResourceEvent current) =>
        current.Snapshot.State?.Text is { } state
            && (KnownResourceStates.TerminalStates.Contains(state) || state == KnownResourceStates.RuntimeUnhealthy);

    private static bool IsHealthy(ResourceEvent current) => current.Snapshot.HealthStatus == HealthStatus.Healthy;

    private bool Knows(string resourceName)
    {
        var model = (DistributedApplicationModel?)_services.GetService(typeof(DistributedApplicationModel));
        lock (_lock)
        {
            return model?.Resources.TryGetByName(resourceName, out _) == true
                || _states.Values.Any(state => string.Equals(state.Resource.Name, resourceName, StringComparison.OrdinalIgnoreCase));
        }
    }
}
