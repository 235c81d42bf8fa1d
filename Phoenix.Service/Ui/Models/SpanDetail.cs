using System.Text.Json;
using Phoenix.Service.Query.Spans;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Models;

/// <summary>An event of a span; exceptions carry their parts apart.</summary>
public sealed record SpanEventView(string Name, long TimeNanos, AttributeSet Attributes)
{
    /// <summary>Whether it is the conventional exception event.</summary>
    public bool IsException => Name == "exception";
}

/// <summary>A link to another span; ids are hex.</summary>
public sealed record SpanLinkView(string TraceId, string SpanId, AttributeSet Attributes);

/// <summary>A document a retriever or reranker returned.</summary>
public sealed record DocumentView(string? Id, string Content, string? Score, string? Metadata);

/// <summary>A log record as a list shows it.</summary>
public sealed record LogView(
    long Id, long TimeNanos, short Severity, string SeverityText, string Service, string Body, string? EventName, string? TraceId,
    string? SpanId, AttributeSet Attributes);

/// <summary>Everything the detail pane shows of one span.</summary>
public sealed class SpanDetail
{
    /// <summary>16 hex digits.</summary>
    public required string Id { get; init; }

    /// <summary>16 hex digits; null for a root.</summary>
    public string? ParentId { get; init; }

    /// <summary>As sent.</summary>
    public required string Name { get; init; }

    /// <summary>OpenInference kind number.</summary>
    public required short Kind { get; init; }

    /// <summary>OTLP kind, e.g. SERVER.</summary>
    public required string OtlpKind { get; init; }

    /// <summary>UNSET, OK or ERROR.</summary>
    public required string Status { get; init; }

    /// <summary>Text of an error status.</summary>
    public string? StatusMessage { get; init; }

    /// <summary>Unix ns.</summary>
    public required long StartNanos { get; init; }

    /// <summary>Never negative.</summary>
    public required long DurationNanos { get; init; }

    /// <summary>Model name, if any.</summary>
    public string? Model { get; init; }

    /// <summary>Provider, if any.</summary>
    public string? Provider { get; init; }

    /// <summary>Session, if any.</summary>
    public string? SessionId { get; init; }

    /// <summary>User, if any.</summary>
    public string? UserId { get; init; }

    /// <summary>Null when unknown.</summary>
    public long? PromptTokens { get; init; }

    /// <summary>Null when unknown.</summary>
    public long? CompletionTokens { get; init; }

    /// <summary>1e-12 USD; null when no price is known.</summary>
    public long? CostPicoUsd { get; init; }

    /// <summary>The span's attributes.</summary>
    public required AttributeSet Attributes { get; init; }

    /// <summary>In order of time.</summary>
    public required IReadOnlyList<SpanEventView> Events { get; init; }

    /// <summary>As sent.</summary>
    public required IReadOnlyList<SpanLinkView> Links { get; init; }

    /// <summary>Service name of its resource.</summary>
    public required string Service { get; init; }

    /// <summary>Attributes of its resource.</summary>
    public required AttributeSet Resource { get; init; }

    /// <summary>Name of its instrumentation scope, with the version.</summary>
    public required string Scope { get; init; }

    /// <summary>Log records of this span, by time.</summary>
    public required IReadOnlyList<LogView> Logs { get; init; }

    /// <summary>Messages sent to the model.</summary>
    public IReadOnlyList<ChatMessage> InputMessages => ChatMessage.Read(Attributes, "input");

    /// <summary>Messages the model answered.</summary>
    public IReadOnlyList<ChatMessage> OutputMessages => ChatMessage.Read(Attributes, "output");

    /// <summary>Documents found or re-ranked.</summary>
    public IReadOnlyList<DocumentView> Documents =>
    [
        .. Attributes.List("retrieval.documents").Concat(
            Attributes.List("reranker.output_documents")).Select(static entry => new DocumentView(
            Text(entry, "document.id"), Text(entry, "document.content")
                ?? "", Text(entry, "document.score"), Text(entry, "document.metadata"))),
    ];

    internal static SpanDetail From(SpanRow row, ResourceRow resource, ScopeRow scope, IReadOnlyList<LogView> logs) => new()
    {
        Id = TelemetryIds.FormatSpan(row.SpanId),
        ParentId = TelemetryIds.FormatSpan(row.ParentId),
        Name = row.Name,
        Kind = row.SpanKind,
        OtlpKind = SpanCodes.OtlpKind(row.Kind),
        Status = SpanLabels.StatusName(row.Status),
        StatusMessage = row.StatusMessage,
        StartNanos = row.StartNanos,
        DurationNanos = row.DurationNanos,
        Model = row.LlmModel,
        Provider = row.LlmProvider,
        SessionId = row.SessionId,
        UserId = row.UserId,
        PromptTokens = row.PromptTokens,
        CompletionTokens = row.CompletionTokens,
        CostPicoUsd = row.CostPicoUsd,
        Attributes = new AttributeSet(row.Attributes, row.Derived),
        Events = ReadArray(row.Events, static item => new SpanEventView(
            item.GetProperty("name").GetString() ?? "", SpanJson.Nanos(item.GetProperty("time_ns")), AttributesOf(item))),
        Links = ReadArray(row.Links, static item => new SpanLinkView(
            item.GetProperty("trace_id").GetString() ?? "", item.GetProperty("span_id").GetString() ?? "", AttributesOf(item))),
        Service = resource.ServiceName,
        Resource = new AttributeSet(resource.Attributes, derived: null),
        Scope = string.IsNullOrEmpty(scope.Version) ? scope.Name : $"{scope.Name} {scope.Version}",
        Logs = logs,
    };

    private static List<T> ReadArray<T>(string? json, Func<JsonElement, T> read)
    {
        if (string.IsNullOrEmpty(json))
        {
            return [];
        }

        using var document = JsonDocument.Parse(json);
        return [.. document.RootElement.EnumerateArray().Select(read)];
    }

    private static AttributeSet AttributesOf(JsonElement item) =>
        new(item.TryGetProperty("attributes", out var attributes) ? attributes.GetRawText() : "{}", derived: null);

    private static string? Text(IReadOnlyDictionary<string, AttributeView> entry, string key) =>
        entry.TryGetValue(key, out var attribute) && attribute.Text.Length > 0 ? attribute.Text : null;
}
