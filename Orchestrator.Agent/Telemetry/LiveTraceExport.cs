using MatsObservability.ServiceDefaults;
using OpenTelemetry.Exporter;
using OpenTelemetry.Trace;

namespace Orchestrator.Agent.Telemetry;

/// <summary>
/// Puts <see cref="LiveTraces"/> in front of the shared OTLP exporter, with the same standard <c>OTEL_EXPORTER_OTLP_*</c> settings.
/// </summary>
internal static class LiveTraceExport
{
    public static void AddLiveTraces(this WebApplicationBuilder builder, PhoenixAccess phoenix)
    {
        var configuration = builder.Configuration;
        if (!IsOn(configuration))
        {
            return;
        }

        builder.Services.AddSingleton(services => new SpanExport(
            new OtlpTraceExporter(Options(configuration, phoenix)), TimeProvider.System,
            services.GetRequiredService<ILogger<SpanExport>>()));

        // The export is registered with the provider as well, which gives it its resource; it must not be a child of the processor before
        // it: the SDK adds later processors to a composite one.
        builder.Services.ConfigureOpenTelemetryTracerProvider((services, tracing) =>
        {
            var export = services.GetRequiredService<SpanExport>();
            tracing.AddProcessor(new LiveTraces(export)).AddProcessor(export);
        });
    }

    /// <summary>Whether the orchestrator's own spans are sent anywhere.</summary>
    public static bool IsOn(IConfiguration configuration) =>
        !string.IsNullOrWhiteSpace(configuration["OTEL_EXPORTER_OTLP_ENDPOINT"])
            && ValidatedOptions.Peek<TelemetryOptions>(configuration, TelemetryOptions.Section).Export;

    private static OtlpExporterOptions Options(IConfiguration configuration, PhoenixAccess phoenix)
    {
        var options = new OtlpExporterOptions();
        var http = (configuration["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] ?? configuration["OTEL_EXPORTER_OTLP_PROTOCOL"]) == "http/protobuf";
        options.Protocol = http ? OtlpExportProtocol.HttpProtobuf : OtlpExportProtocol.Grpc;
        options.Endpoint = configuration["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] is { Length: > 0 } traces
            ? new Uri(traces)
            : new Uri(configuration["OTEL_EXPORTER_OTLP_ENDPOINT"]!.TrimEnd('/') + (http ? "/v1/traces" : ""));
        options.Headers = configuration["OTEL_EXPORTER_OTLP_TRACES_HEADERS"] ?? configuration["OTEL_EXPORTER_OTLP_HEADERS"]
            ?? options.Headers;
        if (options.Endpoint.Host == phoenix.Address.Host)
        {
            options.HttpClientFactory = () => new HttpClient(phoenix.CreateHandler())
            {
                Timeout = TimeSpan.FromMilliseconds(options.TimeoutMilliseconds),
            };
        }

        return options;
    }
}
