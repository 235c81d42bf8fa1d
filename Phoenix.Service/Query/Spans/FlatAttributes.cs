using System.Globalization;
using System.Text.Json;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Spans;

/// <summary>
/// Stored attributes as Phoenix's clients expect them: one flat object, objects and lists of objects spread over
/// dotted keys and indexes, lists of scalars kept, nulls left out, JSON text under the known keys parsed first. What JSON cannot hold is
/// shown as text: "NaN", "Infinity", base64. Of two values for one key the first stays: the sender's own flat key.
/// </summary>
internal static class FlatAttributes
{
    /// <summary>Shown as <c>span_kind</c> instead.</summary>
    private const string SpanKindKey = "openinference.span.kind";

    /// <summary>Writes the object.</summary>
    public static void Write(Utf8JsonWriter writer, string attributes, string? derived)
    {
        var written = new HashSet<string>(StringComparer.Ordinal) { SpanKindKey };
        writer.WriteStartObject();
        using (var stored = JsonDocument.Parse(attributes))
        {
            WriteProperties(writer, string.Empty, stored.RootElement, written);
        }

        if (derived is not null)
        {
            using var added = JsonDocument.Parse(derived);
            WriteProperties(writer, string.Empty, added.RootElement, written);
        }

        writer.WriteEndObject();
    }

    /// <summary>Writes an object that is a JSON element already.</summary>
    public static void Write(Utf8JsonWriter writer, JsonElement attributes)
    {
        writer.WriteStartObject();
        if (attributes.ValueKind == JsonValueKind.Object)
        {
            WriteProperties(writer, string.Empty, attributes, new HashSet<string>(StringComparer.Ordinal));
        }

        writer.WriteEndObject();
    }

    private static void WriteProperties(Utf8JsonWriter writer, string prefix, JsonElement element, HashSet<string> written)
    {
        foreach (var property in element.EnumerateObject())
        {
            WriteValue(writer, prefix + property.Name, property.Value, written);
        }
    }

    private static void WriteValue(Utf8JsonWriter writer, string key, JsonElement value, HashSet<string> written)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Null:
                return;
            case JsonValueKind.Object when !IsSpecial(value):
                WriteProperties(writer, key + ".", value, written);
                return;
            case JsonValueKind.Array when value.EnumerateArray()
                .Any(item => item.ValueKind is JsonValueKind.Object or JsonValueKind.Array && !IsSpecial(item)):
                var index = 0;
                foreach (var item in value.EnumerateArray())
                {
                    WriteValue(writer, string.Create(CultureInfo.InvariantCulture, $"{key}.{index++}"), item, written);
                }

                return;
            case JsonValueKind.String when JsonTextKeys.IsJsonText(key) && JsonTextKeys.TryParse(value.GetString()!) is { } parsed:
                using (parsed)
                {
                    WriteValue(writer, key, parsed.RootElement, written);
                }

                return;
            default:
                if (written.Add(key))
                {
                    writer.WritePropertyName(key);
                    WriteScalar(writer, value);
                }

                return;
        }
    }

    private static void WriteScalar(Utf8JsonWriter writer, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Array:
                writer.WriteStartArray();
                foreach (var item in value.EnumerateArray())
                {
                    WriteScalar(writer, item);
                }

                writer.WriteEndArray();
                return;
            case JsonValueKind.Object:
                value.EnumerateObject().First().Value.WriteTo(writer);
                return;
            default:
                value.WriteTo(writer);
                return;
        }
    }

    /// <summary>Whether the element stands for a value that JSON cannot hold (Ingest/Decode/AttributeJson.cs).</summary>
    private static bool IsSpecial(JsonElement element) => element.ValueKind == JsonValueKind.Object
        && (element.TryGetProperty("$double", out _) || element.TryGetProperty("$bytes", out _)
            || element.TryGetProperty("$truncated", out _));
}
