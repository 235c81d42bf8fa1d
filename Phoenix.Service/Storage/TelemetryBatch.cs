using System.Runtime.InteropServices;

namespace Phoenix.Service.Storage;

/// <summary>The three OTLP signals, each with a partitioned table of its own.</summary>
public enum Signal
{
    /// <summary>Table <c>spans</c>, partitioned by start time.</summary>
    Spans,

    /// <summary>Table <c>logs</c>, partitioned by record time.</summary>
    Logs,

    /// <summary>Table <c>metric_points</c>, partitioned by point time.</summary>
    MetricPoints,
}

/// <summary>
/// What one export request stores: rows already encoded for binary COPY, grouped by the UTC day of their partition, the interned rows they
/// refer to, and what the roll-ups need. The decoder owns it until it is enqueued, then the writer; the owner disposes it once.
/// </summary>
public sealed class TelemetryBatch(Signal signal, int expectedBytes = 64 * 1024) : IDisposable
{
    private const int SmallestBuffer = 4 * 1024;

    /// <summary>Most different days of one batch.</summary>
    public const int MaxDays = 400;

    private readonly HashSet<(byte Kind, long Id)> _referred = [];

    /// <summary>Which table the rows belong to.</summary>
    public Signal Signal { get; } = signal;

    /// <summary>Rows by partition day; almost always one entry.</summary>
    public List<DayRows> Days { get; } = new(1);

    /// <summary>Every project the rows belong to.</summary>
    public List<int> Projects { get; } = new(1);

    /// <summary>Every resource the rows refer to; the writer stores those not stored yet before the rows.</summary>
    public List<InternedResource> Resources { get; } = [];

    /// <summary>Every scope the rows refer to.</summary>
    public List<InternedScope> Scopes { get; } = [];

    /// <summary>Every metric series the rows refer to; empty for other signals.</summary>
    public List<InternedSeries> Series { get; } = [];

    /// <summary>One entry a trace seen in the request; empty for other signals.</summary>
    public List<TraceDelta> Traces { get; } = [];

    /// <summary>Spans of the request by minute, model, kind and status; empty for other signals.</summary>
    public List<MinuteDelta> Minutes { get; } = [];

    /// <summary>Rows encoded over all days.</summary>
    public int RecordCount { get; set; }

    /// <summary>Records left out because they were invalid; the answer reports them as partial_success.</summary>
    public int RejectedCount { get; set; }

    /// <summary>Why the first of them was left out; null when none was.</summary>
    public string? RejectionMessage { get; set; }

    /// <summary>Spans left out by the sample rate; they are no fault of the sender.</summary>
    public int SampledOutCount { get; set; }

    /// <summary>Spans left out because their path is filtered; they are no fault of the sender.</summary>
    public int FilteredCount { get; set; }

    /// <summary>Records that were not encoded, whatever the reason.</summary>
    public int LeftOutCount => RejectedCount + SampledOutCount + FilteredCount;

    /// <summary>Where in the request the spans and log records begin that were left out, ascending; null when none was.</summary>
    public List<int>? LeftOut { get; private set; }

    /// <summary>
    /// Encoded bytes over all days, and about what the series, traces and minutes hold beside them: what admission and the memory limit
    /// count.
    /// </summary>
    public long ByteCount { get; set; }

    /// <summary>
    /// Whether rows of <paramref name="day"/> still fit: every day holds a buffer, and one request must not make millions of them.
    /// </summary>
    public bool CanTake(int day)
    {
        if (Days.Count < MaxDays)
        {
            return true;
        }

        foreach (var entry in Days)
        {
            if (entry.Day == day)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>Notes that the record at <paramref name="offset"/> of the request was left out.</summary>
    public void LeaveOut(int offset) => (LeftOut ??= []).Add(offset);

    /// <summary>Adds a project the rows belong to, once.</summary>
    public void Refer(int projectId)
    {
        if (_referred.Add((2, projectId)))
        {
            Projects.Add(projectId);
        }
    }

    /// <summary>Adds a resource the rows refer to, once; whether it is new.</summary>
    public bool Refer(InternedResource resource)
    {
        if (!_referred.Add((0, resource.Id)))
        {
            return false;
        }

        Resources.Add(resource);
        return true;
    }

    /// <summary>Adds a scope the rows refer to, once; whether it is new.</summary>
    public bool Refer(InternedScope scope)
    {
        if (!_referred.Add((1, scope.Id)))
        {
            return false;
        }

        Scopes.Add(scope);
        return true;
    }

    /// <summary>
    /// The rows of the partition of <paramref name="day"/> (days since 1970-01-01, may be negative), created when missing.
    /// </summary>
    public CopyRows RowsFor(int day)
    {
        foreach (var entry in Days)
        {
            if (entry.Day == day)
            {
                return entry.Rows;
            }
        }

        // Only the first day is expected to hold the bulk: hostile times must not multiply it.
        var rows = new CopyRows(Days.Count == 0 ? Math.Max(expectedBytes, SmallestBuffer) : SmallestBuffer);
        Days.Add(new DayRows(day, rows));
        return rows;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var entry in Days)
        {
            entry.Rows.Dispose();
        }

        Days.Clear();
    }
}

/// <summary>Encoded rows of one partition day (days since 1970-01-01).</summary>
public readonly record struct DayRows(int Day, CopyRows Rows);

/// <summary>A resource by the hash of its content. <see cref="Attributes"/> is a JSON object.</summary>
public sealed record InternedResource(long Id, string ServiceName, string Attributes, string? SchemaUrl, int DroppedAttributesCount)
{
    /// <summary>About what it takes in memory and on its way into its table.</summary>
    public long ByteCount => InternedSeries.OwnBytes + (2L * (ServiceName.Length + Attributes.Length + (SchemaUrl?.Length ?? 0)));
}

/// <summary>An instrumentation scope by the hash of its content. <see cref="Attributes"/> is a JSON object or null.</summary>
public sealed record InternedScope(long Id, string Name, string? Version, string? Attributes,
    string? SchemaUrl, int DroppedAttributesCount)
{
    /// <summary>About what it takes in memory and on its way into its table.</summary>
    public long ByteCount => InternedSeries.OwnBytes
        + (2L * (Name.Length + (Version?.Length ?? 0) + (Attributes?.Length ?? 0) + (SchemaUrl?.Length ?? 0)));
}

/// <summary>A metric series by the hash of its content; columns as in the table <c>metric_series</c>.</summary>
public sealed record InternedSeries(
    long Id, int ProjectId, string Name, string? Description, string? Unit, short Type, short Temporality, bool Monotonic,
    long ResourceId, long ScopeId,
    string Attributes)
{
    /// <summary>About what one takes besides its texts, as a resource or a scope does.</summary>
    internal const int OwnBytes = 128;

    /// <summary>About what it takes in memory and on its way into its table.</summary>
    public long ByteCount => OwnBytes + (2L * Attributes.Length) + TextLength;

    /// <summary>Characters of the texts that the series of a metric have in common.</summary>
    public int TextLength => Name.Length + (Unit?.Length ?? 0) + (Description?.Length ?? 0);
}

/// <summary>What one request adds to a trace. Applied once per stored row: rows dropped as duplicates must not count.</summary>
public sealed class TraceDelta
{
    /// <summary>Owning project.</summary>
    public required int ProjectId { get; init; }

    /// <summary>The OTLP trace id, big endian.</summary>
    public required Guid TraceId { get; init; }

    /// <summary>Earliest start of its spans in this request, Unix ns.</summary>
    public long StartNanos { get; set; } = long.MaxValue;

    /// <summary>Latest end, Unix ns.</summary>
    public long EndNanos { get; set; } = long.MinValue;

    /// <summary>The span without parent, when it was in this request.</summary>
    public RootSpan? Root { get; set; }

    /// <summary>Session id of the first span by <see cref="SessionRank"/> that names one (ties: the smaller id, ordinal), if any.</summary>
    public string? SessionId { get; set; }

    /// <summary><see cref="RankOf"/> the span that named <see cref="SessionId"/>: what decides between requests.</summary>
    public long SessionRank { get; set; } = long.MaxValue;

    /// <summary>
    /// How early a name of a session comes; the lowest counts. One that a span was given comes before every one that was made of its user's
    /// address, and of either kind that of the span that starts first. In SQL: RollupSql.SessionRank.
    /// </summary>
    public static long RankOf(long startNanos, bool isUsers) => isUsers ? startNanos : startNanos - long.MaxValue;

    /// <summary>User id of the earliest span that names one (ties: the smaller id, ordinal), if any.</summary>
    public string? UserId { get; set; }

    /// <summary>Start of the span that named <see cref="UserId"/>, Unix ns.</summary>
    public long UserNanos { get; set; } = long.MaxValue;

    /// <summary>Spans.</summary>
    public int Spans { get; set; }

    /// <summary>Spans with status ERROR.</summary>
    public int Errors { get; set; }

    /// <summary>Prompt tokens of LLM spans.</summary>
    public long PromptTokens { get; set; }

    /// <summary>Completion tokens of LLM spans.</summary>
    public long CompletionTokens { get; set; }

    /// <summary>Cost in 1e-12 USD.</summary>
    public long CostPicoUsd { get; set; }

    /// <summary>LLM spans with token usage.</summary>
    public long LlmCalls { get; set; }

    /// <summary>A bit for each of them, by its id.</summary>
    public long LlmMask { get; set; }

    /// <summary>A bit for each parent, by its id, that is such a span or is not in this request.</summary>
    public long OpenMask { get; set; }

    /// <summary>Whether a span of it is an embedding call, and may hold vectors.</summary>
    public bool HasEmbeddings { get; set; }

    /// <summary>Bytes of its spans as they came, before anything was cut.</summary>
    public long OtlpBytes { get; set; }
}

/// <summary>The root span as the trace list shows it: of several, the one that starts first (ties: the smaller id).</summary>
public sealed record RootSpan(long SpanId, string Name, string Service, short SpanKind, short Status)
{
    /// <summary>Start, Unix ns: what decides between the roots of several requests.</summary>
    public long StartNanos { get; init; } = long.MaxValue;
}

/// <summary>What one request adds to one row of <c>span_minutes</c>, and to the Prometheus counters.</summary>
public sealed class MinuteDelta
{
    /// <summary>The row's key; model and provider are empty strings when absent.</summary>
    public required MinuteKey Key { get; init; }

    /// <summary>Spans.</summary>
    public int Spans { get; set; }

    /// <summary>Prompt tokens of LLM and EMBEDDING spans.</summary>
    public long PromptTokens { get; set; }

    /// <summary>Completion tokens of LLM and EMBEDDING spans.</summary>
    public long CompletionTokens { get; set; }

    /// <summary>Cost in 1e-12 USD.</summary>
    public long CostPicoUsd { get; set; }

    /// <summary>Sum of durations, ns.</summary>
    public double DurationNanos { get; set; }

    /// <summary>Its spans that name a user or an error, by both; no more kinds of them than users and errors are told apart.</summary>
    public ReadOnlySpan<SpanPart> Parts => CollectionsMarshal.AsSpan(_parts);

    private List<SpanPart>? _parts;
    private int _lastPart;

    /// <summary>
    /// Counts <paramref name="spans"/> of its spans among <see cref="Parts"/>. <paramref name="user"/> comes out of a bounded set of
    /// strings: equal ones are the same.
    /// </summary>
    public void AddPart(string user, SpanError error, int spans = 1)
    {
        var parts = CollectionsMarshal.AsSpan(_parts);
        if (_lastPart >= parts.Length || !parts[_lastPart].Is(user, error))
        {
            _lastPart = 0;
            while (_lastPart < parts.Length && !parts[_lastPart].Is(user, error))
            {
                _lastPart++;
            }
        }

        if (_lastPart == parts.Length)
        {
            (_parts ??= []).Add(new SpanPart { User = user, Error = error });
            parts = CollectionsMarshal.AsSpan(_parts);
        }

        parts[_lastPart].Spans += spans;
    }

    /// <summary>Counts by <see cref="DurationBounds"/>, the last one for everything above.</summary>
    public int[] Buckets { get; } = new int[DurationBounds.Length + 1];

    /// <summary>Upper bounds of the duration histogram in seconds.</summary>
    public static ReadOnlySpan<double> DurationBounds => [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60, 120, 300];
}

/// <summary>What kind of failure a span names.</summary>
public enum SpanError : byte
{
    /// <summary>None named.</summary>
    None,

    /// <summary>Too many requests.</summary>
    RateLimit,

    /// <summary>It took too long.</summary>
    Timeout,

    /// <summary>The provider's content policy.</summary>
    ContentFilter,

    /// <summary>Anything else.</summary>
    Other,
}

/// <summary>Spans of one user with one kind of failure; no user is the empty string.</summary>
public struct SpanPart
{
    /// <summary>The user, or <c>other</c>.</summary>
    public string User { get; init; }

    /// <summary>The failure.</summary>
    public SpanError Error { get; init; }

    /// <summary>How many.</summary>
    public int Spans { get; set; }

    internal readonly bool Is(string user, SpanError error) => Error == error && ReferenceEquals(User, user);
}

/// <summary>Key of a minute row.</summary>
public readonly record struct MinuteKey(int ProjectId, long Minute, string Model, string Provider, short SpanKind, short Status);
