namespace MatsObservability.Benchmarks.Chaos;

/// <summary>
/// An AI agent that answers sums by calling the calculator as a tool: the spans above a public request, with OpenInference attributes.
/// </summary>
internal sealed class AgentTraffic(OtlpScript script, Random random)
{
    public const string Service = "sum-agent";
    private static readonly Source s_source = new(Service, "sum-agent-1", "us-central1");

    /// <summary>
    /// One task from <paramref name="at"/>; returns the trace and the tool span under which the request to the calculator runs.
    /// </summary>
    public (string TraceId, string ToolSpanId) Task(DateTimeOffset at, double requestMs, bool fails)
    {
        var trace = script.NewTraceId();
        var question = $"What is {random.Next(10, 99)} times {random.Next(10, 99)} in euros?";
        var thinkMs = 350 + random.Next(200);
        var root = script.Span(s_source, trace, null, "answer_question", 1, at.AddMilliseconds(-thinkMs - 5), thinkMs + requestMs
            + 20, fails ? "the calculator failed" : null,
            ("openinference.span.kind", "AGENT"), ("session.id", $"session-{random.Next(5)}"), ("input.value", question),
            ("output.value", fails ? "I cannot reach the calculator." : "Here is your sum."));
        script.Span(s_source, trace, root, "ChatCompletion", 1, at.AddMilliseconds(-thinkMs), thinkMs - 5, null,
            ("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4o-mini"), ("llm.provider", "openai"), ("input.value", question),
            ("output.value", "call calculator"), ("llm.token_count.prompt", 180 + random.Next(60)),
            ("llm.token_count.completion", 20 + random.Next(15)), ("llm.token_count.total", 240));
        var tool = script.Span(s_source, trace, root, "calculator", 1, at.AddMilliseconds(-1), requestMs + 4, fails ? "HTTP 500" : null,
            ("openinference.span.kind", "TOOL"), ("tool.name", "calculator"), ("input.value", question));
        return (trace, tool);
    }
}
