using System.Buffers.Binary;
using System.Text;
using Phoenix.Service.Ingest.Decode;

namespace MatsObservability.Benchmarks.Load;

/// <summary>
/// The dataset of the ingest and decode benchmarks: OpenInference spans with 11 attributes, 20 spans a trace (1 AGENT, 4 CHAIN, 8 LLM, 7
/// TOOL), 600 to 900 bytes of OTLP a span, text of ordinary words. The same seed gives the same spans.
/// </summary>
internal sealed class SpanLoad(int seed, string project = "default")
{
    /// <summary>Spans of one trace; request sizes are multiples of it.</summary>
    public const int SpansPerTrace = 20;

    private static readonly string[] s_words =
    [
        "the", "order", "customer", "asked", "about", "delivery", "status", "of", "a", "refund", "was", "not", "found",
        "in", "our", "system", "please",
        "check", "account", "balance", "before", "answering", "search", "results", "show", "that", "weather", "today",
        "is", "mild", "with", "light",
        "rain", "and", "policy", "allows", "returns", "within", "thirty", "days", "if", "item", "unused",
        "document", "says", "invoice", "number",
        "must", "match", "next", "step", "call", "tool", "summarise", "answer", "briefly", "user", "prefers", "short", "replies",
    ];

    private static readonly (string Model, string Provider)[] s_models =
    [
        ("gpt-4o-mini-2024-07-18", "openai"), ("gpt-4o-2024-08-06", "openai"), ("claude-3-5-sonnet-20241022", "anthropic"),
        ("gemini-1.5-flash", "google"),
    ];

    private static readonly string[] s_tools = ["search_orders", "get_weather", "lookup_policy", "send_email", "query_database"];

    private readonly Random _random = new(seed);

    /// <summary>
    /// A request of <paramref name="spans"/> spans whose traces start at Unix 0; <see cref="LoadRequest.Stamp"/> gives it ids and time.
    /// </summary>
    public LoadRequest Next(int spans)
    {
        if (spans <= 0 || spans % SpansPerTrace != 0)
        {
            throw new ArgumentOutOfRangeException(nameof(spans), spans, $"Must be a positive multiple of {SpansPerTrace}.");
        }

        using var list = new ProtobufWriter();
        using var span = new ProtobufWriter();
        var marks = new List<(int TraceId, int Start, int End)>(spans);
        for (var trace = 0; trace < spans / SpansPerTrace; trace++)
        {
            var (session, user) = ($"session-{_random.Next(1_000_000):D6}", $"user-{_random.Next(5_000):D4}");
            for (var index = 0; index < SpansPerTrace; index++)
            {
                span.Clear();
                var mark = WriteSpan(span, trace, index, session, user);
                list.WriteTag(ExportFields.ScopeRecords, WireType.Bytes);
                list.WriteVarint((ulong)span.Length);
                marks.Add((list.Length + mark.TraceId, list.Length + mark.Start, list.Length + mark.End));
                span.Written.CopyTo(list.Reserve(span.Length));
                list.Advance(span.Length);
            }
        }

        return Frame(list.Written, marks);
    }

    /// <summary>
    /// The id of trace number <paramref name="trace"/> of a request: eight bytes that scatter as random ids do, then
    /// <paramref name="serial"/>. Real trace ids are random, and what they cost an index is part of what is measured.
    /// </summary>
    public static void WriteTraceId(Span<byte> id, ulong serial, int trace)
    {
        var mixed = (serial * 0x9E3779B97F4A7C15) + ((ulong)(trace + 1) * 0xBF58476D1CE4E5B9);
        mixed = (mixed ^ (mixed >> 31)) * 0x94D049BB133111EB;
        BinaryPrimitives.WriteUInt64BigEndian(id, mixed ^ (mixed >> 29));
        BinaryPrimitives.WriteUInt64BigEndian(id[8..], serial);
    }

    private LoadRequest Frame(ReadOnlySpan<byte> spans, List<(int TraceId, int Start, int End)> marks)
    {
        using var scope = new ProtobufWriter();
        scope.WriteBytes(CommonFields.ScopeName, "openinference.instrumentation.agents"u8);
        scope.WriteBytes(CommonFields.ScopeVersion, "1.4.2"u8);
        using var scopeSpans = new ProtobufWriter();
        scopeSpans.WriteBytes(ExportFields.ScopeScope, scope.Written);
        var spansStart = scopeSpans.Length;
        spans.CopyTo(scopeSpans.Reserve(spans.Length));
        scopeSpans.Advance(spans.Length);

        using var resource = new ProtobufWriter();
        Text(resource, CommonFields.ResourceAttributes, "service.name", "support-agent");
        Text(resource, CommonFields.ResourceAttributes, "service.version", "2.3.1");
        Text(resource, CommonFields.ResourceAttributes, "deployment.environment.name", "production");
        Text(resource, CommonFields.ResourceAttributes, "openinference.project.name", project);
        Text(resource, CommonFields.ResourceAttributes, "telemetry.sdk.language", "python");
        using var resourceSpans = new ProtobufWriter();
        resourceSpans.WriteBytes(ExportFields.ResourceResource, resource.Written);
        resourceSpans.WriteTag(ExportFields.ResourceScopes, WireType.Bytes);
        resourceSpans.WriteVarint((ulong)scopeSpans.Length);
        spansStart += resourceSpans.Length;
        scopeSpans.Written.CopyTo(resourceSpans.Reserve(scopeSpans.Length));
        resourceSpans.Advance(scopeSpans.Length);

        using var request = new ProtobufWriter();
        request.WriteTag(ExportFields.RequestResources, WireType.Bytes);
        request.WriteVarint((ulong)resourceSpans.Length);
        spansStart += request.Length;
        resourceSpans.Written.CopyTo(request.Reserve(resourceSpans.Length));
        request.Advance(resourceSpans.Length);
        return new LoadRequest(
            request.Written.ToArray(),
            [.. marks.Select(mark => (mark.TraceId + spansStart, mark.Start + spansStart, mark.End + spansStart))]);
    }

    /// <summary>Span 0 is the AGENT; 1 to 4 are CHAINs below it; every CHAIN has LLM and TOOL calls.</summary>
    private (int TraceId, int Start, int End) WriteSpan(ProtobufWriter span, int trace, int index, string session, string user)
    {
        Span<byte> id = stackalloc byte[16];
        WriteTraceId(id, serial: 0, trace);
        span.WriteBytes(TraceFields.SpanTraceId, id);
        var traceId = span.Length - 16;
        span.WriteBytes(TraceFields.SpanSpanId, SpanId(id[..8], trace, index));
        if (index > 0)
        {
            span.WriteBytes(TraceFields.SpanParentSpanId, SpanId(id[..8], trace, index <= 4 ? 0 : 1 + (index % 4)));
        }

        var kind = index == 0 ? "AGENT" : index <= 4 ? "CHAIN" : index <= 12 ? "LLM" : "TOOL";
        var tool = s_tools[_random.Next(s_tools.Length)];
        span.WriteBytes(TraceFields.SpanName,
            Encoding.UTF8.GetBytes(
                kind switch { "AGENT" => "support_agent.run", "CHAIN" => "plan_step", "LLM" => "ChatCompletion", _ => tool }));
        span.WriteVarint(TraceFields.SpanKind, kind == "LLM" ? 3u : 1u);
        var start = (ulong)(index * 150_000_000 + _random.Next(1_000_000));
        span.WriteFixed64(TraceFields.SpanStartTime, start);
        var startAt = span.Length - 8;
        span.WriteFixed64(TraceFields.SpanEndTime, start + (ulong)_random.Next(20_000_000, 2_000_000_000));
        var endAt = span.Length - 8;
        Attribute(span, "openinference.span.kind", kind);
        Attribute(span, "session.id", session);
        Attribute(span, "user.id", user);
        WriteOwnAttributes(span, kind, tool, index);
        using var status = new ProtobufWriter();
        var failed = _random.Next(50) == 0;
        if (failed)
        {
            status.WriteBytes(TraceFields.StatusMessage, "the upstream service timed out"u8);
        }

        status.WriteVarint(TraceFields.StatusCode, failed ? 2u : 1u);
        span.WriteBytes(TraceFields.SpanStatus, status.Written);
        return (traceId, startAt, endAt);
    }

    /// <summary>Eight attributes beside kind, session and user.</summary>
    private void WriteOwnAttributes(ProtobufWriter span, string kind, string tool, int index)
    {
        if (kind == "LLM")
        {
            var (model, provider) = s_models[_random.Next(s_models.Length)];
            var (prompt, completion) = (_random.Next(200, 4_000), _random.Next(10, 900));
            Attribute(span, "llm.model_name", model);
            Attribute(span, "llm.provider", provider);
            Attribute(span, "llm.token_count.prompt", prompt);
            Attribute(span, "llm.token_count.completion", completion);
            Attribute(span, "llm.token_count.total", prompt + completion);
            Attribute(span, "llm.invocation_parameters", """{"temperature": 0.2, "max_tokens": 1024}""");
            Attribute(span, "input.value", Sentence(30));
            Attribute(span, "output.value", Sentence(20));
            return;
        }

        Attribute(
            span, "input.value", kind == "TOOL" ? $$"""{"query": "{{Sentence(16)}}", "limit": {{_random.Next(1, 50)}}}""" : Sentence(18));
        Attribute(span, "output.value", kind == "TOOL" ? $$"""{"rows": [{"text": "{{Sentence(18)}}"}], "ok": true}""" : Sentence(16));
        Attribute(span, "input.mime_type", kind == "TOOL" ? "application/json" : "text/plain");
        Attribute(span, "output.mime_type", kind == "TOOL" ? "application/json" : "text/plain");
        Attribute(span, "metadata", $$"""{"step": {{index}}, "attempt": 1, "region": "eu-west-1"}""");
        if (kind == "TOOL")
        {
            Attribute(span, "tool.name", tool);
            Attribute(span, "tool.description", "Looks up what the customer asked for and returns the matching rows.");
            Attribute(span, "tool.id", $"call_{_random.NextInt64():x16}");
        }
        else
        {
            Attribute(span, kind == "AGENT" ? "agent.name" : "graph.node.name", kind == "AGENT" ? "support_agent" : $"plan_step_{index}");
            Attribute(span, "graph.node.id", $"node-{index}");
            Attribute(span, "llm.prompt_template.version", "v12");
        }
    }

    private string Sentence(int words)
    {
        var text = new StringBuilder();
        for (var i = 0; i < words; i++)
        {
            text.Append(i == 0 ? string.Empty : " ").Append(s_words[_random.Next(s_words.Length)]);
        }

        return text.ToString();
    }

    private static Span<byte> SpanId(Span<byte> id, int trace, int index)
    {
        BinaryPrimitives.WriteUInt64BigEndian(id, 0x5A00_0000_0000_0000UL | ((ulong)(uint)trace << 16) | (uint)(index + 1));
        return id;
    }

    private static void Attribute(ProtobufWriter span, string key, string value) => Text(span, TraceFields.SpanAttributes, key, value);

    private static void Attribute(ProtobufWriter span, string key, long value)
    {
        using var any = new ProtobufWriter();
        any.WriteVarint(CommonFields.AnyInt, (ulong)value);
        KeyValue(span, TraceFields.SpanAttributes, key, any.Written);
    }

    private static void Text(ProtobufWriter message, int field, string key, string value)
    {
        using var any = new ProtobufWriter();
        any.WriteBytes(CommonFields.AnyString, Encoding.UTF8.GetBytes(value));
        KeyValue(message, field, key, any.Written);
    }

    private static void KeyValue(ProtobufWriter message, int field, string key, ReadOnlySpan<byte> any)
    {
        using var pair = new ProtobufWriter();
        pair.WriteBytes(CommonFields.KeyValueKey, Encoding.UTF8.GetBytes(key));
        pair.WriteBytes(CommonFields.KeyValueValue, any);
        message.WriteBytes(field, pair.Written);
    }
}

/// <summary>
/// One encoded ExportTraceServiceRequest whose trace ids and times can be replaced in place, to send it again as new spans.
/// </summary>
internal sealed class LoadRequest(byte[] bytes, (int TraceId, int Start, int End)[] spans)
{
    private long _shift;

    /// <summary>The request.</summary>
    public ReadOnlyMemory<byte> Bytes => bytes;

    /// <summary>Spans in it.</summary>
    public int SpanCount => spans.Length;

    /// <summary>
    /// Makes the traces those of <paramref name="serial"/> (not 0; another serial, other traces) and moves them to
    /// <paramref name="startNanos"/> (Unix ns). Not while the bytes are being sent.
    /// </summary>
    public void Stamp(ulong serial, long startNanos)
    {
        var move = (ulong)(startNanos - _shift);
        _shift = startNanos;
        for (var index = 0; index < spans.Length; index++)
        {
            var (traceId, start, end) = spans[index];
            SpanLoad.WriteTraceId(bytes.AsSpan(traceId, 16), serial, index / SpanLoad.SpansPerTrace);
            Add(bytes.AsSpan(start), move);
            Add(bytes.AsSpan(end), move);
        }
    }

    private static void Add(Span<byte> nanos, ulong move) =>
        BinaryPrimitives.WriteUInt64LittleEndian(nanos, BinaryPrimitives.ReadUInt64LittleEndian(nanos) + move);
}
