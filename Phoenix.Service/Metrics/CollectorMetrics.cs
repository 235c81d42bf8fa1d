using System.Diagnostics;
using Phoenix.Service.Ingest.Enqueue;

namespace Phoenix.Service.Metrics;

/// <summary>
/// The ingest path under the names of an OpenTelemetry collector, because the collector's rules and panels watch it in its place.
/// </summary>
internal sealed class CollectorMetrics(IngestMetrics ingest, MemoryLimiter memory) : IMetricSource
{
    private static readonly string s_exporter = PrometheusWriter.Labels(("exporter", "postgres"));

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Otelcol;

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        writer.Family("otelcol_processor_dropped_spans_total", MetricType.Counter, "Spans left out on purpose.");
        writer.Sample("otelcol_processor_dropped_spans_total", PrometheusWriter.Labels(("processor", "filter")),
            ingest.SpansOf(SpanOutcome.Filtered));
        writer.Sample("otelcol_processor_dropped_spans_total", PrometheusWriter.Labels(("processor", "sampling")),
            ingest.SpansOf(SpanOutcome.SampledOut));
        ingest.WriteRefusedSpans(writer, "otelcol_processor_refused_spans_total");
        writer.Family("otelcol_exporter_sent_spans_total", MetricType.Counter, "Spans written to the database.");
        writer.Sample("otelcol_exporter_sent_spans_total", s_exporter, ingest.InsertedSpans);
        writer.Family("otelcol_exporter_send_failed_spans_total", MetricType.Counter, "Spans whose request was given up: its sender is told to send them again, or has stopped waiting.");
        writer.Sample("otelcol_exporter_send_failed_spans_total", s_exporter, ingest.FailedSpans);
        writer.Gauge("otelcol_processor_memory_limiter_limit_bytes", "Memory the process may use.", memory.LimitBytes);
        using var process = Process.GetCurrentProcess();
        writer.Gauge("otelcol_process_resident_memory_bytes", "Resident memory.", process.WorkingSet64);
        return ValueTask.CompletedTask;
    }
}
