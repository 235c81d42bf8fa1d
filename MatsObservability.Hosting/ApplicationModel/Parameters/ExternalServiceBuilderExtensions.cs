using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting;

/// <summary>Services that run elsewhere.</summary>
public static class ExternalServiceBuilderExtensions
{
    /// <exception cref="ArgumentException">Not an absolute URL with the path <c>/</c> and no query or fragment.</exception>
    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, string url)
    {
        ArgumentNullException.ThrowIfNull(url);
        return Uri.TryCreate(url, UriKind.Absolute, out var uri)
            ? builder.AddExternalService(name, uri)
            : throw new ArgumentException($"The URL of the external service '{name}' must be absolute, got '{url}'.", nameof(url));
    }

    /// <inheritdoc cref="AddExternalService(IDistributedApplicationBuilder, string, string)"/>
    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, Uri uri)
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.AddResource(new ExternalServiceResource(name, uri)).ExcludeFromManifest();
    }

    /// <summary>A service whose URL a parameter gives.</summary>
    public static IResourceBuilder<ExternalServiceResource> AddExternalService(
        this IDistributedApplicationBuilder builder, string name, IResourceBuilder<ParameterResource> urlParameter)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(urlParameter);
        return builder.AddResource(new ExternalServiceResource(name, urlParameter.Resource)).WithReferenceRelationship(
            urlParameter.Resource)
            .ExcludeFromManifest();
    }

    /// <summary>Healthy when a GET of the path answers the status, 200 by default.</summary>
    public static IResourceBuilder<ExternalServiceResource> WithHttpHealthCheck(
        this IResourceBuilder<ExternalServiceResource> builder, string? path = null, int? statusCode = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var service = builder.Resource;
        var checkedPath = path ?? "/";
        var expectedStatus = statusCode ?? 200;
        var key = $"{service.Name}_external_{checkedPath}_{expectedStatus}_check";
        builder.ApplicationBuilder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
            key,
            services => new HttpHealthCheck(services.GetRequiredService<IHttpClientFactory>(), UrlAsync, expectedStatus),
            failureStatus: null,
            tags: null));
        return builder.WithHealthCheck(key);

        async ValueTask<Uri?> UrlAsync(CancellationToken cancellationToken)
        {
            var url = service.Uri ?? ExternalServiceUrl.Parse(service.Name, await service.UrlParameter!.GetValueAsync(cancellationToken));
            return new Uri(url, checkedPath);
        }
    }
}
