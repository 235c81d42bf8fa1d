namespace Phoenix.Service.Metrics;

/// <summary>How an export request came in.</summary>
internal enum IngestTransport
{
    Grpc,
    Http,
}

/// <summary>What became of a span.</summary>
internal enum SpanOutcome
{
    /// <summary>Stored by this request.</summary>
    Accepted,

    /// <summary>Invalid; reported in partial_success.</summary>
    Rejected,

    /// <summary>Stored before, by an earlier delivery.</summary>
    Duplicate,

    /// <summary>Left out by the sample rate.</summary>
    SampledOut,

    /// <summary>Dropped by a filter rule.</summary>
    Filtered,
}

/// <summary>The ingest queue at one moment.</summary>
/// <param name="Records">Spans, log records and points waiting.</param>
/// <param name="Capacity">Most records that may wait.</param>
/// <param name="Bytes">Encoded bytes waiting.</param>
internal readonly record struct QueueState(long Records, long Capacity, long Bytes);

/// <summary>
/// What the ingest path counts about itself, since the process started. Pipeline and writer call the methods; all are thread-safe, cheap
/// and never fail.
/// </summary>
internal sealed class IngestMetrics : IMetricSource
{
    private static readonly double[] s_latencyBounds = [.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30];
    private static readonly double[] s_sizeBounds = [1, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000];

    private readonly SeriesSet<(IngestTransport Transport, SpanOutcome Outcome), Counter> _spans = new(
        static key => PrometheusWriter.Labels(("transport", Name(key.Transport)), ("result", Name(key.Outcome))),
        static () => new Counter());

    private readonly SeriesSet<string, Counter> _refusals = new(
        static reason => PrometheusWriter.Labels(("reason", reason)), static () => new Counter());

    private readonly SeriesSet<IngestTransport, Histogram> _acks = new(
        static transport => PrometheusWriter.Labels(("transport", Name(transport))), static () => new Histogram(s_latencyBounds));

    private readonly Histogram _queueWait = new(s_latencyBounds);
    private readonly Histogram _batchSpans = new(s_sizeBounds);
    private readonly Histogram _insertion = new(s_latencyBounds);
    private readonly Counter _inserted = new();
    private readonly Counter _insertionFailures = new();
    private readonly Counter _failedSpans = new();
    private readonly SeriesSet<string, Counter> _refusedSpans = new(
        static stage => PrometheusWriter.Labels(("processor", stage)), static () => new Counter());
    private readonly Counter _sentSpans = new();
    private readonly Counter _sentBytes = new();
    private readonly TimeProvider _time;
    private Func<QueueState>? _queue;
    private long _lastActivityMilliseconds;

    /// <summary>Starts every (transport, result) series at zero, so that a first increase is seen.</summary>
    public IngestMetrics(TimeProvider time)
    {
        _time = time;
        foreach (var stage in (string[])["memory_limit", "queue_full"])
        {
            (_, _) = (_refusals[stage], _refusedSpans[stage]);
        }

        foreach (var transport in Enum.GetValues<IngestTransport>())
        {
            _ = _acks[transport];
            foreach (var outcome in Enum.GetValues<SpanOutcome>())
            {
                _ = _spans[(transport, outcome)];
            }
        }
    }

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Spans handed to COPY in committed batches.</summary>
    internal double InsertedSpans => _inserted.Value;

    /// <summary>Writes that failed, whether they are tried again or not.</summary>
    internal double InsertionFailures => _insertionFailures.Value;

    /// <summary>Spans of requests that were given up: by the writer, or by a sender that waited too long.</summary>
    internal double FailedSpans => _failedSpans.Value;

    /// <summary>Spans with this outcome, over all transports.</summary>
    internal double SpansOf(SpanOutcome outcome) => Enum.GetValues<IngestTransport>().Sum(transport => _spans[(transport, outcome)].Value);

    /// <summary>Registers where the queue's state is read when scraped. Call once.</summary>
    public void UseQueue(Func<QueueState> queue) => _queue = queue;

    /// <summary>Counts <paramref name="spans"/> of one request by what became of them.</summary>
    public void CountSpans(IngestTransport transport, SpanOutcome outcome, int spans)
    {
        if (spans > 0)
        {
            _spans[(transport, outcome)].Add(spans);
        }
    }

    /// <summary>
    /// Counts a request answered 429 or RESOURCE_EXHAUSTED. <paramref name="reason"/> is one of a few constants, e.g. <c>queue_full</c>.
    /// </summary>
    public void CountRefusal(string reason) => _refusals[reason].Add(1);

    /// <summary>Learns how large a span is on the wire, for <see cref="CountRefusedSpans"/>.</summary>
    public void ObserveRequest(int spans, long? contentLength)
    {
        if (spans > 0 && contentLength is { } bytes)
        {
            _sentSpans.Add(spans);
            _sentBytes.Add(bytes);
        }
    }

    /// <summary>
    /// Counts the spans of a refused request. Its body is not read, so they are as many as its length lets expect, at least one.
    /// </summary>
    public void CountRefusedSpans(string stage, long? contentLength) =>
        _refusedSpans[stage].Add(Math.Max(1, Math.Round((contentLength ?? 0) * _sentSpans.Value / Math.Max(1, _sentBytes.Value))));

    /// <summary>Writes the estimate of refused spans as the family <paramref name="name"/>.</summary>
    internal void WriteRefusedSpans(PrometheusWriter writer, string name) => _refusedSpans.WriteCounters(
        writer, name, "Spans refused with a retry hint, estimated by the length of their requests.", static counter => counter.Value);

    /// <summary>Time from the request's first byte to its positive answer.</summary>
    public void ObserveAck(IngestTransport transport, TimeSpan elapsed) => _acks[transport].Observe(elapsed.TotalSeconds);

    /// <summary>Time a decoded request waited for a writer.</summary>
    public void ObserveQueueWait(TimeSpan waited) => _queueWait.Observe(waited.TotalSeconds);

    /// <summary>A committed write of <paramref name="spans"/> spans that took <paramref name="elapsed"/>.</summary>
    public void ObserveInsertion(int spans, TimeSpan elapsed)
    {
        if (spans > 0)
        {
            _batchSpans.Observe(spans);
        }

        _insertion.Observe(elapsed.TotalSeconds);
        _inserted.Add(spans);
        Volatile.Write(ref _lastActivityMilliseconds, _time.GetUtcNow().ToUnixTimeMilliseconds());
    }

    /// <summary>A write that failed, whether it is tried again or not.</summary>
    public void CountFailedWrite() => _insertionFailures.Add(1);

    /// <summary>Spans of a request that is given up; its sender is told to send them again.</summary>
    public void CountFailedSpans(int spans) => _failedSpans.Add(spans);

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _spans.WriteCounters(writer, "phoenix_ingest_spans_total", "Spans received, by transport and what became of them.",
            static counter => counter.Value);
        if (_queue is not null)
        {
            var queue = _queue();
            writer.Gauge("phoenix_span_queue_size", "Records waiting to be written.", queue.Records);
            writer.Gauge("phoenix_span_queue_capacity", "Most records that may wait.", queue.Capacity);
            writer.Gauge("phoenix_span_queue_bytes", "Encoded bytes waiting to be written.", queue.Bytes);
        }

        _refusals.WriteCounters(writer, "phoenix_span_queue_rejections_total", "Requests refused with a retry hint, by reason.",
            static counter => counter.Value);
        WriteHistogram(writer, _queueWait, "phoenix_span_queue_wait_seconds", "Time a decoded request waited for a writer.");
        WriteHistogram(writer, _batchSpans, "phoenix_ingest_batch_spans", "Spans in one committed write that holds any.");
        writer.Family("phoenix_ingest_ack_seconds", MetricType.Histogram,
            "Time from receiving a request to acknowledging it after the commit.");
        foreach (var (labels, histogram) in _acks.All)
        {
            histogram.Write(writer, "phoenix_ingest_ack_seconds", labels);
        }

        WriteHistogram(writer, _insertion, "phoenix_bulk_loader_span_insertion_time_seconds", "Time of one committed write.");
        writer.Counter("phoenix_bulk_loader_span_exceptions_total", "Writes that failed.", _insertionFailures.Value);
        var lastActivity = Volatile.Read(ref _lastActivityMilliseconds);
        if (lastActivity > 0)
        {
            writer.Gauge("phoenix_bulk_loader_last_activity_timestamp_seconds",
                "Unix time of the last committed write.", lastActivity / 1000d);
        }

        return ValueTask.CompletedTask;
    }

    private static void WriteHistogram(PrometheusWriter writer, Histogram histogram, string name, string help)
    {
        writer.Family(name, MetricType.Histogram, help);
        histogram.Write(writer, name, "");
    }

    private static string Name(IngestTransport transport) => transport == IngestTransport.Grpc ? "grpc" : "http";

    private static string Name(SpanOutcome outcome) => outcome switch
    {
        SpanOutcome.Accepted => "accepted",
        SpanOutcome.Rejected => "rejected",
        SpanOutcome.Duplicate => "duplicate",
        SpanOutcome.SampledOut => "sampled_out",
        SpanOutcome.Filtered => "filtered",
        _ => throw new ArgumentOutOfRangeException(nameof(outcome), outcome, message: null),
    };
}
