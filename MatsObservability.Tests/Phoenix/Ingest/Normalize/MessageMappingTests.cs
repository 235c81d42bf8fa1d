using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;
using KeyValueList = OpenTelemetry.Proto.Common.V1.KeyValueList;

namespace MatsObservability.Tests.Phoenix.Ingest.Normalize;

/// <summary>Messages, tools, documents and events of the dialects as OpenInference attributes.</summary>
[Trait("Req", "B037")]
public sealed class MessageMappingTests : IDisposable
{
    private readonly Decoding _decoding = new();

    public void Dispose() => _decoding.Dispose();

    [Fact]
    public void Messages_OfGenerationTwo_BecomeFlatAttributes()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.system_instructions", """[{"type":"text","content":"Be brief."}]"""),
            ("gen_ai.input.messages",
                """
                [{"role":"user","parts":[{"type":"text","content":"What is this?"},{"type":"uri","modality":"image","uri":"https://x/cat.png"}]},
                 {"role":"assistant","parts":[{"type":"tool_call","id":"c1","name":"look","arguments":{"q":1}}]},
                 {"role":"tool","parts":[{"type":"tool_call_response","id":"c1","response":{"answer":"cat"}}]}]
                """),
            ("gen_ai.output.messages", """[{"role":"assistant","parts":[{"type":"text","content":"A cat."}],"finish_reason":"stop"}]"""));

        Assert.Equal(("system", "Be brief."),
            (row.Derived("llm.input_messages.0.message.role"), row.Derived("llm.input_messages.0.message.content")));
        Assert.Equal("What is this?", row.Derived("llm.input_messages.1.message.contents.0.message_content.text"));
        Assert.Equal("image", row.Derived("llm.input_messages.1.message.contents.1.message_content.type"));
        Assert.Equal("https://x/cat.png", row.Derived("llm.input_messages.1.message.contents.1.message_content.image.image.url"));
        Assert.Equal("look", row.Derived("llm.input_messages.2.message.tool_calls.0.tool_call.function.name"));
        Assert.Equal("""{"q":1}""", row.Derived("llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments"));
        Assert.Equal("c1", row.Derived("llm.input_messages.3.message.tool_call_id"));
        Assert.Equal("""{"answer":"cat"}""", row.Derived("llm.input_messages.3.message.content"));
        Assert.Equal("A cat.", row.Derived("llm.output_messages.0.message.content"));
        Assert.Equal("stop", row.Derived("llm.finish_reason"));
        Assert.Equal(("What is this?", "A cat."), (row.Derived("input.value"), row.Derived("output.value")));
    }

    [Fact]
    public void Messages_AsNativeLists_AreReadTheSame()
    {
        var message = new KeyValueList { Values = { Decoding.Attribute("role", "developer"), Decoding.Attribute("content", "native") } };

        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.input.messages", new AnyValue { ArrayValue = new() { Values = { new AnyValue { KvlistValue = message } } } }));

        Assert.Equal(
            ("system", "native"), (row.Derived("llm.input_messages.0.message.role"), row.Derived("llm.input_messages.0.message.content")));
    }

    [Fact]
    public void Messages_WithABadPart_KeepTheRest()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.input.messages",
                """[17,{"role":"user","parts":[{"type":"novel","x":1},{"type":"text","content":"fine"}]},"text alone"]"""));

        Assert.Equal("17", row.Derived("llm.input_messages.0.message.content"));
        Assert.Equal("""{"type":"novel","x":1}""", row.Derived("llm.input_messages.1.message.contents.0.message_content.text"));
        Assert.Equal("fine", row.Derived("llm.input_messages.1.message.contents.1.message_content.text"));
        Assert.Equal("text alone", row.Derived("llm.input_messages.2.message.content"));
    }

    [Fact]
    public void Messages_ThatAreNoJson_StayText() =>
        Assert.Equal("{ broken", _decoding.Row(("gen_ai.prompt", "{ broken")).Derived("llm.input_messages.0.message.content"));

    [Fact]
    public void Messages_OfOpenLlmetry_AreIndexed()
    {
        var row = _decoding.Row(
            ("gen_ai.prompt.0.role", "system"), ("gen_ai.prompt.0.content", "rules"), ("gen_ai.prompt.1.role", "user"),
            ("gen_ai.prompt.1.content", "hi"),
            ("gen_ai.completion.0.content", "hello"), ("gen_ai.completion.0.finish_reason", "stop"),
            ("gen_ai.completion.0.tool_calls.0.name", "search"));

        Assert.Equal("LLM", row.SpanKind);
        Assert.Equal("hi", row.Derived("llm.input_messages.1.message.content"));
        Assert.Equal(("assistant", "hello"),
            (row.Derived("llm.output_messages.0.message.role"), row.Derived("llm.output_messages.0.message.content")));
        Assert.Equal("search", row.Derived("llm.output_messages.0.message.tool_calls.0.tool_call.function.name"));
    }

    [Fact]
    public void Messages_OfGenerationOneEvents_FollowTheirOrder()
    {
        var span = Decoding.Span(("gen_ai.system", "openai"), ("gen_ai.operation.name", "chat"));
        span.Events.Add(Event("gen_ai.system.message", ("content", "rules")));
        span.Events.Add(Event("gen_ai.user.message", ("gen_ai.event.content", """{"role":"user","content":"hi"}""")));
        span.Events.Add(
            Event("gen_ai.choice", ("gen_ai.event.content", """{"index":0,"finish_reason":"stop","message":{"content":"hello"}}""")));

        var row = _decoding.Row(span);

        Assert.Equal(
            ("rules", "hi"), (row.Derived("llm.input_messages.0.message.content"), row.Derived("llm.input_messages.1.message.content")));
        Assert.Equal(("hello", "stop"), (row.Derived("llm.output_messages.0.message.content"), row.Derived("llm.finish_reason")));
    }

    [Fact]
    public void Messages_OfSemanticKernelWithBrokenPayload_StayText()
    {
        var span = Decoding.Span(("gen_ai.system", "openai"));
        span.Events.Add(Event("gen_ai.content.prompt", ("gen_ai.prompt", "[{'role': 'user'}]")));

        Assert.Equal("[{'role': 'user'}]", _decoding.Row(span).Derived("llm.input_messages.0.message.content"));
    }

    [Fact]
    public void Messages_OfVercel_AreMapped()
    {
        var row = _decoding.Row(
            ("ai.operationId", "ai.generateText.doGenerate"), ("ai.model.id", "gpt-4o"),
            ("ai.prompt.messages", """[{"role":"user","content":[{"type":"text","text":"hi"}]}]"""),
            ("ai.response.text", "hello"), ("ai.response.toolCalls", """[{"toolCallId":"c","toolName":"t","args":{"a":1}}]"""),
            ("ai.response.finishReason", "stop"),
            ("ai.prompt.tools", new[] { """{"type":"function","name":"t"}""" }),
            ("ai.response.providerMetadata", """{"anthropic":{"usage":{"cache_creation_input_tokens":5}}}"""),
            ("ai.usage.promptTokens", 10));

        Assert.Equal(
            ("hi", "hello"), (row.Derived("llm.input_messages.0.message.content"), row.Derived("llm.output_messages.0.message.content")));
        Assert.Equal("""{"a":1}""", row.Derived("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments"));
        Assert.Equal("""{"type":"function","name":"t"}""", row.Derived("llm.tools.0.tool.json_schema"));
        Assert.Equal(("5", "gpt-4o"), (row.Derived("llm.token_count.prompt_details.cache_write"), row.Model));
    }

    [Fact]
    public void Tool_OfGenAi_HasNameIdArgumentsAndResult()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "execute_tool"), ("gen_ai.tool.name", "search"), ("gen_ai.tool.call.id", "c1"),
            ("gen_ai.tool.description", "finds"),
            ("gen_ai.tool.call.arguments", """{"q":"x"}"""), ("gen_ai.tool.call.result", "found"));

        Assert.Equal(("search", "c1", "finds"), (row.Derived("tool.name"), row.Derived("tool.id"), row.Derived("tool.description")));
        Assert.Equal(("""{"q":"x"}""", """{"q":"x"}"""), (row.Derived("tool.parameters"), row.Derived("input.value")));
        Assert.Equal(("application/json", "found"), (row.Derived("input.mime_type"), row.Derived("output.value")));
    }

    [Fact]
    public void ToolDefinitions_TakeTheOpenInferenceShape()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"),
            ("gen_ai.tool.definitions", """[{"name":"f","description":"d","input_schema":{"type":"object"}}]"""));

        Assert.Equal(
            """{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"}}}""",
            row.Derived("llm.tools.0.tool.json_schema"));
    }

    [Fact]
    public void Retrieval_QueryAndDocuments_AreMapped()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "retrieval"), ("gen_ai.retrieval.query.text", "cats"),
            ("gen_ai.retrieval.documents", """[{"id":"d1","score":0.5,"content":"text","metadata":{"p":1}}]"""));

        Assert.Equal("cats", row.Derived("input.value"));
        Assert.Equal(
            ("d1", "0.5"), (row.Derived("retrieval.documents.0.document.id"), row.Derived("retrieval.documents.0.document.score")));
        Assert.Equal("""{"p":1}""", row.Derived("retrieval.documents.0.document.metadata"));
    }

    [Fact]
    public void Agent_NameAndMessages_BecomeInputAndOutput()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "invoke_agent"), ("gen_ai.agent.name", "Helper"), ("gen_ai.usage.input_tokens", 500),
            ("gen_ai.request.model", "gpt-4o"),
            ("gen_ai.input.messages", """[{"role":"user","parts":[{"type":"text","content":"do it"}]}]"""),
            ("gen_ai.output.messages", """[{"role":"assistant","parts":[{"type":"text","content":"done"}]}]"""));

        Assert.Equal(("AGENT", "Helper"), (row.SpanKind, row.Derived("agent.name")));
        Assert.Equal(("do it", "done"), (row.Derived("input.value"), row.Derived("output.value")));
        Assert.Null(row.PromptTokens);
    }

    [Fact]
    public void Workflow_Executor_IsANodeOfTheGraph()
    {
        var row = _decoding.Row(("executor.id", "writer"), ("executor.input", "in"), ("message.content", "not a chat message"));

        Assert.Equal(("writer", "in"), (row.Derived("graph.node.id"), row.Derived("input.value")));
        Assert.Null(row.Derived("llm.input_messages.0.message.content"));
    }

    [Fact]
    public void Langfuse_UsageAndCost_AreRead()
    {
        var row = _decoding.Row(
            ("langfuse.observation.type", "generation"), ("langfuse.observation.model.name", "mine"), ("langfuse.observation.input", "q"),
            ("langfuse.observation.usage_details", """{"input":4,"output":2,"total":6}"""),
            ("langfuse.observation.cost_details", """{"total":0.5}"""));

        Assert.Equal(("mine", 4L, 2L), (row.Model, row.PromptTokens, row.CompletionTokens));
        Assert.Equal("""{"reported_usd":0.5,"reported_by":"langfuse.observation.cost_details"}""", row.Derived("phoenix.cost"));
    }

    [Fact]
    public void Evaluation_Event_BecomesInSpanFeedback()
    {
        var span = Decoding.Span(("gen_ai.operation.name", "chat"));
        span.Events.Add(Event(
            "gen_ai.evaluation.result", ("gen_ai.evaluation.name", "Relevance"), ("gen_ai.evaluation.score.value",
                0.75), ("gen_ai.evaluation.score.label", "good")));

        var row = _decoding.Row(span);

        Assert.Equal(
            ("Relevance", "0.75", "good"),
            (row.Derived("annotations.0.annotation.name"), row.Derived("annotations.0.annotation.score"),
                row.Derived("annotations.0.annotation.label")));
    }

    private static Span.Types.Event Event(string name, params (string Key, object Value)[] attributes) =>
        new() { Name = name, Attributes = { attributes.Select(pair => Decoding.Attribute(pair.Key, pair.Value)) } };
}
