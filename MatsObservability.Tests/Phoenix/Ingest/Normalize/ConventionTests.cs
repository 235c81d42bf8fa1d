using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Ingest.Normalize;

/// <summary>
/// The mapping tables of docs/conventions.md: kinds, models, providers, sessions, users and token counts of every vocabulary.
/// </summary>
[Trait("Req", "B037")]
public sealed class ConventionTests : IDisposable
{
    private readonly Decoding _decoding = new();

    public void Dispose() => _decoding.Dispose();

    [Theory]
    [InlineData("openinference.span.kind", "LLM", "LLM")]
    [InlineData("openinference.span.kind", "agent", "AGENT")]
    [InlineData("openinference.span.kind", " Guardrail ", "GUARDRAIL")]
    [InlineData("openinference.span.kind", "nonsense", "UNKNOWN")]
    [InlineData("other", "LLM", "UNKNOWN")]
    [InlineData("gen_ai.operation.name", "chat", "LLM")]
    [InlineData("gen_ai.operation.name", "text_completion", "LLM")]
    [InlineData("gen_ai.operation.name", "generate_content", "LLM")]
    [InlineData("gen_ai.operation.name", "chat.completions", "LLM")]
    [InlineData("gen_ai.operation.name", "acompletion", "LLM")]
    [InlineData("gen_ai.operation.name", "realtime", "LLM")]
    [InlineData("gen_ai.operation.name", "embeddings", "EMBEDDING")]
    [InlineData("gen_ai.operation.name", "execute_tool", "TOOL")]
    [InlineData("gen_ai.operation.name", "delete_memory_store", "TOOL")]
    [InlineData("gen_ai.operation.name", "retrieval", "RETRIEVER")]
    [InlineData("gen_ai.operation.name", "search_memory", "RETRIEVER")]
    [InlineData("gen_ai.operation.name", "rerank", "RERANKER")]
    [InlineData("gen_ai.operation.name", "create_agent", "AGENT")]
    [InlineData("gen_ai.operation.name", "invoke_agent", "AGENT")]
    [InlineData("gen_ai.operation.name", "invoke_workflow", "CHAIN")]
    [InlineData("gen_ai.operation.name", "plan", "CHAIN")]
    [InlineData("gen_ai.tool.name", "search", "TOOL")]
    [InlineData("gen_ai.retrieval.query.text", "q", "RETRIEVER")]
    [InlineData("gen_ai.embeddings.dimension.count", "3", "EMBEDDING")]
    [InlineData("gen_ai.request.model", "gpt-4o", "LLM")]
    [InlineData("gen_ai.usage.input_tokens", "5", "UNKNOWN")]
    [InlineData("ai.operationId", "ai.generateText", "AGENT")]
    [InlineData("ai.operationId", "ai.streamObject", "AGENT")]
    [InlineData("ai.operationId", "ai.generateText.doGenerate", "LLM")]
    [InlineData("ai.operationId", "ai.streamText.doStream", "LLM")]
    [InlineData("ai.operationId", "ai.embed", "CHAIN")]
    [InlineData("ai.operationId", "ai.embedMany.doEmbed", "EMBEDDING")]
    [InlineData("ai.operationId", "ai.toolCall", "TOOL")]
    [InlineData("traceloop.span.kind", "workflow", "CHAIN")]
    [InlineData("traceloop.span.kind", "task", "CHAIN")]
    [InlineData("traceloop.span.kind", "agent", "AGENT")]
    [InlineData("traceloop.span.kind", "tool", "TOOL")]
    [InlineData("llm.request.type", "chat", "LLM")]
    [InlineData("langfuse.observation.type", "generation", "LLM")]
    [InlineData("langfuse.observation.type", "retriever", "RETRIEVER")]
    [InlineData("mcp.method.name", "tools/call", "TOOL")]
    [InlineData("mcp.method.name", "resources/read", "RETRIEVER")]
    [InlineData("mcp.method.name", "prompts/get", "PROMPT")]
    [InlineData("mcp.method.name", "initialize", "CHAIN")]
    [InlineData("executor.id", "writer", "CHAIN")]
    [InlineData("workflow.id", "w", "CHAIN")]
    public void SpanKind_OfEveryVocabulary(string key, string value, string expected)
    {
        var row = _decoding.Row((key, value));

        Assert.Equal(expected, row.SpanKind);
        Assert.Equal(key == "openinference.span.kind" || expected == "UNKNOWN" ? null : expected, row.Derived("openinference.span.kind"));
    }

    [Theory]
    [InlineData("litellm_request", "LLM")]
    [InlineData("raw_gen_ai_request", "CHAIN")]
    [InlineData("Received Proxy Server Request", "CHAIN")]
    [InlineData("orchestrate_tools", "CHAIN")]
    public void SpanKind_OfNamedWrappers_CountsOneCallOnce(string name, string expected)
    {
        var span = Decoding.Span(("gen_ai.request.model", "gpt-4o"), ("gen_ai.usage.input_tokens", 10));
        span.Name = name;

        var row = _decoding.Row(span);

        Assert.Equal((expected, expected == "LLM" ? 10L : null), (row.SpanKind, row.PromptTokens));
    }

    [Fact]
    public void OpenInferenceKeys_WinAndAreNeverOverwritten()
    {
        var row = _decoding.Row(
            ("openinference.span.kind", "CHAIN"), ("llm.model_name", "mine"), ("input.value", "own input"), ("session.id", "own"),
            ("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "theirs"),
            ("gen_ai.input.messages", """[{"role":"user","content":"hi"}]"""),
            ("gen_ai.conversation.id", "conversation"));

        Assert.Equal(("CHAIN", "mine", "own"), (row.SpanKind, row.Model, row.SessionId));
        Assert.All(["openinference.span.kind", "llm.model_name", "input.value", "session.id"], key => Assert.Null(row.Derived(key)));
        Assert.Equal("hi", row.Derived("llm.input_messages.0.message.content"));
        Assert.Equal("theirs", row.Attributes.GetProperty("gen_ai.request.model").GetString());
    }

    [Fact]
    public void PlainOpenInference_HasNoDerivedColumn() =>
        Assert.Null(_decoding.Row(("openinference.span.kind", "TOOL"), ("tool.name", "t"), ("input.value", "x")).Text("derived"));

    [Theory]
    [InlineData("gen_ai.provider.name", "openai", "openai", "openai", "openai")]
    [InlineData("gen_ai.system", "anthropic", "anthropic", "anthropic", "anthropic")]
    [InlineData("gen_ai.system", "azure.ai.openai", "azure", "azure", "openai")]
    [InlineData("gen_ai.provider.name", "aws.bedrock", "aws", "aws", null)]
    [InlineData("gen_ai.provider.name", "gcp.vertex_ai", "google", "google", "vertexai")]
    [InlineData("gen_ai.provider.name", "mistral_ai", "mistralai", "mistralai", "mistralai")]
    [InlineData("gen_ai.provider.name", "x_ai", "xai", "xai", null)]
    [InlineData("gen_ai.provider.name", "IBM.watsonx.ai", "ibm.watsonx.ai", null, "ibm.watsonx.ai")]
    [InlineData("ai.model.provider", "openai.chat", "openai", "openai", "openai")]
    [InlineData("ai.model.provider", "anthropic.messages", "anthropic", "anthropic", "anthropic")]
    [InlineData("llm.provider", "azure", "azure", null, null)]
    public void Provider_OfEveryVocabulary(string key, string value, string column, string? provider, string? system)
    {
        var row = _decoding.Row((key, value));

        Assert.Equal((column, provider, system), (row.Provider, row.Derived("llm.provider"), row.Derived("llm.system")));
    }

    [Fact]
    public void Model_ResponseBeforeRequest()
    {
        var row = _decoding.Row(("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.response.model", "gpt-4o-2024-08-06"));

        Assert.Equal("gpt-4o-2024-08-06", row.Model);
        Assert.Equal(
            ("gpt-4o-2024-08-06", "gpt-4o", "gpt-4o-2024-08-06"),
            (row.Derived("llm.model_name"), row.Derived("llm.request.model_name"), row.Derived("llm.response.model_name")));
    }

    [Fact]
    public void Model_OfEmbeddings_IsTheEmbeddingModel()
    {
        var row = _decoding.Row(("gen_ai.operation.name", "embeddings"), ("gen_ai.request.model", "text-embedding-3-small"),
            ("gen_ai.usage.input_tokens", 9));

        Assert.Equal(("text-embedding-3-small", 9L), (row.Model, row.PromptTokens));
        Assert.Equal("text-embedding-3-small", row.Derived("embedding.model_name"));
        Assert.Null(row.Derived("llm.model_name"));
    }

    [Theory, Trait("Req", "M21")]
    [InlineData("session.id", "session_id")]
    [InlineData("session_id", "openinference.session.id")]
    [InlineData("openinference.session.id", "gen_ai.conversation.id")]
    [InlineData("gen_ai.conversation.id", "langfuse.session.id")]
    [InlineData("langfuse.session.id", "ai.telemetry.metadata.sessionId")]
    [InlineData("ai.telemetry.metadata.sessionId", "traceloop.association.properties.session_id")]
    public void Session_FirstOfTheOrderWins(string winner, string loser)
    {
        Assert.Equal("first", _decoding.Row((loser, "second"), (winner, " first ")).SessionId);
        Assert.Equal("second", _decoding.Row((loser, "second"), (winner, "  ")).SessionId);
    }

    [Fact, Trait("Req", "M21")]
    public void Session_OfSpansWithAnAddressOnly_IsTheUsers_RootAndChildAlike()
    {
        var root = Decoding.Span(("user.email", "ann@example.com"));
        var child = Decoding.Span(("user.email", "ann@example.com"), ("traceloop.association.properties.session_id", "named"));
        child.ParentSpanId = root.SpanId;
        var grandchild = Decoding.Span(("user.email", " bob@example.com "));
        grandchild.ParentSpanId = child.SpanId;

        Assert.Equal(
            ["user:ann@example.com", "named", "user:bob@example.com"], _decoding.Rows(Decoding.Request(root, child, grandchild))
                .Select(row => row.SessionId));
        Assert.Null(_decoding.Row(("user.email", " ")).SessionId);

        var request = Decoding.Request(Decoding.Span(("user.email", "ann@example.com")));
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("session.id", "of the resource"));
        Assert.Equal("of the resource", Assert.Single(_decoding.Rows(request)).SessionId);
    }

    [Theory]
    [InlineData("user.id", "enduser.id")]
    [InlineData("enduser.id", "langfuse.user.id")]
    [InlineData("langfuse.user.id", "ai.telemetry.metadata.userId")]
    [InlineData("ai.telemetry.metadata.userId", "traceloop.association.properties.user_id")]
    [InlineData("traceloop.association.properties.user_id", "llm.user")]
    public void User_FirstOfTheOrderWins(string winner, string loser) =>
        Assert.Equal("first", _decoding.Row((loser, "second"), (winner, "first")).UserId);

    [Fact]
    public void Session_NumberBecomesText_AndMcpSessionIsNone()
    {
        Assert.Equal("42", _decoding.Row(("session.id", 42)).SessionId);
        Assert.Null(_decoding.Row(("mcp.session.id", "transport"), ("mcp.method.name", "tools/list")).SessionId);
    }

    [Fact]
    public void Session_OfTheResource_CountsWhereTheSpanIsSilent()
    {
        var request = Decoding.Request(Decoding.Span(), Decoding.Span(("session.id", "of the span")));
        request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("session.id", "of the resource"));

        Assert.Equal(["of the resource", "of the span"], _decoding.Rows(request).Select(row => row.SessionId));
    }

    [Theory]
    [InlineData("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")]
    [InlineData("gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens")]
    [InlineData("gen_ai.response.prompt_tokens", "gen_ai.response.completion_tokens")]
    [InlineData("ai.usage.promptTokens", "ai.usage.completionTokens")]
    [InlineData("ai.usage.inputTokens", "ai.usage.outputTokens")]
    [InlineData("llm.token_count.prompt", "llm.token_count.completion")]
    [InlineData("llm.usage.prompt_tokens", "llm.usage.completion_tokens")]
    public void Tokens_OfEveryVocabulary(string prompt, string completion)
    {
        var row = _decoding.Row(("openinference.span.kind", "LLM"), (prompt, 12), (completion, "7"));

        Assert.Equal((12L, 7L), (row.PromptTokens, row.CompletionTokens));
    }

    [Theory]
    [InlineData("-1")]
    [InlineData("N/A")]
    [InlineData("1.5")]
    [InlineData("true")]
    [InlineData("")]
    public void Tokens_NotACount_AreUnknownAndNotZero(string value) =>
        Assert.Null(_decoding.Row(("openinference.span.kind", "LLM"), ("llm.token_count.prompt", value)).PromptTokens);

    [Fact]
    public void Tokens_ZeroAndWholeDouble_AreCounts()
    {
        var row = _decoding.Row(("openinference.span.kind", "LLM"), ("llm.token_count.prompt", 0), ("llm.token_count.completion", 3.0));

        Assert.Equal((0L, 3L), (row.PromptTokens, row.CompletionTokens));
    }

    [Theory]
    [InlineData("AGENT")]
    [InlineData("CHAIN")]
    [InlineData("TOOL")]
    public void Tokens_OfWrappers_CountNowhere(string kind)
    {
        var row = _decoding.Row(("openinference.span.kind", kind), ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 10));

        Assert.Null(row.PromptTokens);
        Assert.Null(row.CostPicoUsd);
        Assert.Equal(10, row.Attributes.GetProperty("llm.token_count.prompt").GetInt32());
    }

    [Theory]
    [InlineData(null, 5, 12, 7, 5)]
    [InlineData(4, 5, 12, 4, 8)]
    [InlineData(4, null, 12, 4, 8)]
    [InlineData(4, 5, 3, 4, 5)]
    public void Tokens_LargerTotal_FillsTheOtherSide(int? prompt, int? completion, int total, long expectedPrompt, long expectedCompletion)
    {
        var attributes = new List<(string, object)> { ("openinference.span.kind", "LLM"), ("llm.token_count.total", total) };
        attributes.AddRange(prompt is { } p ? [("llm.token_count.prompt", p)] : []);
        attributes.AddRange(completion is { } c ? [("llm.token_count.completion", c)] : []);

        var row = _decoding.Row([.. attributes]);

        Assert.Equal((expectedPrompt, expectedCompletion), (row.PromptTokens, row.CompletionTokens));
    }

    [Fact]
    public void Tokens_CachedBesideThePrompt_AreAdded()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"), ("gen_ai.response.model", "claude-3-5-sonnet-20241022"), ("gen_ai.usage.input_tokens", 100),
            ("gen_ai.usage.output_tokens", 10), ("gen_ai.usage.cache_read.input_tokens", 1000),
            ("gen_ai.usage.cache_creation.input_tokens", 200));

        Assert.Equal(1300, row.PromptTokens);
        Assert.Equal((100 * 3_000_000L) + (1000 * 300_000L) + (200 * 3_750_000L) + (10 * 15_000_000L), row.CostPicoUsd);
        Assert.Contains("\"cache\":\"exclusive\"", row.Derived("phoenix.cost"), StringComparison.Ordinal);
    }

    [Fact]
    public void Tokens_CachedWithinThePrompt_AreParts()
    {
        var row = _decoding.Row(
            ("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 1000),
            ("llm.token_count.prompt_details.cache_read", 800), ("llm.token_count.completion", 0));

        Assert.Equal(1000, row.PromptTokens);
        Assert.Equal((200 * 2_500_000L) + (800 * 1_250_000L), row.CostPicoUsd);
        Assert.Contains("\"cache\":\"inclusive\"", row.Derived("phoenix.cost"), StringComparison.Ordinal);
    }

    [Fact]
    public void Tokens_OfAnExclusiveScope_AreAddedWhateverTheNumbers()
    {
        using var decoding = new Decoding(options => options.ExclusiveCacheScopes = ["scope"]);

        Assert.Equal(1100, decoding.Row(
            ("openinference.span.kind", "LLM"), ("llm.token_count.prompt",
                1000), ("llm.token_count.prompt_details.cache_read", 100)).PromptTokens);
    }

    [Fact]
    public void ErrorType_WithoutErrorStatus_IsAFailure()
    {
        var failed = Decoding.Span(("error.type", "rate_limit"));
        failed.Status = new Status { Code = Status.Types.StatusCode.Error };

        Assert.Equal("true", _decoding.Row(("error.type", "rate_limit")).Derived("phoenix.failed"));
        Assert.Null(_decoding.Row(failed).Derived("phoenix.failed"));
    }

    [Fact]
    public void InvocationParameters_OfGenAi_AreOneJsonText()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"), ("gen_ai.request.temperature", 0.5), ("gen_ai.request.max_tokens", 100),
            ("gen_ai.request.choice.count", 2),
            ("gen_ai.request.stop_sequences", new[] { "END" }), ("gen_ai.output.type", "json"));

        Assert.Equal(
            """{"temperature":0.5,"max_tokens":100,"n":2,"stop":["END"],"response_format":"json_object"}""",
            row.Derived("llm.invocation_parameters"));
    }

    [Theory]
    [InlineData("""["stop"]""", "stop")]
    [InlineData("length", "length")]
    public void FinishReason_TextOrJsonText(string sent, string expected) =>
        Assert.Equal(expected, _decoding.Row(("gen_ai.response.finish_reasons", sent)).Derived("llm.finish_reason"));

    [Fact]
    public void ReportedCost_OfGateways_IsKept()
    {
        var row = _decoding.Row(("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "mine"), ("gen_ai.usage.input_tokens", 3),
            ("gen_ai.usage.cost", 0.125));

        Assert.Equal("""{"reported_usd":0.125,"reported_by":"gen_ai.usage.cost"}""", row.Derived("phoenix.cost"));
    }
}
