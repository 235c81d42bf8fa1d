namespace MatsObservability.ServiceDefaults;

/// <summary>
/// What a service tells about itself by OpenTelemetry. Endpoint, protocol, headers and intervals are the standard <c>OTEL_*</c> keys.
/// </summary>
public sealed class TelemetryOptions
{
    /// <summary>Configuration section.</summary>
    public const string Section = "Telemetry";

    /// <summary>
    /// False switches the service's own traces, metrics and log export off altogether, whatever <c>OTEL_EXPORTER_OTLP_ENDPOINT</c> says.
    /// Phoenix.Service defaults to false: its own telemetry must not re-enter its own ingest.
    /// </summary>
    public bool Export { get; set; } = true;

    /// <summary>
    /// Resource attribute <c>openinference.project.name</c>; null leaves it out. <c>OTEL_RESOURCE_ATTRIBUTES</c> overrides it.
    /// </summary>
    public string? ProjectName { get; set; }

    /// <summary>Activity sources beside the application's own name and the framework's; a trailing <c>*</c> is a wildcard.</summary>
    public IList<string> Sources { get; } = [];

    /// <summary>Meters beside the application's own name and the framework's; a trailing <c>*</c> is a wildcard.</summary>
    public IList<string> Meters { get; } = [];

    /// <summary>
    /// Path prefixes whose requests make no spans, nor does anything they call. Probes by default; ingest routes belong here too.
    /// </summary>
    public IList<string> UntracedPaths { get; } = ["/health", "/healthz", "/readyz", "/alive", "/metrics"];
}
