using System.Globalization;
using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace Microsoft.Extensions.Hosting;

public static partial class Extensions
{
    // ASP.NET Core leaves its activities without tags unless this switch is false before the host is built (.NET 10, measured).
    private const string SuppressActivityTags = "Microsoft.AspNetCore.Hosting.SuppressActivityOpenTelemetryData";

    /// <summary>
    /// Traces, metrics and logs of the service and of the framework under it, exported by OTLP only when <c>OTEL_EXPORTER_OTLP_ENDPOINT</c>
    /// is set. Health probes make no spans. Everything pending is flushed when the host stops.
    /// </summary>
    /// <param name="builder">The host being built.</param>
    /// <param name="configure">The service's own defaults; the configuration section <c>Telemetry</c> overrides them.</param>
    public static TBuilder ConfigureOpenTelemetry<TBuilder>(this TBuilder builder, Action<TelemetryOptions>? configure = null)
        where TBuilder : IHostApplicationBuilder
    {
        var options = new TelemetryOptions();
        configure?.Invoke(options);
        SettingBinder.Bind(options, builder.Configuration.GetSection(TelemetryOptions.Section)).ForEach(builder.Services.AddFault);
        if (!options.Export)
        {
            return builder;
        }

        builder.Services.AddSettingCheck(ExporterFaults);

        AppContext.SetSwitch(SuppressActivityTags, false);
        var applicationName = builder.Environment.ApplicationName;
        var telemetry = new TelemetryBuilder(builder.Services);
        telemetry
            .ConfigureResource(resource => DescribeService(resource, applicationName, options.ProjectName))
            .WithTracing(tracing => tracing
                .AddSource(applicationName, "Microsoft.AspNetCore", "System.Net.Http")
                .AddSource([.. options.Sources]))
            .WithMetrics(metrics => metrics
                .AddMeter(applicationName, "Microsoft.AspNetCore.Hosting", "Microsoft.AspNetCore.Server.Kestrel",
                    "Microsoft.AspNetCore.Routing")
                .AddMeter("System.Net.Http", "System.Runtime")
                .AddMeter([.. options.Meters]))
            .WithLogging(configureBuilder: null, logging =>
            {
                logging.IncludeFormattedMessage = true;
                logging.IncludeScopes = true;
            });

        if (!string.IsNullOrWhiteSpace(builder.Configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]))
        {
            telemetry.UseOtlpExporter();
        }

        builder.Services.AddSingleton(new UntracedPaths(options.UntracedPaths));
        builder.Services.AddSingleton<IStartupFilter, RequestTelemetryFilter>();
        builder.Services.AddHostedService<TelemetryLifetime>();
        return builder;
    }

    // The exporter itself would leave out in silence what it cannot read.
    private static IEnumerable<string> ExporterFaults(IConfiguration configuration)
    {
        foreach (var signal in new[] { "", "TRACES_", "METRICS_", "LOGS_" })
        {
            var endpoint = $"OTEL_EXPORTER_OTLP_{signal}ENDPOINT";
            if (configuration[endpoint] is { Length: > 0 } address && !SettingFaults.IsHttpAddress(address))
            {
                yield return $"{endpoint} must {SettingFaults.HttpAddressRule}";
            }

            var protocol = $"OTEL_EXPORTER_OTLP_{signal}PROTOCOL";
            if (configuration[protocol] is { Length: > 0 } name && name is not ("grpc" or "http/protobuf"))
            {
                yield return $"{protocol} must be grpc or http/protobuf, got '{name}'";
            }

            var timeout = $"OTEL_EXPORTER_OTLP_{signal}TIMEOUT";
            if (configuration[timeout] is { Length: > 0 } milliseconds
                && !(int.TryParse(milliseconds, CultureInfo.InvariantCulture, out var number) && number > 0))
            {
                yield return $"{timeout} must be a number of milliseconds above 0, got '{milliseconds}'";
            }
        }
    }

    // Our attributes first: what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say is merged over them.
    private static void DescribeService(ResourceBuilder resource, string applicationName, string? projectName)
    {
        var attributes = new List<KeyValuePair<string, object>>();
        if (!string.IsNullOrWhiteSpace(projectName))
        {
            attributes.Add(new("openinference.project.name", projectName));
        }

        resource.Clear()
            .AddTelemetrySdk()
            .AddService(applicationName, autoGenerateServiceInstanceId: true)
            .AddAttributes(attributes)
            .AddEnvironmentVariableDetector();
    }

    // The interface every OpenTelemetry package extends; OpenTelemetry.Extensions.Hosting, which usually implements it, is not available.
    private sealed class TelemetryBuilder(IServiceCollection services) : IOpenTelemetryBuilder
    {
        public IServiceCollection Services { get; } = services;
    }
}
