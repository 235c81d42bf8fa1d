using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>Why stored records did not reach the other endpoint.</summary>
internal enum DropReason
{
    /// <summary>No room in the queue.</summary>
    QueueFull,

    /// <summary>The other side will never take the request.</summary>
    Refused,

    /// <summary>The other side took the request without them.</summary>
    Rejected,

    /// <summary>Tried for as long as is allowed.</summary>
    Expired,

    /// <summary>The service stopped.</summary>
    Stopped,

    /// <summary>They were forwarded by this service before.</summary>
    Loop,
}

/// <summary>What forwarding did since the process started. Thread-safe.</summary>
internal sealed class ForwardMetrics : IMetricSource
{
    private static readonly Signal[] s_signals = Enum.GetValues<Signal>();

    private readonly SeriesSet<Signal, Counter> _sent = new(static signal => Labels(signal), static () => new Counter());
    private readonly SeriesSet<Signal, Counter> _retries = new(static signal => Labels(signal), static () => new Counter());
    private readonly SeriesSet<(Signal Signal, DropReason Reason), Counter> _dropped = new(
        static key => PrometheusWriter.Labels(("signal", ForwardOptions.NameOf(key.Signal)), ("reason", NameOf(key.Reason))),
        static () => new Counter());

    private Func<(long Requests, long Bytes, long Capacity)> _queue = static () => default;

    /// <summary>Starts every series at zero, so that a first increase is seen.</summary>
    public ForwardMetrics()
    {
        foreach (var signal in s_signals)
        {
            (_, _) = (_sent[signal], _retries[signal]);
            foreach (var reason in Enum.GetValues<DropReason>())
            {
                _ = _dropped[(signal, reason)];
            }
        }
    }

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Records the other endpoint has, over all signals.</summary>
    internal double SentRecords => s_signals.Sum(signal => _sent[signal].Value);

    /// <summary>Attempts that are to be repeated, over all signals.</summary>
    internal double Retries => s_signals.Sum(signal => _retries[signal].Value);

    /// <summary>Records that did not reach it because of <paramref name="reason"/>, over all signals.</summary>
    internal double DroppedRecords(DropReason reason) => s_signals.Sum(signal => _dropped[(signal, reason)].Value);

    /// <summary>Registers where the queue is looked at when scraped. Call once.</summary>
    public void UseQueue(Func<(long Requests, long Bytes, long Capacity)> queue) => _queue = queue;

    /// <summary>Counts records the other endpoint has taken.</summary>
    public void CountSent(Signal signal, long records) => _sent[signal].Add(records);

    /// <summary>Counts an attempt that failed and is to be repeated.</summary>
    public void CountRetry(Signal signal) => _retries[signal].Add(1);

    /// <summary>Counts records that did not reach it.</summary>
    public void CountDropped(Signal signal, DropReason reason, long records) => _dropped[(signal, reason)].Add(records);

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        var (requests, bytes, capacity) = _queue();
        writer.Gauge("phoenix_forward_queue_requests", "Stored requests waiting to be forwarded.", requests);
        writer.Gauge("phoenix_forward_queue_bytes", "Memory of the requests waiting and under way.", bytes);
        writer.Gauge("phoenix_forward_queue_capacity_bytes", "Most bytes that may wait.", capacity);
        _sent.WriteCounters(writer, "phoenix_forward_sent_records_total", "Records the other endpoint has taken.",
            static counter => counter.Value);
        _retries.WriteCounters(writer, "phoenix_forward_retries_total", "Attempts that failed and are repeated.",
            static counter => counter.Value);
        _dropped.WriteCounters(writer, "phoenix_forward_dropped_records_total",
            "Stored records that did not reach the other endpoint, by reason.", static counter => counter.Value);
        return ValueTask.CompletedTask;
    }

    private static string Labels(Signal signal) => PrometheusWriter.Labels(("signal", ForwardOptions.NameOf(signal)));

    private static string NameOf(DropReason reason) => reason == DropReason.QueueFull ? "queue_full" : reason.ToString().ToLowerInvariant();
}
