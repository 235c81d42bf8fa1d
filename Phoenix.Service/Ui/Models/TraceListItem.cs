using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Models;

/// <summary>A trace as a list shows it; name and kind are of its root, which may not have arrived.</summary>
public sealed record TraceListItem(
    string TraceId, string Name, short? Kind, string? Service, long StartNanos, long DurationNanos, long Spans,
    long Errors, long PromptTokens,
    long CompletionTokens, long CostPicoUsd, string? SessionId, string? UserId, string? Input, string? Output)
{
    /// <summary>Prompt and completion.</summary>
    public long Tokens => BoundedSum.Add(PromptTokens, CompletionTokens);
}

/// <summary>A session as a list shows it.</summary>
public sealed record SessionListItem(
    string SessionId, string? UserId, long StartNanos, long EndNanos, long Traces, long Errors, long Tokens,
    long CostPicoUsd, double? P50Nanos, double? SuccessShare,
    string? FirstInput, string? LastOutput);

/// <summary>One exchange of a session: what its trace's root was asked and what it answered, in full.</summary>
public sealed record SessionTurn(
    string TraceId, string Name, long StartNanos, long DurationNanos, bool IsError, long Tokens, long CostPicoUsd, long Spans,
    string? Input, string? Output);
