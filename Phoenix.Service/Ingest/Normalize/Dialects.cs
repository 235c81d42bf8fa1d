using System.Text;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// Vocabularies other than OpenInference: OpenTelemetry GenAI in its three generations, Vercel AI SDK, OpenLLMetry, Langfuse, LiteLLM, MCP
/// and the Microsoft Agent Framework (docs/conventions.md lists what is mapped).
/// </summary>
internal static class Dialects
{
    private static readonly string[] s_prefixes =
    [
        "gen_ai.", "ai.", "langfuse.", "traceloop.", "mcp.", "litellm.", "workflow.", "executor.", "edge_group.",
        "llm.request.type", "llm.usage.",
        "llm.response.", "llm.token_usage.", "llm.user", "llm.model", "enduser.id", "jsonrpc.",
        "session_id", "openinference.session.id", "user.email",
    ];

    /// <summary>Whether a key belongs to a dialect; asked once a key.</summary>
    public static bool Owns(string key) =>
        key is not ("llm.model_name" or "llm.response.model_name")
        && Array.Exists(s_prefixes, prefix => key.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Maps everything known of the span; the order is the order of precedence.</summary>
    public static void Map(DialectSpan span, IReadOnlyList<DialectEvent> events)
    {
        GenAiMapping.MapKind(span);
        VercelMapping.MapKind(span);
        FrameworkMapping.MapKind(span);
        GenAiMapping.Map(span, events);
        VercelMapping.Map(span);
        FrameworkMapping.Map(span);
        GenAiMapping.InferKind(span);
        IdentityMapping.Map(span);
        Conclude(span);
    }

    /// <summary>What OpenInference readers expect of the finished facts.</summary>
    private static void Conclude(DialectSpan span)
    {
        var (derived, facts) = (span.Derived, span.Facts);
        if (facts.Kind != SpanKinds.Unknown)
        {
            derived.Add("openinference.span.kind", SpanKinds.Name(facts.Kind));
        }

        var model = facts.ResponseModel ?? facts.RequestModel;
        if (facts.Kind == SpanKinds.Embedding)
        {
            derived.Add("embedding.model_name", model);
        }
        else if (facts.Kind == SpanKinds.Reranker)
        {
            derived.Add("reranker.model_name", model);
        }
        else
        {
            derived.Add("llm.model_name", model);
            derived.Add("llm.request.model_name", facts.RequestModel);
            derived.Add("llm.response.model_name", facts.ResponseModel);
        }

        derived.Add("llm.token_count.prompt", facts.Tokens.Prompt);
        derived.Add("llm.token_count.completion", facts.Tokens.Completion);
        derived.Add("llm.token_count.total", facts.Tokens.Total);
        derived.Add("llm.token_count.prompt_details.cache_read", facts.Tokens.CacheRead);
        derived.Add("llm.token_count.prompt_details.cache_write", facts.Tokens.CacheWrite);
        derived.Add("llm.token_count.prompt_details.audio", facts.Tokens.PromptAudio);
        derived.Add("llm.token_count.completion_details.reasoning", facts.Tokens.Reasoning);
        derived.Add("llm.token_count.completion_details.audio", facts.Tokens.CompletionAudio);
    }
}

/// <summary>Session and user (docs/conventions.md, Columns); the OpenInference keys come first and are read with the columns.</summary>
internal static class IdentityMapping
{
    /// <summary>Fills both.</summary>
    public static void Map(DialectSpan span)
    {
        span.Facts.SessionId = span.View.FirstText(
            "session_id", "openinference.session.id", "gen_ai.conversation.id", "langfuse.session.id", "ai.telemetry.metadata.sessionId",
            "traceloop.association.properties.session_id");
        span.Facts.UserId = span.View.FirstText(
            "enduser.id", "langfuse.user.id", "ai.telemetry.metadata.userId", "traceloop.association.properties.user_id", "llm.user");
        span.Facts.SessionOfUser = span.View.FirstText("user.email") is { } email ? $"user:{email}" : null;
        span.Derived.Add("session.id", span.Facts.SessionId);
        span.Derived.Add("user.id", span.Facts.UserId);
    }
}

/// <summary>An event of the span that carries GenAI payload.</summary>
internal sealed record DialectEvent(string Name, AttributeView View)
{
    /// <summary>The GenAI events of a span, in order; events that break the encoding are left to the column that stores them.</summary>
    public static List<DialectEvent> ReadAll(ReadOnlySpan<byte> span, List<Slice> events, AttributePolicy policy)
    {
        var found = new List<DialectEvent>();
        foreach (var slice in events)
        {
            var message = span.Slice(slice.Start, slice.Length);
            var name = NameOf(message);
            if (name.StartsWith("gen_ai."u8) && AttributeView.OfEvent(message, policy) is { } view)
            {
                found.Add(new DialectEvent(Encoding.UTF8.GetString(name), view));
            }
        }

        return found;
    }

    private static ReadOnlySpan<byte> NameOf(ReadOnlySpan<byte> message)
    {
        ReadOnlySpan<byte> name = default;
        var reader = new ProtobufReader(message);
        while (reader.TryReadTag(out var tag)
            && (tag == ((TraceFields.EventName << 3) | WireType.Bytes) ? reader.TryReadBytes(out name) : reader.TrySkip(tag)))
        {
        }

        return name;
    }
}
