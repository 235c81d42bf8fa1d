using System.Text.Json;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// OpenLLMetry, Langfuse, LiteLLM, MCP and the Microsoft Agent Framework's workflows (docs/conventions.md).
/// </summary>
internal static class FrameworkMapping
{
    /// <summary>The kind by the marks of each framework.</summary>
    public static void MapKind(DialectSpan span)
    {
        var (view, facts) = (span.View, span.Facts);
        facts.OfferKind(view.Text("traceloop.span.kind")?.ToLowerInvariant() switch
        {
            "workflow" or "task" => SpanKinds.Chain,
            "agent" => SpanKinds.Agent,
            "tool" => SpanKinds.Tool,
            _ => SpanKinds.Unknown,
        });
        facts.OfferKind(view.Text("langfuse.observation.type")?.ToLowerInvariant() switch
        {
            "generation" => SpanKinds.Llm,
            "embedding" => SpanKinds.Embedding,
            "agent" => SpanKinds.Agent,
            "tool" => SpanKinds.Tool,
            "retriever" => SpanKinds.Retriever,
            "evaluator" => SpanKinds.Evaluator,
            "guardrail" => SpanKinds.Guardrail,
            "chain" or "span" => SpanKinds.Chain,
            _ => SpanKinds.Unknown,
        });
        facts.OfferKind(view.Text("mcp.method.name") switch
        {
            null => SpanKinds.Unknown,
            "tools/call" => SpanKinds.Tool,
            "resources/read" => SpanKinds.Retriever,
            "prompts/get" => SpanKinds.Prompt,
            _ => SpanKinds.Chain,
        });
        facts.OfferKind(OfName(span.Name));
        if (view.HasPrefix("executor.") || view.HasPrefix("edge_group.") || view.HasPrefix("workflow."))
        {
            facts.OfferKind(SpanKinds.Chain);
        }

        facts.OfferKind(view.Text("llm.request.type")?.ToLowerInvariant() switch
        {
            "chat" or "completion" => SpanKinds.Llm,
            "embedding" => SpanKinds.Embedding,
            "rerank" => SpanKinds.Reranker,
            _ => SpanKinds.Unknown,
        });
    }

    /// <summary>Everything but the kind.</summary>
    public static void Map(DialectSpan span)
    {
        MapOpenLlmetry(span);
        MapLangfuse(span);
        MapWorkflow(span);
    }

    /// <summary>
    /// LiteLLM's proxy span and its raw provider request surround and repeat the one call that counts; the loop around tool calls of
    /// Microsoft.Extensions.AI carries their summed usage.
    /// </summary>
    private static short OfName(string name) => name switch
    {
        "litellm_request" => SpanKinds.Llm,
        "Received Proxy Server Request" or "raw_gen_ai_request" or "orchestrate_tools" => SpanKinds.Chain,
        _ => SpanKinds.Unknown,
    };

    private static void MapOpenLlmetry(DialectSpan span)
    {
        var (view, derived) = (span.View, span.Derived);
        MessageMapping.AddValue(derived, "input", view.Text("traceloop.entity.input"));
        MessageMapping.AddValue(derived, "output", view.Text("traceloop.entity.output"));
        var entity = view.Text("traceloop.entity.name");
        if (span.Facts.Kind == SpanKinds.Tool)
        {
            derived.Add("tool.name", entity);
        }
        else if (span.Facts.Kind == SpanKinds.Agent)
        {
            derived.Add("agent.name", entity);
        }

        for (var i = 0; view.HasPrefix($"llm.request.functions.{i}."); i++)
        {
            var prefix = $"llm.request.functions.{i}.";
            var function = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
            foreach (var field in new[] { "name", "description", "parameters" })
            {
                if (view.Json(prefix + field) is { } json)
                {
                    function[field] = json;
                }
                else if (view.Text(prefix + field) is { } text)
                {
                    function[field] = JsonSerializer.SerializeToElement(text);
                }
            }

            derived.Add($"llm.tools.{i}.tool.json_schema", JsonSerializer.Serialize(new { type = "function", function }));
        }
    }

    private static void MapLangfuse(DialectSpan span)
    {
        var (view, derived, facts) = (span.View, span.Derived, span.Facts);
        if (!view.HasPrefix("langfuse."))
        {
            return;
        }

        facts.RequestModel ??= view.Text("langfuse.observation.model.name");
        MessageMapping.AddValue(derived, "input", view.Text("langfuse.observation.input"));
        MessageMapping.AddValue(derived, "output", view.Text("langfuse.observation.output"));
        derived.Add("llm.invocation_parameters", view.Text("langfuse.observation.model.parameters"));
        derived.Add("metadata", view.FirstText("langfuse.observation.metadata", "langfuse.trace.metadata"));
        if (view.Json("langfuse.observation.usage_details") is { ValueKind: JsonValueKind.Object } usage)
        {
            ref var tokens = ref facts.Tokens;
            tokens.Prompt ??= Count(usage, "input", "prompt_tokens", "input_tokens");
            tokens.Completion ??= Count(usage, "output", "completion_tokens", "output_tokens");
            tokens.Total ??= Count(usage, "total", "total_tokens");
            tokens.CacheRead ??= Count(usage, "input_cached_tokens", "cache_read_input_tokens", "input_cache_read");
            tokens.CacheWrite ??= Count(usage, "cache_creation_input_tokens", "input_cache_creation");
            tokens.Reasoning ??= Count(usage, "output_reasoning_tokens", "reasoning_tokens");
        }

        if (view.Json("langfuse.observation.cost_details") is { ValueKind: JsonValueKind.Object } cost
            && cost.TryGetProperty("total", out var total) && total.ValueKind == JsonValueKind.Number && total.TryGetDecimal(out var usd))
        {
            facts.OfferCost("langfuse.observation.cost_details", usd);
        }
    }

    private static long? Count(JsonElement usage, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (usage.TryGetProperty(name, out var value) && SpanFacts.CountOf(value) is { } count)
            {
                return count;
            }
        }

        return null;
    }

    /// <summary>Executors of a workflow are nodes of the agent graph; <c>message.content</c> of these spans is no chat message.</summary>
    private static void MapWorkflow(DialectSpan span)
    {
        var (view, derived) = (span.View, span.Derived);
        derived.Add("graph.node.id", view.Text("executor.id"));
        derived.Add("graph.node.name", view.Text("executor.id"));
        MessageMapping.AddValue(derived, "input", view.Text("executor.input"));
        MessageMapping.AddValue(derived, "output", view.Text("executor.output"));
        if (view.HasPrefix("mcp."))
        {
            MessageMapping.AddValue(derived, "input", view.Text("mcp.resource.uri"));
        }
    }
}
