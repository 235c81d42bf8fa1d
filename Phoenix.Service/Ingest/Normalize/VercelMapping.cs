using System.Text.Json;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>Vercel AI SDK, <c>ai.*</c> (docs/conventions.md). What <c>gen_ai.*</c> said before stays.</summary>
internal static class VercelMapping
{
    /// <summary>
    /// The kind of the operation named by <c>ai.operationId</c>; the outer spans repeat the usage of the inner ones and so are no LLM
    /// calls.
    /// </summary>
    public static void MapKind(DialectSpan span)
    {
        if (span.View.FirstText("ai.operationId") is not { } operation)
        {
            return;
        }

        span.Facts.Kind = operation switch
        {
            "ai.toolCall" => SpanKinds.Tool,
            _ when operation.EndsWith(".doGenerate", StringComparison.Ordinal)
                || operation.EndsWith(".doStream", StringComparison.Ordinal) => SpanKinds.Llm,
            _ when operation.EndsWith(".doEmbed", StringComparison.Ordinal) => SpanKinds.Embedding,
            "ai.rerank.doRerank" => SpanKinds.Reranker,
            "ai.embed" or "ai.embedMany" or "ai.rerank" => SpanKinds.Chain,
            _ when operation.StartsWith("ai.generate", StringComparison.Ordinal)
                || operation.StartsWith("ai.stream", StringComparison.Ordinal) => SpanKinds.Agent,
            _ => span.Facts.Kind,
        };
    }

    /// <summary>Everything but the kind.</summary>
    public static void Map(DialectSpan span)
    {
        var (view, derived, facts) = (span.View, span.Derived, span.Facts);
        if (!view.HasPrefix("ai."))
        {
            return;
        }

        facts.RequestModel ??= view.Text("ai.model.id");
        facts.ResponseModel ??= view.Text("ai.response.model");
        if (facts.Provider is null && view.Text("ai.model.provider") is { } raw)
        {
            var (provider, system) = GenAiMapping.ProviderOf(raw);
            facts.Provider = provider ?? system;
            derived.Add("llm.provider", provider);
            derived.Add("llm.system", system);
        }

        MapUsage(span);
        MapMessages(span);
        derived.Add("llm.finish_reason", view.Text("ai.response.finishReason"));
        derived.Add("tool.name", view.Text("ai.toolCall.name"));
        derived.Add("tool.id", view.Text("ai.toolCall.id"));
        derived.Add("tool.parameters", view.Text("ai.toolCall.args"));
        MessageMapping.AddValue(derived, "input", view.FirstText("ai.toolCall.args", "ai.prompt", "ai.value", "ai.values"));
        MessageMapping.AddValue(derived, "output",
            view.FirstText("ai.toolCall.result", "ai.response.text", "ai.response.object", "ai.ranking"));
        MapTools(span);
    }

    private static void MapUsage(DialectSpan span)
    {
        var view = span.View;
        ref var tokens = ref span.Facts.Tokens;
        tokens.Prompt ??= view.FirstCount("ai.usage.inputTokens", "ai.usage.promptTokens", "ai.usage.tokens");
        tokens.Completion ??= view.FirstCount("ai.usage.outputTokens", "ai.usage.completionTokens");
        tokens.Total ??= view.FirstCount("ai.usage.totalTokens");
        tokens.Reasoning ??= view.FirstCount("ai.usage.reasoningTokens");
        tokens.CacheRead ??= view.FirstCount("ai.usage.cachedInputTokens");

        // Cache writes are told by the provider's own metadata alone.
        if (tokens.CacheWrite is null && view.Json("ai.response.providerMetadata") is { ValueKind: JsonValueKind.Object } metadata)
        {
            tokens.CacheWrite = CountAt(metadata, "anthropic", "usage", "cache_creation_input_tokens")
                ?? CountAt(metadata, "bedrock", "usage", "cacheWriteInputTokens");
        }
    }

    private static long? CountAt(JsonElement element, params ReadOnlySpan<string> path)
    {
        foreach (var name in path)
        {
            if (element.ValueKind != JsonValueKind.Object || !element.TryGetProperty(name, out element))
            {
                return null;
            }
        }

        return SpanFacts.CountOf(element);
    }

    private static void MapMessages(DialectSpan span)
    {
        var (view, derived) = (span.View, span.Derived);
        var list = new MessageList(span);
        if (view.Has("ai.prompt.messages") && !derived.HasPrefix("llm.input_messages."))
        {
            list.Start("llm.input_messages.");
            MessageMapping.AddAny(list, view.Json("ai.prompt.messages"), view.Text("ai.prompt.messages"), "user");
            list.End();
        }

        var calls = view.Json("ai.response.toolCalls");
        if ((view.Has("ai.response.text") || calls is not null) && span.Facts.Kind == SpanKinds.Llm
            && !derived.HasPrefix("llm.output_messages."))
        {
            list.Start("llm.output_messages.");
            list.Begin("assistant");
            list.Text(view.Text("ai.response.text"));
            if (calls is { ValueKind: JsonValueKind.Array } items)
            {
                foreach (var call in items.EnumerateArray())
                {
                    MessageMapping.AddToolCall(list, call);
                }
            }

            list.End();
        }

        if (span.Facts.Kind == SpanKinds.Llm)
        {
            MessageMapping.AddValue(derived, "input", list.LastUserText);
        }
    }

    /// <summary><c>ai.prompt.tools</c>: an array of JSON texts, one a tool.</summary>
    private static void MapTools(DialectSpan span)
    {
        if (span.View.Json("ai.prompt.tools") is { ValueKind: JsonValueKind.Array } tools && !span.Derived.HasPrefix("llm.tools."))
        {
            var index = 0;
            foreach (var tool in tools.EnumerateArray())
            {
                span.Derived.AddJsonText($"llm.tools.{index++}.tool.json_schema", tool);
            }
        }
    }
}
