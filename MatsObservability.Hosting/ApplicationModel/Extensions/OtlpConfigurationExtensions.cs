using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace Aspire.Hosting;

/// <summary>How OpenTelemetry data travel.</summary>
public enum OtlpProtocol
{
    Grpc = 0,
    HttpProtobuf = 1,
    HttpJson = 2,
}

/// <summary>The <c>OTEL_*</c> variables.</summary>
public static class OtlpConfigurationExtensions
{
    /// <summary>Stands for the instance's own suffix in a variable's value; the run replaces it for each instance.</summary>
    internal const string InstanceIdToken = "{{instance-id}}";

    private const string GrpcUrlKey = "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL";
    private const string HttpUrlKey = "ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL";
    private const string FallbackUrl = "http://localhost:18889";

    public static IResourceBuilder<T> WithOtlpExporter<T>(this IResourceBuilder<T> builder)
        where T : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddOtlpEnvironment(builder.Resource, builder.ApplicationBuilder.Configuration, builder.ApplicationBuilder.Environment);
        return builder;
    }

    public static IResourceBuilder<T> WithOtlpExporter<T>(this IResourceBuilder<T> builder, OtlpProtocol protocol)
        where T : IResourceWithEnvironment
    {
        ArgumentNullException.ThrowIfNull(builder);
        AddOtlpEnvironment(builder.Resource, builder.ApplicationBuilder.Configuration, builder.ApplicationBuilder.Environment, protocol);
        return builder;
    }

    /// <summary>The variables by which the resource's OpenTelemetry SDK finds where to export to; set when running only.</summary>
    public static void AddOtlpEnvironment(IResource resource, IConfiguration configuration, IHostEnvironment environment) =>
        Add(resource, configuration, environment, protocol: null);

    /// <inheritdoc cref="AddOtlpEnvironment(IResource, IConfiguration, IHostEnvironment)"/>
    public static void AddOtlpEnvironment(IResource resource, IConfiguration configuration,
        IHostEnvironment environment, OtlpProtocol protocol) =>
        Add(resource, configuration, environment, protocol);

    private static void Add(IResource resource, IConfiguration configuration, IHostEnvironment environment, OtlpProtocol? protocol)
    {
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(configuration);
        ArgumentNullException.ThrowIfNull(environment);
        foreach (var earlier in resource.Annotations.OfType<OtlpExporterAnnotation>().ToArray())
        {
            resource.Annotations.Remove(earlier);
        }

        resource.Annotations.Add(new OtlpExporterAnnotation { RequiredProtocol = protocol });
        resource.Annotations.Add(new EnvironmentCallbackAnnotation(context =>
        {
            if (context.ExecutionContext.IsRunMode)
            {
                SetVariables(context.EnvironmentVariables, resource, configuration, environment.IsDevelopment(), protocol);
            }
        }));
    }

    private static void SetVariables(
        Dictionary<string, object> variables, IResource resource, IConfiguration configuration, bool isDevelopment,
        OtlpProtocol? requiredProtocol)
    {
        if (isDevelopment)
        {
            variables["OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION"] = "true";
            variables["OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION"] = "true";
        }

        var (url, protocol) = Target(configuration, requiredProtocol);
        variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = url;
        variables["OTEL_EXPORTER_OTLP_PROTOCOL"] = protocol switch
        {
            OtlpProtocol.HttpProtobuf => "http/protobuf",
            OtlpProtocol.HttpJson => "http/json",
            _ => "grpc",
        };
        variables["OTEL_RESOURCE_ATTRIBUTES"] = $"service.instance.id={InstanceIdToken}";
        variables["OTEL_SERVICE_NAME"] = resource.Name;
        if (configuration["AppHost:OtlpApiKey"] is { Length: > 0 } key)
        {
            variables["OTEL_EXPORTER_OTLP_HEADERS"] = $"x-otlp-api-key={key}";
        }

        if (isDevelopment)
        {
            variables["OTEL_BLRP_SCHEDULE_DELAY"] = "1000";
            variables["OTEL_BSP_SCHEDULE_DELAY"] = "1000";
            variables["OTEL_METRIC_EXPORT_INTERVAL"] = "1000";
            variables["OTEL_TRACES_SAMPLER"] = "always_on";
            variables["OTEL_METRICS_EXEMPLAR_FILTER"] = "trace_based";
            variables["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "true";
        }
    }

    private static (string Url, OtlpProtocol Protocol) Target(IConfiguration configuration, OtlpProtocol? required)
    {
        var grpc = configuration[GrpcUrlKey] ?? configuration["DOTNET_DASHBOARD_OTLP_ENDPOINT_URL"];
        var http = configuration[HttpUrlKey];
        return required switch
        {
            OtlpProtocol.HttpProtobuf or OtlpProtocol.HttpJson => (http ?? grpc ?? FallbackUrl, required.Value),
            OtlpProtocol.Grpc => (grpc ?? FallbackUrl, OtlpProtocol.Grpc),
            _ when grpc is null && http is not null => (http, OtlpProtocol.HttpProtobuf),
            _ => (grpc ?? FallbackUrl, OtlpProtocol.Grpc),
        };
    }
}
