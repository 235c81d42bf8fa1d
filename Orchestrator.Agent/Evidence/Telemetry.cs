namespace Orchestrator.Agent.Evidence;

/// <summary>One span as read back from Phoenix.Service. Times are Unix nanoseconds; ids are lower-case hex.</summary>
/// <param name="ParentId">Null for a root span.</param>
/// <param name="Status">0 unset, 1 ok, 2 error (OTLP StatusCode).</param>
/// <param name="Kind">OTLP SpanKind; instrumentation may leave every span INTERNAL (1).</param>
/// <param name="Attributes">Flat, dotted keys; values are string, bool, long, double or a JSON text for lists and maps.</param>
public sealed record SpanRecord(
    string TraceId, string SpanId, string? ParentId, string Service, string? Instance, string Name, int Kind, int Status,
    string? StatusMessage,
    long StartNanos, long EndNanos, IReadOnlyDictionary<string, object> Attributes, IReadOnlyList<SpanEventRecord> Events)
{
    /// <summary>End minus start, in nanoseconds; 0 when a clock ran backwards.</summary>
    public long DurationNanos => Math.Max(0, EndNanos - StartNanos);
}

/// <summary>A timed event of a span, such as <c>exception</c>.</summary>
public sealed record SpanEventRecord(string Name, long TimeNanos, IReadOnlyDictionary<string, object> Attributes);

/// <summary>One log record. <see cref="RecordId"/> is Phoenix.Service's id and what evidence cites.</summary>
/// <param name="Severity">OTLP SeverityNumber: 9 = INFO, 13 = WARN, 17 = ERROR; 0 = not given.</param>
public sealed record LogRecord(
    long RecordId, long TimeNanos, string Service, string? Instance, int Severity, string? SeverityText, string Body,
    string? TraceId, string? SpanId, string? EventName, IReadOnlyDictionary<string, object> Attributes);

/// <summary>One metric series of one resource, its points ascending by time.</summary>
/// <param name="SeriesId">Phoenix.Service's id; evidence cites it with a point's time.</param>
/// <param name="Type">1 gauge, 2 sum, 3 histogram, 4 exponential histogram, 5 summary.</param>
public sealed record MetricSeries(
    long SeriesId, string Name, string? Unit, int Type, string Service, string? Instance, IReadOnlyDictionary<string, object> Attributes,
    IReadOnlyList<MetricPoint> Points);

/// <summary>One value of a series; for histograms and summaries <see cref="Value"/> is the mean of the point.</summary>
public readonly record struct MetricPoint(long TimeNanos, double Value);

/// <summary>What could not be read: an outage must not look like no data.</summary>
/// <param name="Signal">One of <see cref="TelemetryWindow.Signals"/>, <see cref="TelemetryWindow.Changes"/>, or <see cref="Project"/> when
/// all of it is missing.</param>
public sealed record TelemetryGap(string Signal, string Reason)
{
    public const string Project = "project";

    /// <summary>True when the telemetry may well exist: something stood between it and the reader.</summary>
    public bool IsOutage => Signal != Project;

    public override string ToString() => IsOutage ? $"{Signal}: {Reason}" : Reason;
}

/// <summary>Everything one project recorded in [<see cref="StartNanos"/>, <see cref="EndNanos"/>).</summary>
public sealed record TelemetryWindow(
    string Project, long StartNanos, long EndNanos, IReadOnlyList<SpanRecord> Spans, IReadOnlyList<LogRecord> Logs,
    IReadOnlyList<MetricSeries> Series,
    IReadOnlyList<TelemetryGap> Gaps)
{
    public const string Metrics = "metrics";
    public const string Changes = "changes";
    private const string SpanSignal = "spans";
    private const string LogSignal = "logs";

    /// <summary>The signals a window is read by.</summary>
    public static readonly IReadOnlyList<string> Signals = [SpanSignal, LogSignal, Metrics];

    /// <summary>Change events from before the window: what they brought about may have begun in it.</summary>
    public IReadOnlyList<LogRecord> EarlierChanges { get; init; } = [];

    /// <summary>The signals that an outage kept from the reader.</summary>
    public IEnumerable<string> Lost =>
        Gaps.Where(static gap => gap.IsOutage).Select(static gap => gap.Signal).Distinct(StringComparer.Ordinal);

    public static TelemetryWindow Empty(string project, long startNanos, long endNanos, TelemetryGap gap) =>
        new(project, startNanos, endNanos, [], [], [], [gap]);

    /// <summary>This window and a part of it that was read by itself.</summary>
    public TelemetryWindow With(TelemetryWindow part) => this with
    {
        Spans = part.Spans.Count > 0 ? part.Spans : Spans,
        Logs = part.Logs.Count > 0 ? part.Logs : Logs,
        Series = part.Series.Count > 0 ? part.Series : Series,
        Gaps = [.. Gaps.Union(part.Gaps)],
    };

    /// <summary>The same window without the given signals: two windows can only be compared by what both of them have.</summary>
    public TelemetryWindow Without(IReadOnlyCollection<string> signals) => this with
    {
        Spans = signals.Contains(SpanSignal) ? [] : Spans,
        Logs = signals.Contains(LogSignal) ? [] : Logs,
        Series = signals.Contains(Metrics) ? [] : Series,
    };
}
