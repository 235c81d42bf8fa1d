using System.Net.Sockets;
using Microsoft.Extensions.Configuration;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>
/// What a project gets without being asked: telemetry, endpoints of its launch profile or Kestrel configuration, and the variables that
/// hand them over.
/// </summary>
internal static class ProjectDefaults
{
    private const string Urls = "ASPNETCORE_URLS";

    public static void Apply(IResourceBuilder<ProjectResource> project, IProjectMetadata metadata, ProjectResourceOptions options)
    {
        var builder = project.ApplicationBuilder;
        var profile = LaunchProfiles.Select(builder, metadata, options);
        if (profile is { } selected)
        {
            project.WithAnnotation(new LaunchProfileAnnotation(selected.Name));
        }

        project.WithEnvironment("OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY", "in_memory");
        project.WithOtlpExporter();
        project.WithEnvironment(AddConsoleLogging);
        project.WithEnvironment(AddForwardedHeaders);
        AddEndpoints(project, metadata, options, profile?.Profile);
        project.WithEnvironment(context => AddListenAddresses(context, project.Resource));
        if (profile is { } launch && builder.ExecutionContext.IsRunMode)
        {
            project.WithEnvironment(context => AddProfileVariables(context, launch.Name, launch.Profile));
        }
    }

    private static void AddConsoleLogging(EnvironmentCallbackContext context)
    {
        if (context.ExecutionContext.IsRunMode)
        {
            context.EnvironmentVariables["DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION"] = "true";
            context.EnvironmentVariables["LOGGING__CONSOLE__FORMATTERNAME"] = "simple";
        }
    }

    private static void AddForwardedHeaders(EnvironmentCallbackContext context)
    {
        if (context.ExecutionContext.IsPublishMode
            && context.Resource.HasAnnotationOfType<EndpointAnnotation>()
            && !context.Resource.HasAnnotationOfType<DisableForwardedHeadersAnnotation>())
        {
            context.EnvironmentVariables["ASPNETCORE_FORWARDEDHEADERS_ENABLED"] = "true";
        }
    }

    private static void AddEndpoints(IResourceBuilder<ProjectResource> project, IProjectMetadata metadata,
        ProjectResourceOptions options, LaunchProfile? profile)
    {
        var builder = project.ApplicationBuilder;
        var kestrel = options.ExcludeKestrelEndpoints
            ? []
            : KestrelEndpoints.Read(metadata.ProjectPath, builder.Environment.EnvironmentName);
        project.Resource.HasKestrelEndpoints = kestrel.Count > 0;
        var urls = profile?.ApplicationUrl?.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) ?? [];
        if (builder.ExecutionContext.IsPublishMode)
        {
            if (urls.Length > 0 || kestrel.Count > 0)
            {
                project.WithHttpEndpoint();
                project.WithHttpsEndpoint();
                project.Resource.DefaultHttpsEndpoint = project.GetEndpoint("https").EndpointAnnotation;
            }

            return;
        }

        foreach (var (name, url) in kestrel)
        {
            AddEndpoint(project, name, url);
        }

        foreach (var url in kestrel.Count > 0 ? [] : urls)
        {
            AddEndpoint(project, name: null, url);
        }
    }

    /// <summary>Without a name the endpoint is named by its scheme: http, http2, http3…</summary>
    private static void AddEndpoint(IResourceBuilder<ProjectResource> project, string? name, string url)
    {
        var address = ListenAddress.Parse(project.Resource.Name, url);
        name ??= Enumerable.Range(1, int.MaxValue)
            .Select(n => n == 1 ? address.Scheme : $"{address.Scheme}{n}")
            .First(candidate => !project.GetEndpoint(candidate).Exists);
        project.WithAnnotation(
            new EndpointAnnotation(ProtocolType.Tcp, address.Scheme, name: name, port: address.Port) { TargetHost = address.Host });
    }

    private static void AddListenAddresses(EnvironmentCallbackContext context, ProjectResource project)
    {
        var handedOver = project.GetEndpoints().Where(endpoint => IsHandedOverByUrls(project, endpoint.EndpointAnnotation)).ToArray();
        if (project.HasKestrelEndpoints)
        {
            foreach (var endpoint in context.ExecutionContext.IsRunMode ? handedOver : [])
            {
                context.EnvironmentVariables[$"Kestrel__Endpoints__{endpoint.EndpointName}__Url"] = ListenUrls([endpoint]);
            }

            return;
        }

        if (context.ExecutionContext.IsPublishMode)
        {
            AddPorts(context, "HTTP_PORTS", handedOver.Where(endpoint => endpoint.IsHttp));
            AddPorts(context, "HTTPS_PORTS",
                handedOver.Where(endpoint => endpoint.IsHttps && endpoint.EndpointAnnotation != project.DefaultHttpsEndpoint));
            return;
        }

        if (handedOver.FirstOrDefault(endpoint => endpoint.IsHttps) is { } https)
        {
            context.EnvironmentVariables.TryAdd("ASPNETCORE_HTTPS_PORT", https.Property(EndpointProperty.Port));
        }

        if (handedOver.Length > 0)
        {
            context.EnvironmentVariables.TryAdd(Urls, ListenUrls(handedOver));
        }
    }

    private static bool IsHandedOverByUrls(ProjectResource project, EndpointAnnotation endpoint) =>
        endpoint.IsHttpScheme
        && !project.Annotations.OfType<EndpointVariableAnnotation>().Any(variable => variable.Endpoint == endpoint)
        && project.Annotations.OfType<EndpointsInEnvironmentAnnotation>().All(annotation => annotation.Filter(endpoint));

    private static ReferenceExpression ListenUrls(IEnumerable<EndpointReference> endpoints)
    {
        var urls = new ReferenceExpressionBuilder();
        foreach (var endpoint in endpoints)
        {
            urls.AppendLiteral(urls.IsEmpty ? "" : ";");
            urls.Append($"{endpoint.Scheme}://{endpoint.EndpointAnnotation.TargetHost}:{endpoint.Property(EndpointProperty.TargetPort)}");
        }

        return urls.Build();
    }

    private static void AddPorts(EnvironmentCallbackContext context, string variable, IEnumerable<EndpointReference> endpoints)
    {
        var ports = new ReferenceExpressionBuilder();
        foreach (var endpoint in endpoints)
        {
            ports.AppendLiteral(ports.IsEmpty ? "" : ";");
            ports.AppendFormatted(endpoint.Property(EndpointProperty.TargetPort));
        }

        if (!ports.IsEmpty)
        {
            context.EnvironmentVariables.TryAdd(variable, ports.Build());
        }
    }

    private static void AddProfileVariables(EnvironmentCallbackContext context, string name, LaunchProfile profile)
    {
        context.EnvironmentVariables.TryAdd("DOTNET_LAUNCH_PROFILE", name);
        foreach (var (variable, value) in profile.EnvironmentVariables)
        {
            context.EnvironmentVariables.TryAdd(variable, Environment.ExpandEnvironmentVariables(value));
        }
    }
}

/// <summary>Which launch profile a project resource uses.</summary>
internal static class LaunchProfiles
{
    /// <summary>
    /// Explicit, else the AppHost's default (<c>AppHost:DefaultLaunchProfileName</c>, <c>DOTNET_LAUNCH_PROFILE</c>) where the project has
    /// it, else the first that runs a project.
    /// </summary>
    /// <exception cref="DistributedApplicationException">The explicit profile does not exist.</exception>
    public static (string Name, LaunchProfile Profile)? Select(
        IDistributedApplicationBuilder builder, IProjectMetadata metadata, ProjectResourceOptions options)
    {
        if (options.ExcludeLaunchProfile)
        {
            return null;
        }

        var profiles = (metadata.LaunchSettings ?? LaunchSettings.Read(metadata.ProjectPath))?.Profiles ?? [];
        if (options.LaunchProfileName is { } wanted)
        {
            return profiles.TryGetValue(wanted, out var explicitProfile)
                ? (wanted, explicitProfile)
                : throw new DistributedApplicationException($"Launch profile '{wanted}' does not exist in the project '{metadata.ProjectPath}'.");
        }

        var usual = builder.Configuration["AppHost:DefaultLaunchProfileName"] ?? builder.Configuration["DOTNET_LAUNCH_PROFILE"];
        if (usual is not null && profiles.TryGetValue(usual, out var usualProfile))
        {
            return (usual, usualProfile);
        }

        var first = profiles.FirstOrDefault(profile => profile.Value.CommandName == "Project");
        return first.Key is null ? null : (first.Key, first.Value);
    }
}

/// <summary>The endpoints that a project's own settings files declare under <c>Kestrel:Endpoints</c>.</summary>
internal static class KestrelEndpoints
{
    public static IReadOnlyList<(string Name, string Url)> Read(string projectPath, string environmentName)
    {
        var directory = Path.GetDirectoryName(projectPath)!;
        var configuration = new ConfigurationBuilder()
            .AddJsonFile(Path.Combine(directory, "appsettings.json"), optional: true)
            .AddJsonFile(Path.Combine(directory, $"appsettings.{environmentName}.json"), optional: true)
            .Build();
        return [.. configuration.GetSection("Kestrel:Endpoints").GetChildren().Where(endpoint => endpoint["Url"] is not null)
            .Select(endpoint => (endpoint.Key, endpoint["Url"]!))];
    }
}

/// <summary>A URL that Kestrel listens on; unlike other URLs its host may be <c>*</c> or <c>+</c>.</summary>
internal readonly record struct ListenAddress(string Scheme, string Host, int? Port)
{
    /// <exception cref="DistributedApplicationException">Not such a URL.</exception>
    public static ListenAddress Parse(string resourceName, string url)
    {
        var parsable = url.Replace("://*", "://0.0.0.0", StringComparison.Ordinal).Replace("://+", "://0.0.0.0", StringComparison.Ordinal);
        if (!Uri.TryCreate(parsable, UriKind.Absolute, out var uri) || uri.Scheme is not ("http" or "https"))
        {
            throw new DistributedApplicationException($"The URL '{url}' of the project '{resourceName}' must be like 'http://localhost:5000'.");
        }

        return new ListenAddress(uri.Scheme, uri.Host, uri.IsDefaultPort ? null : uri.Port);
    }
}
