using System.Net;
using System.Net.Sockets;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace Aspire.Hosting;

/// <summary>Shaping resources: endpoints, and the health check over one.</summary>
public static partial class ResourceBuilderExtensions
{
    /// <summary>
    /// Declares an endpoint; one of that name that exists already is updated by the arguments that are not null. <paramref name="env"/>
    /// names a variable that gets the target port.
    /// </summary>
    public static IResourceBuilder<T> WithEndpoint<T>(
        this IResourceBuilder<T> builder,
        int? port = null,
        int? targetPort = null,
        string? scheme = null,
        string? name = null,
        string? env = null,
        bool? isProxied = null,
        bool? isExternal = null,
        ProtocolType? protocol = null)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        var endpointName = name ?? scheme ?? (protocol == ProtocolType.Udp ? "udp" : "tcp");
        var endpoint = builder.Resource.GetEndpoint(endpointName) is { Exists: true } existing ? existing.EndpointAnnotation : null;
        if (endpoint is null)
        {
            endpoint = new EndpointAnnotation(
                protocol ?? ProtocolType.Tcp, scheme, transport: null, endpointName, port, targetPort, isExternal, isProxied);
            builder.WithAnnotation(endpoint);
        }
        else
        {
            Update(endpoint);
        }

        if (env is not null && builder is IResourceBuilder<IResourceWithEnvironment> consumer)
        {
            consumer.WithAnnotation(new EndpointVariableAnnotation(endpoint, env));
            consumer.WithEnvironment(env, new EndpointReference(builder.Resource, endpoint).Property(EndpointProperty.TargetPort));
        }

        return builder;

        void Update(EndpointAnnotation present)
        {
            present.Port = port ?? present.Port;
            present.TargetPort = targetPort ?? present.TargetPort;
            present.UriScheme = scheme ?? present.UriScheme;
            present.Protocol = protocol ?? present.Protocol;
            present.IsExplicitlyProxied = isProxied ?? present.IsExplicitlyProxied;
            present.IsExternal = isExternal ?? present.IsExternal;
        }
    }

    public static IResourceBuilder<T> WithHttpEndpoint<T>(
        this IResourceBuilder<T> builder, int? port = null, int? targetPort = null, string? name = null,
        string? env = null, bool? isProxied = null)
        where T : IResourceWithEndpoints => builder.WithEndpoint(port, targetPort, scheme: "http", name, env, isProxied);

    public static IResourceBuilder<T> WithHttpsEndpoint<T>(
        this IResourceBuilder<T> builder, int? port = null, int? targetPort = null, string? name = null,
        string? env = null, bool? isProxied = null)
        where T : IResourceWithEndpoints => builder.WithEndpoint(port, targetPort, scheme: "https", name, env, isProxied);

    /// <summary>Changes an endpoint; a missing one is made first, unless told not to.</summary>
    public static IResourceBuilder<T> WithEndpoint<T>(
        this IResourceBuilder<T> builder, string endpointName, Action<EndpointAnnotation> callback, bool createIfNotExists = true)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(endpointName);
        ArgumentNullException.ThrowIfNull(callback);
        var endpoint = builder.Resource.Annotations.OfType<EndpointAnnotation>()
            .FirstOrDefault(annotation => string.Equals(annotation.Name, endpointName, StringComparison.OrdinalIgnoreCase));
        if (endpoint is not null)
        {
            callback(endpoint);
        }
        else if (createIfNotExists)
        {
            endpoint = new EndpointAnnotation(ProtocolType.Tcp, name: endpointName);
            callback(endpoint);
            builder.WithAnnotation(endpoint);
        }

        return builder;
    }

    /// <summary>Makes the http and https endpoints declared so far reachable from outside the deployment.</summary>
    public static IResourceBuilder<T> WithExternalHttpEndpoints<T>(this IResourceBuilder<T> builder)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        foreach (var endpoint in builder.Resource.Annotations.OfType<EndpointAnnotation>().Where(endpoint => endpoint.IsHttpScheme))
        {
            endpoint.IsExternal = true;
        }

        return builder;
    }

    /// <summary>The endpoint of that name, which may be declared later.</summary>
    public static EndpointReference GetEndpoint<T>(this IResourceBuilder<T> builder, string name)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.Resource.GetEndpoint(name);
    }

    /// <summary>Every endpoint speaks HTTP/2.</summary>
    public static IResourceBuilder<T> AsHttp2Service<T>(this IResourceBuilder<T> builder)
        where T : IResourceWithEndpoints => builder.WithAnnotation(new Http2ServiceAnnotation());

    /// <summary>
    /// Healthy when a GET of the path on the named endpoint (else <c>https</c>, else <c>http</c>) answers the status, 200 by default.
    /// </summary>
    /// <exception cref="DistributedApplicationException">There is no such endpoint yet, or it does not speak HTTP.</exception>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(
        this IResourceBuilder<T> builder, string? path = null, int? statusCode = null, string? endpointName = null)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        string[] names = endpointName is null ? ["https", "http"] : [endpointName];
        return builder.WithHttpHealthCheck(
            () => names.Select(builder.GetEndpoint).FirstOrDefault(endpoint => endpoint.Exists)
                ?? throw new DistributedApplicationException(
                    $"Could not create HTTP health check for resource '{builder.Resource.Name}' as no endpoint was found matching one of the specified names: {string.Join(", ", names)}"),
            path,
            statusCode);
    }

    /// <inheritdoc cref="WithHttpHealthCheck{T}(IResourceBuilder{T}, string?, int?, string?)"/>
    public static IResourceBuilder<T> WithHttpHealthCheck<T>(
        this IResourceBuilder<T> builder, Func<EndpointReference>? endpointSelector, string? path = null, int? statusCode = null)
        where T : IResourceWithEndpoints
    {
        ArgumentNullException.ThrowIfNull(builder);
        if (endpointSelector is null)
        {
            return builder.WithHttpHealthCheck(path, statusCode, endpointName: null);
        }

        var endpoint = endpointSelector();
        if (!endpoint.EndpointAnnotation.IsHttpScheme)
        {
            throw new DistributedApplicationException(
                $"Could not create HTTP health check for resource '{builder.Resource.Name}' as the endpoint with name '{endpoint.EndpointName}' and scheme '{endpoint.Scheme}' is not an HTTP endpoint.");
        }

        var checkedPath = path ?? "/";
        var expectedStatus = statusCode ?? (int)HttpStatusCode.OK;
        var key = $"{builder.Resource.Name}_{endpoint.EndpointName}_{checkedPath}_{expectedStatus}_check";
        builder.ApplicationBuilder.Services.AddHealthChecks().Add(new HealthCheckRegistration(
            key,
            services => new HttpHealthCheck(
                services.GetRequiredService<IHttpClientFactory>(),
                _ => ValueTask.FromResult(endpoint.IsAllocated ? new Uri(new Uri(endpoint.Url), checkedPath) : null),
                expectedStatus),
            failureStatus: null,
            tags: null));
        return builder.WithHealthCheck(key);
    }
}

/// <summary>
/// The variable that tells the process the port of an endpoint; such an endpoint stays out of <c>ASPNETCORE_URLS</c> and <c>HTTP_PORTS</c>.
/// </summary>
internal sealed class EndpointVariableAnnotation(EndpointAnnotation endpoint, string variable) : IResourceAnnotation
{
    public EndpointAnnotation Endpoint { get; } = endpoint;

    public string Variable { get; } = variable;
}

/// <summary>All endpoints of the resource speak HTTP/2, those declared later too.</summary>
internal sealed class Http2ServiceAnnotation : IResourceAnnotation;
