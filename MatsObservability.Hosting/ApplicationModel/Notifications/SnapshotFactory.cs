namespace Aspire.Hosting.ApplicationModel;

/// <summary>Fills the parts of a snapshot that follow from the model: type, health checks, relationships, commands.</summary>
internal static class SnapshotFactory
{
    public static CustomResourceSnapshot Initial(IResource resource) =>
        resource.Annotations.OfType<InitialSnapshotAnnotation>().LastOrDefault()?.Snapshot
            ?? new CustomResourceSnapshot { ResourceType = TypeOf(resource), Properties = [] };

    public static CustomResourceSnapshot Complete(IResource resource, CustomResourceSnapshot snapshot, IServiceProvider services)
    {
        var missing = resource.Annotations.OfType<HealthCheckAnnotation>()
            .Where(check => !snapshot.HealthReports.Any(report => report.Name == check.Key))
            .Select(check => new HealthReportSnapshot(check.Key, Status: null, Description: null, ExceptionText: null));
        var completed = snapshot with
        {
            HealthReports = [.. snapshot.HealthReports, .. missing],
            Relationships = [.. resource.Annotations.OfType<ResourceRelationshipAnnotation>()
                .Select(r => new RelationshipSnapshot(r.Resource.Name, r.Type)).Distinct()],
        };
        return completed with
        {
            Commands = [.. resource.Annotations.OfType<ResourceCommandAnnotation>().Select(command => new ResourceCommandSnapshot(
                command.Name, command.DisplayName, command.StateOf(completed, services), command.Options.IsHighlighted))],
        };
    }

    private static string TypeOf(IResource resource)
    {
        const string suffix = "Resource";
        var name = resource.GetType().Name;
        return name.EndsWith(suffix, StringComparison.Ordinal) && name.Length > suffix.Length ? name[..^suffix.Length] : name;
    }
}

/// <summary>The first snapshot of a resource, given by whoever added it.</summary>
internal sealed class InitialSnapshotAnnotation(CustomResourceSnapshot snapshot) : IResourceAnnotation
{
    public CustomResourceSnapshot Snapshot { get; } = snapshot;
}
