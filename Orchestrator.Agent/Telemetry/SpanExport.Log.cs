namespace Orchestrator.Agent.Telemetry;

internal sealed partial class SpanExport
{
    private static partial class Log
    {
        [LoggerMessage(4040, LogLevel.Warning,
            "{Spans} spans of investigations were not stored: the receiver of OTEL_EXPORTER_OTLP_ENDPOINT did not take them")]
        public static partial void GivenUp(ILogger logger, long spans);

        [LoggerMessage(4041, LogLevel.Warning,
            "A span was dropped: {Most} spans wait for the receiver of OTEL_EXPORTER_OTLP_ENDPOINT already")]
        public static partial void QueueFull(ILogger logger, int most);
    }
}
