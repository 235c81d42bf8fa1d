using System.Collections.Frozen;
using System.Text;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>Attribute keys that fill typed columns (OpenInference semantic conventions).</summary>
internal enum KnownKey : byte
{
    /// <summary>Stored as sent, nothing else.</summary>
    None,
    SpanKind,
    SessionId,
    UserId,
    ModelName,
    RequestModelName,
    ResponseModelName,
    EmbeddingModelName,
    RerankerModelName,
    Provider,
    PromptTokens,
    CompletionTokens,
    TotalTokens,
    CacheReadTokens,
    CacheWriteTokens,
    CacheInputTokens,
    PromptAudioTokens,
    ReasoningTokens,
    CompletionAudioTokens,
    ReportedCost,
    ErrorType,
    ErrorCode,
    Path,
}

/// <summary>Finds the meaning of a key; called once a key, not once an attribute.</summary>
internal static class KnownKeys
{
    private static readonly FrozenDictionary<string, KnownKey> s_keys = new Dictionary<string, KnownKey>(StringComparer.Ordinal)
    {
        ["openinference.span.kind"] = KnownKey.SpanKind,
        ["session.id"] = KnownKey.SessionId,
        ["user.id"] = KnownKey.UserId,
        ["llm.model_name"] = KnownKey.ModelName,
        ["llm.request.model_name"] = KnownKey.RequestModelName,
        ["llm.response.model_name"] = KnownKey.ResponseModelName,
        ["embedding.model_name"] = KnownKey.EmbeddingModelName,
        ["reranker.model_name"] = KnownKey.RerankerModelName,
        ["llm.provider"] = KnownKey.Provider,
        ["llm.token_count.prompt"] = KnownKey.PromptTokens,
        ["llm.token_count.completion"] = KnownKey.CompletionTokens,
        ["llm.token_count.total"] = KnownKey.TotalTokens,
        ["llm.token_count.prompt_details.cache_read"] = KnownKey.CacheReadTokens,
        ["llm.token_count.prompt_details.cache_write"] = KnownKey.CacheWriteTokens,
        ["llm.token_count.prompt_details.cache_input"] = KnownKey.CacheInputTokens,
        ["llm.token_count.prompt_details.audio"] = KnownKey.PromptAudioTokens,
        ["llm.token_count.completion_details.reasoning"] = KnownKey.ReasoningTokens,
        ["llm.token_count.completion_details.audio"] = KnownKey.CompletionAudioTokens,
        ["llm.cost.total"] = KnownKey.ReportedCost,
        ["error.type"] = KnownKey.ErrorType,
        ["error.code"] = KnownKey.ErrorCode,
        ["http.target"] = KnownKey.Path,
        ["url.path"] = KnownKey.Path,
    }.ToFrozenDictionary(StringComparer.Ordinal);

    /// <summary>The meaning of <paramref name="key"/>.</summary>
    public static KnownKey Find(ReadOnlySpan<byte> key) => s_keys.GetValueOrDefault(Encoding.Latin1.GetString(key));
}
