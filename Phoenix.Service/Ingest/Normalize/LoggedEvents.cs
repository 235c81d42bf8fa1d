using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>A GenAI event that came as a log record of a span, as it is stored. <see cref="Attributes"/> is a JSON object.</summary>
internal sealed record LoggedEvent(string Name, string Attributes, string? Body);

/// <summary>
/// Gives a stored span the messages that its log records carry (docs/conventions.md, Messages). Done when a span is read, so it does not matter
/// which of the two came first and ingest pays nothing. What the span says itself always counts first.
/// </summary>
internal sealed class LoggedEvents(AttributePolicy policy)
{
    /// <summary>How the names of such events start.</summary>
    public const string Prefix = "gen_ai.";

    private const string Details = "gen_ai.client.inference.operation.details";

    /// <summary>Whether log records can add to the span: a model's or an agent's.</summary>
    public static bool MayComplete(SpanRow span) => span.SpanKind is SpanKinds.Llm or SpanKinds.Agent;

    /// <summary>The span with what <paramref name="events"/>, in order of time, add to <see cref="SpanRow.Derived"/>.</summary>
    public SpanRow Complete(SpanRow span, IReadOnlyList<LoggedEvent> events)
    {
        using var sent = JsonDocument.Parse(span.Attributes);
        var before = WithoutPlaceholder(span.Derived ?? "{}", sent.RootElement);
        using var known = JsonDocument.Parse(before);
        var parsed = events.Select(static item => (item.Name, Attributes: JsonDocument.Parse(item.Attributes), item.Body)).ToList();
        try
        {
            // The details of an operation are the attributes that its span could have had.
            var view = AttributeView.OfStored(
                policy, [sent.RootElement, known.RootElement,
                    .. parsed.Where(static item => item.Name == Details).Select(static item => item.Attributes.RootElement)]);
            using var derived = new DerivedAttributes(view, policy);
            Dialects.Map(
                new DialectSpan(span.Name, string.Empty, span.Kind, view, derived, new DialectFacts { Kind = span.SpanKind }),
                [.. parsed.Where(static item => item.Name != Details).Select(item => new DialectEvent(
                    item.Name, AttributeView.OfStored(policy, item.Attributes.RootElement, Payload(item.Body))))]);
            return derived.IsEmpty ? span : span with { Derived = Join(before, Encoding.UTF8.GetString(derived.Members())) };
        }
        finally
        {
            parsed.ForEach(static item => item.Attributes.Dispose());
        }
    }

    /// <summary>A body that is, or holds as text, a JSON object is the payload; any other text is its content.</summary>
    private static JsonElement Payload(string? body)
    {
        if (body is null)
        {
            return default;
        }

        return AttributeView.ParseJson(Encoding.UTF8.GetBytes(body)) is { ValueKind: JsonValueKind.Object } payload
            ? payload
            : JsonSerializer.SerializeToElement(new Dictionary<string, string>(StringComparer.Ordinal) { ["content"] = body },
                LoggedEventJsonContext.Default.DictionaryStringString);
    }

    /// <summary>
    /// An answer that was not known when the span came is named by its id; once it is known, that must not stand in its way.
    /// </summary>
    private static string WithoutPlaceholder(string derived, JsonElement sent)
    {
        if (!derived.Contains("\"output.value\"", StringComparison.Ordinal)
            || MessageMapping.TextOf(sent, "gen_ai.response.id") is not { } id
            || JsonNode.Parse(derived) is not JsonObject members || (string?)members["output.value"] != GenAiMapping.PlaceholderOf(id))
        {
            return derived;
        }

        members.Remove("output.value");
        members.Remove("output.mime_type");
        return members.ToJsonString();
    }

    private static string Join(string derived, string members) => derived == "{}" ? $"{{{members}}}" : $"{derived[..^1]},{members}}}";
}

/// <summary>JSON of the class above.</summary>
[JsonSerializable(typeof(Dictionary<string, string>))]
internal sealed partial class LoggedEventJsonContext : JsonSerializerContext;
