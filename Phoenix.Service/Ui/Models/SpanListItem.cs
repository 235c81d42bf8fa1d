using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Models;

/// <summary>A span as a list shows it; previews are the beginnings of input and output.</summary>
public sealed record SpanListItem(
    string TraceId, string SpanId, string Name, short Kind, string OtlpKind, bool IsError, string? StatusMessage, long StartNanos,
    long DurationNanos, string Service,
    string? Model, long? Tokens, long? CostPicoUsd, string? Input, string? Output)
{
    internal static SpanListItem From(SpanRow row, string service)
    {
        var attributes = new AttributeSet(row.Attributes, row.Derived);
        return new SpanListItem(
            TelemetryIds.FormatTrace(row.TraceId), TelemetryIds.FormatSpan(row.SpanId), row.Name,
            row.SpanKind, SpanCodes.OtlpKind(row.Kind),
            row.Status == SpanCodes.ErrorStatus, row.StatusMessage, row.StartNanos, row.DurationNanos, service, row.LlmModel,
            row.PromptTokens is null && row.CompletionTokens is null ? null : (row.PromptTokens ?? 0) + (row.CompletionTokens ?? 0),
            row.CostPicoUsd,
            Preview.Of(attributes, "input"), Preview.Of(attributes, "output"));
    }
}
