using System.Diagnostics;

namespace Orchestrator.Agent.Telemetry;

/// <summary>
/// The orchestrator's own spans: OpenInference kinds and attribute names, one trace per investigation.
/// Phoenix.Service shows them in the project <c>finoptiagents-MATS</c>.
/// </summary>
internal static class MatsTracing
{
    public const string SourceName = "Orchestrator.Agent";
    public const string Chain = "CHAIN";
    public const string Agent = "AGENT";
    public const string Tool = "TOOL";
    public const string Llm = "LLM";
    public const string Guardrail = "GUARDRAIL";

    /// <summary>Name of the span that holds a run together.</summary>
    public const string RootName = "investigation_run";

    /// <summary>Longest input or output kept on a span, in characters.</summary>
    public const int MaxValueChars = 8000;

    private const string OnRecord = "mats.on_record";
    private const string Stored = "mats.stored";

    private static readonly ActivitySource s_source = new(SourceName, "1.0.0");

    /// <summary>Starts a span under the current one; null when nobody listens.</summary>
    public static Activity? Start(string name, string kind, string? sessionId, string? agentName = null)
    {
        var span = s_source.StartActivity(name);
        span?.SetTag("openinference.span.kind", kind);
        Tag(span, "session.id", sessionId ?? (string?)Activity.Current?.Parent?.GetTagItem("session.id"));
        Tag(span, "agent.name", agentName);
        return span;
    }

    /// <summary>
    /// Starts the root span of an investigation in its own trace: under the caller's span when one was named, else at the top. Always
    /// recorded, and the same trace id again when a job goes on after a pause or a restart.
    /// </summary>
    public static Activity? StartRoot(string name, string traceId, string? parentSpanId)
    {
        var parent = new ActivityContext(
            ActivityTraceId.CreateFromString(traceId), parentSpanId is null ? default : ActivitySpanId.CreateFromString(parentSpanId),
            ActivityTraceFlags.Recorded, isRemote: true);
        var ambient = Activity.Current;
        Activity.Current = null;
        var span = s_source.StartActivity(name, ActivityKind.Internal, parent);
        if (span is null)
        {
            Activity.Current = ambient;
        }

        span?.SetTag("openinference.span.kind", Chain);
        return span;
    }

    /// <summary>Says that the database knows of the open span: its children may be sent before it.</summary>
    public static void SetOnRecord(Activity span) => span.SetCustomProperty(OnRecord, OnRecord);

    public static bool IsOnRecord(Activity span) => span.GetCustomProperty(OnRecord) is not null;

    /// <summary>Says that the receiver has acknowledged the span.</summary>
    public static void SetStored(Activity span) => span.SetCustomProperty(Stored, Stored);

    public static bool IsStored(Activity span) => span.GetCustomProperty(Stored) is not null;

    /// <summary>Sets an attribute unless its value is null.</summary>
    public static void Tag(Activity? span, string name, object? value)
    {
        if (value is not null)
        {
            span?.SetTag(name, value);
        }
    }

    /// <summary>Records what went in.</summary>
    public static void Input(Activity? span, string value, string mimeType = "application/json")
    {
        span?.SetTag("input.value", Cut(value));
        span?.SetTag("input.mime_type", mimeType);
    }

    /// <summary>Records what came out.</summary>
    public static void Output(Activity? span, string value, string mimeType = "application/json")
    {
        span?.SetTag("output.value", Cut(value));
        span?.SetTag("output.mime_type", mimeType);
    }

    /// <summary>Marks the span as failed, with the exception as an event.</summary>
    public static void Fail(Activity? span, Exception exception)
    {
        span?.AddException(exception);
        span?.SetStatus(ActivityStatusCode.Error, exception.Message);
        Output(
            span, System.Text.Json.JsonSerializer.Serialize(new ErrorOutput(exception.Message, exception.GetType().Name),
                SpanJson.Default.ErrorOutput));
    }

    private static string Cut(string value) => value.Length <= MaxValueChars ? value : value[..MaxValueChars] + "…";
}

internal sealed record ErrorOutput(string Error, string Type);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy =
    System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower)]
[System.Text.Json.Serialization.JsonSerializable(typeof(ErrorOutput))]
internal sealed partial class SpanJson : System.Text.Json.Serialization.JsonSerializerContext;
