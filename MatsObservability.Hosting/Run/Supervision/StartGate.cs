using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>What comes before a start, for all instances of a resource: the event, the waits; and who shares its state.</summary>
internal sealed class StartGate(RunContext context, IResource resource)
{
    private readonly Lock _lock = new();
    private readonly IResource[] _children = [.. context.Model.Resources.OfType<IResourceWithParent>()
        .Where(child => ReferenceEquals(child.Parent, resource))];
    private Task? _first;

    /// <summary>False for a resource whose exit code others wait for: its end is its result.</summary>
    public bool RestartsAfterCrash { get; } = !context.Model.Resources
        .SelectMany(other => other.Annotations.OfType<WaitAnnotation>())
        .Any(wait => wait.WaitType == WaitType.WaitForCompletion && ReferenceEquals(wait.Resource, resource));

    /// <summary>Returns when a start may go on. Several instances share one pass; a single one passes at every start.</summary>
    public Task PassAsync(CancellationToken cancellationToken)
    {
        if (RunContext.InstancesOf(resource).Count == 1)
        {
            return WaitAsync(cancellationToken);
        }

        lock (_lock)
        {
            // Shared, so no single instance's command may cancel it; the end of the run ends the waits in it.
            _first ??= WaitAsync(CancellationToken.None);
        }

        return _first.WaitAsync(cancellationToken);
    }

    /// <summary>A database shows the state of its server, but its own health.</summary>
    public async Task MirrorAsync(Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        foreach (var child in _children)
        {
            await context.Notifications.PublishUpdateAsync(child, snapshot => change(snapshot) with
            {
                EnvironmentVariables = [],
                Properties = snapshot.Properties,
            });
        }
    }

    private async Task WaitAsync(CancellationToken cancellationToken)
    {
        await context.Eventing.PublishAsync(new BeforeResourceStartedEvent(resource, context.Services), cancellationToken);
        await context.Notifications.WaitForDependenciesAsync(resource, cancellationToken);
    }
}
