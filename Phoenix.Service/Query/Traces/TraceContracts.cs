using System.Text.Json.Serialization;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Traces;

/// <summary>A trace as the API shows it; <see cref="Spans"/> is null unless asked for.</summary>
internal sealed record TraceData(
    string Id, string TraceId, string ProjectId, string StartTime, string EndTime, long TokenCountPrompt,
    long TokenCountCompletion, long TokenCountTotal,
    long SpanCount, long ErrorCount, string? RootName, string? SessionId, double CostUsd, IReadOnlyList<TraceSpanData>? Spans)
{
    /// <summary>From its row.</summary>
    public static TraceData From(TraceRow row, IReadOnlyList<TraceSpanData>? spans) => new(
        GlobalId.Format("Trace", row.Id), TelemetryIds.FormatTrace(row.TraceId), GlobalId.Format("Project", row.ProjectId),
        IsoTime.Format(row.StartNanos),
        IsoTime.Format(row.EndNanos), row.PromptTokens, row.CompletionTokens, BoundedSum.Add(row.PromptTokens, row.CompletionTokens),
        row.SpanCount, row.ErrorCount,
        row.RootName, row.SessionId, row.CostPicoUsd / 1e12, spans);
}

/// <summary>A span in a list of traces.</summary>
internal sealed record TraceSpanData(
    string Id, string SpanId, string? ParentId, string Name, string SpanKind, string StatusCode, string StartTime, string EndTime)
{
    /// <summary>From its row.</summary>
    public static TraceSpanData From(SpanHeadRow row) => new(
        GlobalId.FormatSpan(row.TraceId, row.SpanId), TelemetryIds.FormatSpan(row.SpanId), TelemetryIds.FormatSpan(row.ParentId), row.Name,
        SpanLabels.Name(row.SpanKind), SpanLabels.StatusName(row.Status), IsoTime.Format(row.StartNanos), IsoTime.Format(row.EndNanos));
}

/// <summary>A page of traces.</summary>
internal sealed record TraceList(IReadOnlyList<TraceData> Data, string? NextCursor);

/// <summary>JSON of the slice.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(TraceList))]
internal sealed partial class TraceJsonContext : JsonSerializerContext;
