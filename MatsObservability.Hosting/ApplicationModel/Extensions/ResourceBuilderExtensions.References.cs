using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Shaping resources: references to others, which become variables of the consumer.</summary>
public static partial class ResourceBuilderExtensions
{
    /// <summary><c>ConnectionStrings__name</c>, then <c>NAME_PROPERTY</c> for each part of the connection.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithConnectionString> source,
        string? connectionName = null, bool optional = false)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(source);
        var resource = source.Resource;
        var name = connectionName ?? resource.Name;
        builder.WithReferenceRelationship(resource);
        return builder.WithEnvironment(context =>
        {
            if (Injects(context, ReferenceEnvironmentInjectionFlags.ConnectionString))
            {
                var variable = resource.ConnectionStringEnvironmentVariable ?? $"ConnectionStrings__{name}";
                context.EnvironmentVariables[variable] = new ConnectionStringReference(resource, optional);
            }

            if (Injects(context, ReferenceEnvironmentInjectionFlags.ConnectionProperties))
            {
                var prefix = ModelName.EncodeForEnvironment(name).ToUpperInvariant();
                foreach (var (property, value) in ConnectionProperties(resource))
                {
                    context.EnvironmentVariables[$"{prefix}_{property.ToUpperInvariant()}"] = value;
                }
            }
        });
    }

    /// <summary>Every endpoint of the service: <c>NAME_ENDPOINT</c> and <c>services__name__key__index</c>.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(source);
        ReferTo(builder, source.Resource, endpointName: null);
        return builder;
    }

    /// <summary>As <see cref="WithReference{TDestination}(IResourceBuilder{TDestination}, IResourceBuilder{IResourceWithServiceDiscovery})"/>, under another name, which is not upper-cased.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<IResourceWithServiceDiscovery> source, string name)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(source);
        ArgumentException.ThrowIfNullOrEmpty(name);
        builder.WithReferenceRelationship(source.Resource);
        return builder.WithEnvironment(context =>
            AddEndpointVariables(context, source.Resource.GetEndpoints().Where(endpoint => !endpoint.ExcludeReferenceEndpoint), name,
                ModelName.EncodeForEnvironment(name)));
    }

    /// <summary>One endpoint of a service.</summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, EndpointReference endpointReference)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(endpointReference);
        ReferTo(builder, endpointReference.Resource, endpointReference.EndpointName);
        return builder;
    }

    /// <summary>A service at a fixed address: <c>services__name__default__0</c> and <c>name</c>.</summary>
    /// <exception cref="InvalidOperationException">The address is not absolute, or has a query or fragment.</exception>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, string name, Uri uri)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(uri);
        if (!uri.IsAbsoluteUri)
        {
            throw new InvalidOperationException($"The URI of service reference '{name}' must be absolute.");
        }

        if (uri.Query.Length > 0 || uri.Fragment.Length > 0)
        {
            throw new InvalidOperationException($"The URI of service reference '{name}' cannot have a query or a fragment.");
        }

        return builder.WithEnvironment(context =>
        {
            if (Injects(context, ReferenceEnvironmentInjectionFlags.ServiceDiscovery))
            {
                context.EnvironmentVariables[$"services__{name}__default__0"] = uri.ToString();
            }

            if (Injects(context, ReferenceEnvironmentInjectionFlags.Endpoints))
            {
                context.EnvironmentVariables[ModelName.EncodeForEnvironment(name)] = uri.ToString();
            }
        });
    }

    /// <summary>
    /// An external service: <c>NAME</c> and <c>services__name__scheme__0</c>; the scheme of a URL parameter is known only when running.
    /// </summary>
    public static IResourceBuilder<TDestination> WithReference<TDestination>(
        this IResourceBuilder<TDestination> builder, IResourceBuilder<ExternalServiceResource> externalService)
        where TDestination : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(externalService);
        var service = externalService.Resource;
        builder.WithReferenceRelationship(service);
        return builder.WithEnvironment(async context =>
        {
            var variable = ModelName.EncodeForEnvironment(service.Name).ToUpperInvariant();
            if (service.UrlParameter is not { } parameter)
            {
                AddServiceUrl(context, service.Name, variable, service.Uri!.Scheme, service.Uri.ToString(), endpointFirst: true);
            }
            else if (context.ExecutionContext.IsPublishMode)
            {
                AddServiceUrl(context, service.Name, variable, "default", parameter, endpointFirst: false);
            }
            else
            {
                var scheme = ExternalServiceUrl.Parse(service.Name, await parameter.GetValueAsync(context.CancellationToken)).Scheme;
                AddServiceUrl(context, service.Name, $"{variable}_{scheme.ToUpperInvariant()}", scheme, parameter, endpointFirst: true);
            }
        });
    }

    /// <summary>Limits which families of variables references put into this resource.</summary>
    public static IResourceBuilder<TDestination> WithReferenceEnvironment<TDestination>(
        this IResourceBuilder<TDestination> builder, ReferenceEnvironmentInjectionFlags flags)
        where TDestination : IResourceWithEnvironment =>
        builder.WithAnnotation(new ReferenceEnvironmentInjectionAnnotation(flags), ResourceAnnotationMutationBehavior.Replace);

    /// <summary>Adds a part to a connection, or gives an existing one another text.</summary>
    public static IResourceBuilder<T> WithConnectionProperty<T>(this IResourceBuilder<T> builder, string name, ReferenceExpression value)
        where T : IResourceWithConnectionString => builder.WithAnnotation(new ConnectionPropertyAnnotation(name, value));

    /// <inheritdoc cref="WithConnectionProperty{T}(IResourceBuilder{T}, string, ReferenceExpression)"/>
    public static IResourceBuilder<T> WithConnectionProperty<T>(this IResourceBuilder<T> builder, string name, string value)
        where T : IResourceWithConnectionString => builder.WithConnectionProperty(name, ReferenceExpression.Create($"{value}"));

    /// <summary>Consumers get the connection string of another resource.</summary>
    public static IResourceBuilder<T> WithConnectionStringRedirection<T>(
        this IResourceBuilder<T> builder, IResourceWithConnectionString resource)
        where T : IResourceWithConnectionString =>
        builder.WithAnnotation(new ConnectionStringRedirectAnnotation(resource), ResourceAnnotationMutationBehavior.Replace);

    /// <summary>One part of a connection.</summary>
    /// <exception cref="KeyNotFoundException">The connection has no such part.</exception>
    public static ReferenceExpression GetConnectionProperty(this IResourceWithConnectionString resource, string key)
    {
        ArgumentNullException.ThrowIfNull(resource);
        return ConnectionProperties(resource).TryGetValue(key, out var value)
            ? value
            : throw new KeyNotFoundException($"The connection property '{key}' is not known for the resource '{resource.Name}'.");
    }

    private static Dictionary<string, ReferenceExpression> ConnectionProperties(IResourceWithConnectionString resource)
    {
        var properties = new Dictionary<string, ReferenceExpression>(StringComparer.OrdinalIgnoreCase);
        foreach (var (name, value) in resource.GetConnectionProperties())
        {
            properties[name] = value;
        }

        foreach (var property in resource.Annotations.OfType<ConnectionPropertyAnnotation>())
        {
            properties[property.Name] = property.Expression;
        }

        return properties;
    }

    private static void ReferTo<TDestination>(IResourceBuilder<TDestination> builder, IResourceWithEndpoints resource, string? endpointName)
        where TDestination : IResourceWithEnvironment
    {
        var reference = builder.Resource.Annotations.OfType<EndpointReferenceAnnotation>()
            .FirstOrDefault(annotation => annotation.Resource == resource);
        if (reference is null)
        {
            reference = new EndpointReferenceAnnotation(resource);
            builder.WithReferenceRelationship(resource);
            builder.WithAnnotation(reference);
            builder.WithEnvironment(context => AddEndpointVariables(
                context,
                resource.GetEndpoints()
                    .Where(endpoint => reference.EndpointNames.Contains(endpoint.EndpointName)
                        || (reference.UseAllEndpoints && !endpoint.ExcludeReferenceEndpoint)),
                resource.Name,
                ModelName.EncodeForEnvironment(resource.Name).ToUpperInvariant()));
        }

        if (endpointName is null)
        {
            reference.UseAllEndpoints = true;
        }
        else
        {
            reference.EndpointNames.Add(endpointName);
        }
    }

    private static void AddEndpointVariables(
        EnvironmentCallbackContext context, IEnumerable<EndpointReference> endpoints, string serviceName, string variablePrefix)
    {
        var indexes = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
        foreach (var endpoint in endpoints)
        {
            var key = endpoint.IsHttpSchemeNamedEndpoint ? endpoint.Scheme : endpoint.EndpointName;
            if (Injects(context, ReferenceEnvironmentInjectionFlags.Endpoints))
            {
                context.EnvironmentVariables[$"{variablePrefix}_{ModelName.EncodeForEnvironment(endpoint.EndpointName).ToUpperInvariant()}"] = endpoint;
            }

            if (Injects(context, ReferenceEnvironmentInjectionFlags.ServiceDiscovery))
            {
                var index = indexes.GetValueOrDefault(key);
                indexes[key] = index + 1;
                context.EnvironmentVariables[$"services__{serviceName}__{key}__{index}"] = endpoint;
            }
        }
    }

    private static void AddServiceUrl(EnvironmentCallbackContext context, string serviceName, string variable, string key,
        object url, bool endpointFirst)
    {
        if (endpointFirst)
        {
            AddEndpoint();
        }

        if (Injects(context, ReferenceEnvironmentInjectionFlags.ServiceDiscovery))
        {
            context.EnvironmentVariables[$"services__{serviceName}__{key}__0"] = url;
        }

        if (!endpointFirst)
        {
            AddEndpoint();
        }

        void AddEndpoint()
        {
            if (Injects(context, ReferenceEnvironmentInjectionFlags.Endpoints))
            {
                context.EnvironmentVariables[variable] = url;
            }
        }
    }

    private static bool Injects(EnvironmentCallbackContext context, ReferenceEnvironmentInjectionFlags family) =>
        !context.Resource.TryGetLastAnnotation<ReferenceEnvironmentInjectionAnnotation>(out var annotation)
            || annotation.Flags.HasFlag(family);
}
