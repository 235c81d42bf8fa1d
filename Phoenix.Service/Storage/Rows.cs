namespace Phoenix.Service.Storage;

/// <summary>A row of <c>projects</c>.</summary>
internal sealed record ProjectRow(int Id, string Name, string? Description, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt);

/// <summary>A row of <c>resources</c>; <see cref="Attributes"/> is a JSON object.</summary>
internal sealed record ResourceRow(long Id, string ServiceName, string Attributes, string? SchemaUrl);

/// <summary>A row of <c>scopes</c>; <see cref="Attributes"/> is a JSON object or null.</summary>
internal sealed record ScopeRow(long Id, string Name, string? Version, string? Attributes, string? SchemaUrl);

/// <summary>Where a span stands in its project's order by time; unique in the project.</summary>
internal readonly record struct SpanKey(long StartNanos, Guid TraceId, long SpanId);

/// <summary>A row of <c>spans</c>; JSON columns as text, times in Unix nanoseconds.</summary>
internal sealed record SpanRow(
    int ProjectId, Guid TraceId, long SpanId, long? ParentId, long StartNanos, long EndNanos, string Name,
    short Kind, short SpanKind, short Status,
    string? StatusMessage, long ResourceId, long ScopeId, string? SessionId, string? UserId, string? LlmModel, string? LlmProvider,
    long? PromptTokens, long? CompletionTokens, long? CostPicoUsd, string Attributes, string? Derived, string? Events, string? Links,
    string? TraceState, string? Extra)
{
    /// <summary>Its place in the project's order.</summary>
    public SpanKey Key => new(StartNanos, TraceId, SpanId);

    /// <summary>End minus start; 0 when a clock ran backwards.</summary>
    public long DurationNanos => Math.Max(0, EndNanos - StartNanos);
}

/// <summary>A span without its attributes, events and links: what a tree or list shows.</summary>
internal sealed record SpanHeadRow(
    Guid TraceId, long SpanId, long? ParentId, long StartNanos, long EndNanos, string Name, short Kind, short SpanKind,
    short Status, long ResourceId);

/// <summary>Where a log record stands in its project's order by time.</summary>
internal readonly record struct LogKey(long TimeNanos, long Id);

/// <summary>A row of <c>logs</c>.</summary>
internal sealed record LogRow(
    long Id, int ProjectId, long TimeNanos, long? ObservedNanos, Guid? TraceId, long? SpanId, short Severity,
    string? SeverityText, string? EventName,
    string? Body, bool BodyIsJson, long ResourceId, long ScopeId, string Attributes, int Flags)
{
    /// <summary>Its place in the project's order.</summary>
    public LogKey Key => new(TimeNanos, Id);
}

/// <summary>A row of <c>metric_series</c>.</summary>
internal sealed record MetricSeriesRow(
    long Id, int ProjectId, string Name, string? Description, string? Unit, short Type, short Temporality, bool Monotonic,
    long ResourceId, long ScopeId,
    string Attributes);

/// <summary>A row of <c>metric_points</c>; <see cref="Payload"/> is JSON of buckets, quantiles, minimum, maximum and exemplars.</summary>
internal sealed record MetricPointRow(
    long SeriesId, long TimeNanos, long? StartNanos, double? Value, long? IntValue, long? Count, string? Payload, int Flags)
{
    /// <summary>About how much memory it takes, for the byte limit of a page.</summary>
    public int Bytes => (Payload?.Length ?? 0) + 100;

    /// <summary>
    /// The point as one number: the value of a gauge or sum, the mean of a histogram or summary. Null when it recorded none (empty, or
    /// flagged "no recorded value") or the number is not finite.
    /// </summary>
    public double? Number
    {
        get
        {
            if ((Flags & 1) != 0)
            {
                return null;
            }

            if (Count is { } count)
            {
                return count > 0 && Value is { } sum && double.IsFinite(sum / count) ? sum / count : null;
            }

            return IntValue is { } integer ? integer : Value is { } value && double.IsFinite(value) ? value : null;
        }
    }
}

/// <summary>A row of <c>traces</c>.</summary>
internal sealed record TraceRow(
    long Id, int ProjectId, Guid TraceId, long StartNanos, long EndNanos, long? RootSpanId, string? RootName,
    string? RootService, short? RootSpanKind,
    short? RootStatus, string? SessionId, string? UserId, long SpanCount, long ErrorCount, long PromptTokens,
    long CompletionTokens, long CostPicoUsd)
{
    /// <summary>End minus start, in nanoseconds.</summary>
    public long DurationNanos => Math.Max(0, EndNanos - StartNanos);
}

/// <summary>A row of <c>sessions</c>.</summary>
internal sealed record SessionRow(
    long Id, int ProjectId, string SessionId, string? UserId, long StartNanos, long EndNanos, long TraceCount,
    long ErrorCount, long PromptTokens,
    long CompletionTokens, long CostPicoUsd);
