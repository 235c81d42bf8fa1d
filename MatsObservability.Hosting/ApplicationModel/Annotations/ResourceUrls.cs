namespace Aspire.Hosting.ApplicationModel;

/// <summary>Where a URL is shown.</summary>
public enum UrlDisplayLocation
{
    SummaryAndDetails = 0,
    DetailsOnly = 1,
}

/// <summary>A URL that people are shown for a resource.</summary>
public sealed class ResourceUrlAnnotation : IResourceAnnotation
{
    /// <summary>Absolute, or relative to <see cref="Endpoint"/>.</summary>
    public required string Url { get; set; }

    public string? DisplayText { get; set; }

    public UrlDisplayLocation DisplayLocation { get; set; }

    /// <summary>The endpoint the URL is of, null for a static one.</summary>
    public EndpointReference? Endpoint { get; init; }
}

/// <summary>What a URL callback sees and changes, once the endpoints are allocated.</summary>
public class ResourceUrlsCallbackContext
{
    internal ResourceUrlsCallbackContext(
        DistributedApplicationExecutionContext executionContext, IResource resource, List<ResourceUrlAnnotation> urls,
        CancellationToken cancellationToken)
    {
        ExecutionContext = executionContext;
        Resource = resource;
        Urls = urls;
        CancellationToken = cancellationToken;
    }

    public IResource Resource { get; }

    public List<ResourceUrlAnnotation> Urls { get; }

    public CancellationToken CancellationToken { get; }

    public DistributedApplicationExecutionContext ExecutionContext { get; }

    /// <summary>The resource's endpoint of that name, null if it has none.</summary>
    public EndpointReference? GetEndpoint(string name) =>
        Resource is IResourceWithEndpoints resource && new EndpointReference(resource, name) is { Exists: true } endpoint ? endpoint : null;
}

internal sealed class ResourceUrlsCallbackAnnotation(Func<ResourceUrlsCallbackContext, Task> callback) : IResourceAnnotation
{
    public Func<ResourceUrlsCallbackContext, Task> Callback { get; } = callback;
}
