using System.Collections.Immutable;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run;

/// <summary>The URLs that people are shown for a resource.</summary>
internal static class ResourceUrls
{
    /// <summary>One for each endpoint, then what the model adds or changes. They are inactive until the resource runs.</summary>
    public static async Task<ImmutableArray<UrlSnapshot>> OfAsync(
        RunContext context, IResource resource, CancellationToken cancellationToken)
    {
        var urls = new List<ResourceUrlAnnotation>();
        if (resource is IResourceWithEndpoints withEndpoints)
        {
            urls.AddRange(resource.Annotations.OfType<EndpointAnnotation>()
                .Where(endpoint => endpoint.AllocatedEndpoint is not null)
                .Select(endpoint => new ResourceUrlAnnotation
                {
                    Url = endpoint.AllocatedEndpoint!.UriString,
                    Endpoint = new EndpointReference(withEndpoints, endpoint),
                }));
        }

        urls.AddRange(resource.Annotations.OfType<ResourceUrlAnnotation>());
        var callback = new ResourceUrlsCallbackContext(context.Execution, resource, urls, cancellationToken);
        foreach (var annotation in resource.Annotations.OfType<ResourceUrlsCallbackAnnotation>().ToArray())
        {
            await annotation.Callback(callback);
        }

        return [.. urls.Select(
            url => new UrlSnapshot(url.Endpoint?.EndpointName ?? url.DisplayText, Absolute(url),
                IsInternal: url.DisplayLocation == UrlDisplayLocation.DetailsOnly) { IsInactive = true })];
    }

    private static string Absolute(ResourceUrlAnnotation url) =>
        url.Endpoint is { IsAllocated: true } endpoint && url.Url.StartsWith('/') ? endpoint.Url + url.Url : url.Url;
}
