namespace Aspire.Hosting.ApplicationModel;

/// <summary>How many instances of a resource run.</summary>
public class ReplicaAnnotation(int replicas = 1) : IResourceAnnotation
{
    public int Replicas { get; } = replicas;
}

/// <summary>The resource is healthy only if the registered health check of this key is.</summary>
public class HealthCheckAnnotation(string key) : IResourceAnnotation
{
    public string Key { get; } = key ?? throw new ArgumentNullException(nameof(key));
}

/// <summary>The resource starts only by the command <c>start</c>.</summary>
public class ExplicitStartupAnnotation : IResourceAnnotation;

/// <summary>The launch profile of a project.</summary>
public class LaunchProfileAnnotation(string launchProfileName) : IResourceAnnotation
{
    public string LaunchProfileName { get; } = launchProfileName ?? throw new ArgumentNullException(nameof(launchProfileName));
}

/// <summary>A relationship for display: <c>Reference</c>, <c>WaitFor</c>, <c>Parent</c>, or a type of one's own.</summary>
public sealed class ResourceRelationshipAnnotation(IResource resource, string type) : IResourceAnnotation
{
    public IResource Resource { get; } = resource ?? throw new ArgumentNullException(nameof(resource));

    public string Type { get; } = type ?? throw new ArgumentNullException(nameof(type));
}

/// <summary>Which endpoints of another resource this one is told about.</summary>
public sealed class EndpointReferenceAnnotation(IResourceWithEndpoints resource) : IResourceAnnotation
{
    public IResourceWithEndpoints Resource { get; } = resource ?? throw new ArgumentNullException(nameof(resource));

    public bool UseAllEndpoints { get; set; }

    /// <summary>Names, ignoring case; meant only when not <see cref="UseAllEndpoints"/>.</summary>
    public ISet<string> EndpointNames { get; } = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
}

/// <summary>The resource exports OpenTelemetry data.</summary>
public class OtlpExporterAnnotation : IResourceAnnotation
{
    public OtlpProtocol? RequiredProtocol { get; init; }
}

/// <summary>What a dependent does when the resource it waits for ends or cannot start.</summary>
public enum WaitBehavior
{
    WaitOnResourceUnavailable = 0,
    StopOnResourceUnavailable = 1,
}

/// <summary>What is waited for.</summary>
public enum WaitType
{
    WaitUntilHealthy = 0,
    WaitForCompletion = 1,
    WaitUntilStarted = 2,
}

/// <summary>The resource starts only when another one is healthy, started or done.</summary>
public class WaitAnnotation(IResource resource, WaitType waitType, int exitCode = 0) : IResourceAnnotation
{
    public IResource Resource { get; } = resource ?? throw new ArgumentNullException(nameof(resource));

    public WaitType WaitType { get; } = waitType;

    /// <summary>The exit code that counts as done; meant only for <see cref="ApplicationModel.WaitType.WaitForCompletion"/>.</summary>
    public int ExitCode { get; } = exitCode;

    /// <summary>Null = the default of the run.</summary>
    public WaitBehavior? WaitBehavior { get; init; }
}

/// <summary>Which families of variables a reference puts into its consumer.</summary>
[Flags]
public enum ReferenceEnvironmentInjectionFlags
{
    None = 0,
    ConnectionString = 1,
    ConnectionProperties = 2,
    ServiceDiscovery = 4,
    Endpoints = 8,
    All = 15,
}

/// <summary>The flags set by <c>WithReferenceEnvironment</c>.</summary>
internal sealed class ReferenceEnvironmentInjectionAnnotation(ReferenceEnvironmentInjectionFlags flags) : IResourceAnnotation
{
    public ReferenceEnvironmentInjectionFlags Flags { get; } = flags;
}

/// <summary>
/// The ids of the running instances of a resource, set by the run; without it a resource has one instance, named like itself.
/// </summary>
internal sealed class ResourceInstancesAnnotation(IReadOnlyList<string> ids) : IResourceAnnotation
{
    public IReadOnlyList<string> Ids { get; } = ids;
}

/// <summary>A further property of a connection, or another text for one.</summary>
internal sealed class ConnectionPropertyAnnotation(string name, ReferenceExpression expression) : IResourceAnnotation
{
    public string Name { get; } = name;

    public ReferenceExpression Expression { get; } = expression;
}

/// <summary>Another resource whose connection string stands for this one's.</summary>
internal sealed class ConnectionStringRedirectAnnotation(IResourceWithConnectionString resource) : IResourceAnnotation
{
    public IResourceWithConnectionString Resource { get; } = resource;
}
