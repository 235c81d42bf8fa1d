using System.Text.Json;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Spans;

/// <summary>
/// Spans in OTLP's shape with snake_case names and hex ids: everything as it was sent, to the
/// nanosecond.
/// </summary>
internal static class OtlpSpanJson
{
    private static readonly string[] s_kinds =
        ["SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"];

    /// <summary>One span.</summary>
    public static void Write(Utf8JsonWriter writer, SpanRow span)
    {
        writer.WriteStartObject();
        writer.WriteString("trace_id", TelemetryIds.FormatTrace(span.TraceId));
        writer.WriteString("span_id", TelemetryIds.FormatSpan(span.SpanId));
        writer.WriteString("parent_span_id", TelemetryIds.FormatSpan(span.ParentId));
        writer.WriteString("trace_state", span.TraceState);
        writer.WriteString("name", span.Name);
        writer.WriteString("kind", (uint)span.Kind < (uint)s_kinds.Length ? s_kinds[span.Kind] : s_kinds[0]);
        writer.WriteNumber("start_time_unix_nano", span.StartNanos);
        writer.WriteNumber("end_time_unix_nano", span.EndNanos);
        writer.WritePropertyName("attributes");
        using (var attributes = JsonDocument.Parse(span.Attributes))
        {
            WriteAttributes(writer, attributes.RootElement);
        }

        writer.WriteStartArray("events");
        foreach (var item in Items(span.Events))
        {
            writer.WriteStartObject();
            writer.WriteString("name", item.GetProperty("name").GetString());
            writer.WritePropertyName("time_unix_nano");
            item.GetProperty("time_ns").WriteTo(writer);
            writer.WritePropertyName("attributes");
            WriteAttributes(writer, item.GetProperty("attributes"));
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteStartArray("links");
        foreach (var item in Items(span.Links))
        {
            writer.WriteStartObject();
            foreach (var property in item.EnumerateObject())
            {
                if (property.NameEquals("attributes"))
                {
                    writer.WritePropertyName("attributes");
                    WriteAttributes(writer, property.Value);
                }
                else
                {
                    property.WriteTo(writer);
                }
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        if (span.Extra is not null)
        {
            using var extra = JsonDocument.Parse(span.Extra);
            foreach (var property in extra.RootElement.EnumerateObject())
            {
                if (property.Name is "flags" or "dropped_attributes_count" or "dropped_events_count" or "dropped_links_count")
                {
                    property.WriteTo(writer);
                }
            }
        }

        writer.WriteStartObject("status");
        writer.WriteString("code", $"STATUS_CODE_{SpanLabels.StatusName(span.Status)}");
        writer.WriteString("message", span.StatusMessage);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    private static IEnumerable<JsonElement> Items(string? json)
    {
        if (json is null)
        {
            yield break;
        }

        using var document = JsonDocument.Parse(json);
        foreach (var item in document.RootElement.EnumerateArray())
        {
            yield return item;
        }
    }

    private static void WriteAttributes(Utf8JsonWriter writer, JsonElement attributes)
    {
        writer.WriteStartArray();
        foreach (var property in attributes.EnumerateObject())
        {
            writer.WriteStartObject();
            writer.WriteString("key", property.Name);
            writer.WritePropertyName("value");
            WriteValue(writer, property.Value);
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
    }

    private static void WriteValue(Utf8JsonWriter writer, JsonElement value)
    {
        writer.WriteStartObject();
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                writer.WriteString("string_value", value.GetString());
                break;
            case JsonValueKind.True or JsonValueKind.False:
                writer.WriteBoolean("bool_value", value.GetBoolean());
                break;
            case JsonValueKind.Number when value.TryGetInt64(out var integer) && !value.GetRawText().AsSpan().ContainsAny('.', 'e', 'E'):
                writer.WriteNumber("int_value", integer);
                break;
            case JsonValueKind.Number:
                writer.WritePropertyName("double_value");
                value.WriteTo(writer);
                break;
            case JsonValueKind.Array:
                writer.WriteStartObject("array_value");
                writer.WriteStartArray("values");
                foreach (var item in value.EnumerateArray())
                {
                    WriteValue(writer, item);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
                break;
            case JsonValueKind.Object when value.TryGetProperty("$double", out var special):
                writer.WriteString("double_value", special.GetString());
                break;
            case JsonValueKind.Object when value.TryGetProperty("$bytes", out var bytes):
                writer.WriteString("bytes_value", bytes.GetString());
                break;
            case JsonValueKind.Object:
                writer.WriteStartObject("kvlist_value");
                writer.WritePropertyName("values");
                WriteAttributes(writer, value);
                writer.WriteEndObject();
                break;
        }

        writer.WriteEndObject();
    }
}
