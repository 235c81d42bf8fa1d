using System.Text.Json;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>OpenTelemetry GenAI, generations 1 to 3 (docs/conventions.md).</summary>
internal static class GenAiMapping
{
    private static readonly Dictionary<string, short> s_operations = new(StringComparer.OrdinalIgnoreCase)
    {
        ["chat"] = SpanKinds.Llm, ["text_completion"] = SpanKinds.Llm, ["generate_content"] = SpanKinds.Llm, ["realtime"] = SpanKinds.Llm,
        ["chat.completions"] = SpanKinds.Llm, ["text.completions"] = SpanKinds.Llm, ["completion"] = SpanKinds.Llm,
        ["acompletion"] = SpanKinds.Llm,
        ["responses"] = SpanKinds.Llm, ["aresponses"] = SpanKinds.Llm, ["atext_completion"] = SpanKinds.Llm,
        ["anthropic_messages"] = SpanKinds.Llm,
        ["embeddings"] = SpanKinds.Embedding, ["embedding"] = SpanKinds.Embedding, ["aembedding"] = SpanKinds.Embedding,
        ["execute_tool"] = SpanKinds.Tool, ["create_memory"] = SpanKinds.Tool, ["update_memory"] = SpanKinds.Tool,
        ["upsert_memory"] = SpanKinds.Tool,
        ["delete_memory"] = SpanKinds.Tool, ["create_memory_store"] = SpanKinds.Tool, ["delete_memory_store"] = SpanKinds.Tool,
        ["retrieval"] = SpanKinds.Retriever, ["search_memory"] = SpanKinds.Retriever, ["rerank"] = SpanKinds.Reranker,
        ["arerank"] = SpanKinds.Reranker,
        ["create_agent"] = SpanKinds.Agent, ["invoke_agent"] = SpanKinds.Agent,
        ["invoke_workflow"] = SpanKinds.Chain, ["plan"] = SpanKinds.Chain, ["orchestrate_tools"] = SpanKinds.Chain,
        ["agent_step"] = SpanKinds.Chain,
    };

    private static readonly Dictionary<string, (string? Provider, string? System)> s_providers = new(StringComparer.OrdinalIgnoreCase)
    {
        ["mistral_ai"] = ("mistralai", "mistralai"), ["azure.ai.openai"] = ("azure", "openai"), ["az.ai.openai"] = ("azure", "openai"),
        ["azure.ai.inference"] = ("azure", null), ["az.ai.inference"] = ("azure", null), ["aws.bedrock"] = ("aws", null),
        ["gcp.vertex_ai"] = ("google", "vertexai"), ["gcp.gemini"] = ("google", null), ["gcp.gen_ai"] = ("google", null),
        ["x_ai"] = ("xai", null), ["xai"] = ("xai", null), ["moonshot_ai"] = ("moonshot", null), ["deepseek"] = ("deepseek", null),
        ["groq"] = ("groq", null), ["perplexity"] = ("perplexity", null), ["openai"] = ("openai", "openai"),
        ["anthropic"] = ("anthropic", "anthropic"), ["cohere"] = ("cohere", "cohere"),
    };

    /// <summary>The kind named by <c>gen_ai.operation.name</c>.</summary>
    public static void MapKind(DialectSpan span)
    {
        if (span.View.Text("gen_ai.operation.name") is { } operation && s_operations.TryGetValue(operation, out var kind))
        {
            span.Facts.OfferKind(kind);
        }
    }

    /// <summary>The kind of a span without a known operation name, by what it carries. Usage alone does not make an LLM call.</summary>
    public static void InferKind(DialectSpan span)
    {
        var view = span.View;
        if (span.Facts.Kind != SpanKinds.Unknown)
        {
            return;
        }

        if (view.Has("gen_ai.tool.call.id") || view.Has("gen_ai.tool.name"))
        {
            span.Facts.Kind = SpanKinds.Tool;
        }
        else if (view.HasPrefix("gen_ai.retrieval."))
        {
            span.Facts.Kind = SpanKinds.Retriever;
        }
        else if (view.Has("gen_ai.embeddings.dimension.count"))
        {
            span.Facts.Kind = SpanKinds.Embedding;
        }
        else if (view.Has("gen_ai.request.model") || view.Has("gen_ai.input.messages") || view.Has("gen_ai.output.messages")
            || view.HasPrefix("gen_ai.prompt") || view.HasPrefix("gen_ai.completion"))
        {
            span.Facts.Kind = SpanKinds.Llm;
        }
    }

    /// <summary>
    /// Provider and system of a raw name: known names translated, a Vercel API suffix cut, others in lower case as the system.
    /// </summary>
    public static (string? Provider, string? System) ProviderOf(string raw)
    {
        if (s_providers.TryGetValue(raw, out var known))
        {
            return known;
        }

        var dot = raw.IndexOf('.', StringComparison.Ordinal);
        return dot > 0 && s_providers.TryGetValue(raw[..dot], out known) ? known : (null, raw.ToLowerInvariant());
    }

    /// <summary>Everything but the kind.</summary>
    public static void Map(DialectSpan span, IReadOnlyList<DialectEvent> events)
    {
        MapModel(span);
        MapParameters(span);
        MapUsage(span);
        MapTool(span);
        MapRetrieval(span);
        MessageMapping.Map(span, events);
        MapEvaluations(span, events);
        span.Derived.Add("agent.name", span.View.Text("gen_ai.agent.name"));
        if (span.Facts.Kind == SpanKinds.Llm && !span.Derived.Has("output.value") && span.View.Text("gen_ai.response.id") is { } id)
        {
            span.Derived.Add("output.value", PlaceholderOf(id));
            span.Derived.Add("output.mime_type", "application/json");
        }
    }

    /// <summary>What stands for an answer of which only the id is known.</summary>
    public static string PlaceholderOf(string responseId) =>
        JsonSerializer.Serialize(new Dictionary<string, string>(StringComparer.Ordinal) { ["id"] = responseId });

    private static void MapModel(DialectSpan span)
    {
        var (view, facts) = (span.View, span.Facts);
        facts.RequestModel = view.FirstText("gen_ai.request.model", "llm.model");
        facts.ResponseModel = view.Text("gen_ai.response.model");
        if (view.FirstText("gen_ai.provider.name", "gen_ai.system") is { } raw)
        {
            var (provider, system) = ProviderOf(raw);
            facts.Provider = provider ?? system;
            span.Derived.Add("llm.provider", provider);
            span.Derived.Add("llm.system", system);
        }

        if (view.FirstText("gen_ai.response.finish_reasons", "gen_ai.response.finish_reason") is { } reasons)
        {
            var first = view.Json("gen_ai.response.finish_reasons") ?? view.Json("gen_ai.response.finish_reason");
            span.Derived.Add("llm.finish_reason",
                first is { ValueKind: JsonValueKind.Array } list && list.GetArrayLength() > 0 ? list[0].ToString() : reasons);
        }
    }

    private static void MapParameters(DialectSpan span)
    {
        var parameters = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var name in new[]
        {
            "temperature", "top_p", "top_k", "max_tokens", "frequency_penalty", "presence_penalty", "seed", "stream",
        })
        {
            AddParameter(span, parameters, $"gen_ai.request.{name}", name);
        }

        AddParameter(span, parameters, "gen_ai.request.choice.count", "n");
        AddParameter(span, parameters, "gen_ai.request.stop_sequences", "stop");
        AddParameter(span, parameters, "gen_ai.request.reasoning.level", "reasoning_effort");
        if (span.View.Json("gen_ai.request.encoding_formats") is { ValueKind: JsonValueKind.Array } formats && formats.GetArrayLength() > 0)
        {
            parameters[formats.GetArrayLength() == 1 ? "encoding_format" : "encoding_formats"] = formats.GetArrayLength() == 1
                ? formats[0]
                : formats;
        }

        if (span.View.FirstText("gen_ai.output.type", "gen_ai.openai.request.response_format") is { } output)
        {
            parameters["response_format"] = JsonSerializer.SerializeToElement(output == "json" ? "json_object" : output);
        }

        if (parameters.Count > 0)
        {
            var key = span.Facts.Kind == SpanKinds.Embedding ? "embedding.invocation_parameters" : "llm.invocation_parameters";
            span.Derived.Add(key, JsonSerializer.Serialize(parameters));
        }
    }

    private static void AddParameter(DialectSpan span, Dictionary<string, JsonElement> parameters, string key, string name)
    {
        if (span.View.Json(key) is { } value)
        {
            parameters[name] = value;
        }
        else if (span.View.Text(key) is { } text)
        {
            parameters[name] = JsonSerializer.SerializeToElement(text);
        }
    }

    private static void MapUsage(DialectSpan span)
    {
        var view = span.View;
        ref var tokens = ref span.Facts.Tokens;
        tokens.Prompt = view.FirstCount(
            "gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens", "gen_ai.response.prompt_tokens", "llm.usage.prompt_tokens",
            "llm.response.usage.prompt_tokens", "llm.token_usage.prompt");
        tokens.Completion = view.FirstCount(
            "gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens", "gen_ai.response.completion_tokens",
            "llm.usage.completion_tokens",
            "llm.response.usage.completion_tokens", "llm.token_usage.completion");
        tokens.Total = view.FirstCount(
            "gen_ai.usage.total_tokens", "llm.usage.total_tokens", "llm.response.usage.total_tokens", "llm.token_usage.total");
        tokens.CacheRead = view.FirstCount(
            "gen_ai.usage.cache_read.input_tokens", "gen_ai.usage.cache_read_input_tokens", "gen_ai.usage.input_tokens.cached",
            "gen_ai.usage.details.cache_read_tokens");
        tokens.CacheWrite = view.FirstCount(
            "gen_ai.usage.cache_creation.input_tokens", "gen_ai.usage.cache_write.input_tokens", "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.input_tokens.cache_write", "gen_ai.usage.details.cache_write_tokens");
        tokens.Reasoning = view.FirstCount(
            "gen_ai.usage.reasoning.output_tokens", "gen_ai.usage.reasoning_tokens", "gen_ai.usage.output_tokens.reasoning",
            "gen_ai.usage.details.reasoning_tokens");
        tokens.PromptAudio = view.FirstCount("gen_ai.usage.audio.input_tokens", "gen_ai.usage.input_audio_tokens");
        tokens.CompletionAudio = view.FirstCount("gen_ai.usage.audio.output_tokens", "gen_ai.usage.output_audio_tokens");
        foreach (var key in new[] { "gen_ai.usage.cost", "gen_ai.cost.total_cost", "litellm.cost.total" })
        {
            span.Facts.OfferCost(key, view.Number(key));
        }
    }

    private static void MapTool(DialectSpan span)
    {
        var (view, derived) = (span.View, span.Derived);
        if (span.Facts.Kind == SpanKinds.Tool || view.Has("gen_ai.tool.call.id"))
        {
            derived.Add("tool.name", view.Text("gen_ai.tool.name"));
            derived.Add("tool.description", view.Text("gen_ai.tool.description"));
            derived.Add("tool.id", view.Text("gen_ai.tool.call.id"));
            if (view.Text("gen_ai.tool.call.arguments") is { } arguments)
            {
                derived.Add("tool.parameters", arguments);
                MessageMapping.AddValue(derived, "input", arguments);
            }

            MessageMapping.AddValue(derived, "output", view.Text("gen_ai.tool.call.result"));
        }

        if (view.Json("gen_ai.tool.definitions") is { ValueKind: JsonValueKind.Array } tools && !derived.HasPrefix("llm.tools."))
        {
            var index = 0;
            foreach (var tool in tools.EnumerateArray())
            {
                derived.Add($"llm.tools.{index++}.tool.json_schema", ToolSchema(tool));
            }
        }
    }

    /// <summary>A tool definition in the shape OpenInference carries: {"type","function":{name,description,parameters}}.</summary>
    private static string ToolSchema(JsonElement tool)
    {
        if (tool.ValueKind == JsonValueKind.String)
        {
            return tool.GetString()!;
        }

        if (tool.ValueKind != JsonValueKind.Object || tool.TryGetProperty("function", out _) || !tool.TryGetProperty("name", out _))
        {
            return tool.GetRawText();
        }

        var function = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var (name, target) in new[]
        {
            ("name", "name"), ("description", "description"), ("parameters", "parameters"), ("input_schema", "parameters"),
        })
        {
            if (tool.TryGetProperty(name, out var value))
            {
                function.TryAdd(target, value);
            }
        }

        return JsonSerializer.Serialize(new { type = tool.TryGetProperty("type", out var type) ? type.ToString() : "function", function });
    }

    private static void MapRetrieval(DialectSpan span)
    {
        var (view, derived) = (span.View, span.Derived);
        MessageMapping.AddValue(derived, "input", view.FirstText("gen_ai.retrieval.query.text", "gen_ai.memory.query.text"));
        var documents = view.Json("gen_ai.retrieval.documents") ?? view.Json("gen_ai.memory.records");
        if (documents is not { ValueKind: JsonValueKind.Array } list || derived.HasPrefix("retrieval.documents."))
        {
            return;
        }

        var index = 0;
        foreach (var document in list.EnumerateArray())
        {
            var prefix = $"retrieval.documents.{index++}.document.";
            if (document.ValueKind != JsonValueKind.Object)
            {
                derived.Add(prefix + "content", document.ToString());
                continue;
            }

            derived.Add(prefix + "id", MessageMapping.TextOf(document, "id"));
            derived.Add(prefix + "content", MessageMapping.TextOf(document, "content") ?? MessageMapping.TextOf(document, "text"));
            if (document.TryGetProperty("score", out var score) && score.ValueKind == JsonValueKind.Number
                && score.TryGetDecimal(out var number))
            {
                derived.Add(prefix + "score", number);
            }

            derived.Add(prefix + "metadata", MessageMapping.TextOf(document, "metadata"));
        }
    }

    /// <summary>Evaluations on the span or in its events, in the form of OpenInference in-span feedback.</summary>
    private static void MapEvaluations(DialectSpan span, IReadOnlyList<DialectEvent> events)
    {
        var views = events.Where(item => item.Name == "gen_ai.evaluation.result").Select(item => item.View);
        if (span.View.Has("gen_ai.evaluation.name"))
        {
            views = views.Prepend(span.View);
        }

        var index = 0;
        foreach (var view in span.Derived.HasPrefix("annotations.") ? [] : views)
        {
            var prefix = $"annotations.{index++}.annotation.";
            span.Derived.Add(prefix + "name", view.Text("gen_ai.evaluation.name"));
            span.Derived.Add(prefix + "score", view.Number("gen_ai.evaluation.score.value"));
            span.Derived.Add(prefix + "label", view.Text("gen_ai.evaluation.score.label"));
            span.Derived.Add(prefix + "explanation", view.Text("gen_ai.evaluation.explanation"));
            span.Derived.Add(prefix + "identifier", view.Text("gen_ai.response.id"));
        }
    }
}
