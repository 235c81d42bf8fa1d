using System.Text.Encodings.Web;
using System.Text.Json;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Spans;

/// <summary>Spans in the shape that Phoenix's clients read, written without a model in between: attributes are stored as JSON already.</summary>
internal static class SpanJson
{
    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>200 <c>{"data":[…],"next_cursor":…}</c>, every item written by <paramref name="write"/>.</summary>
    public static async Task WriteListAsync<T>(
        HttpContext context, IEnumerable<T> items, string? nextCursor, Action<Utf8JsonWriter, T> write, CancellationToken cancellationToken)
    {
        context.Response.ContentType = "application/json";
        await using var writer = new Utf8JsonWriter(context.Response.BodyWriter, s_options);
        writer.WriteStartObject();
        writer.WriteStartArray("data");
        foreach (var item in items)
        {
            write(writer, item);
        }

        writer.WriteEndArray();
        writer.WriteString("next_cursor", nextCursor);
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
    }

    /// <summary>One span.</summary>
    public static void Write(Utf8JsonWriter writer, SpanRow span)
    {
        writer.WriteStartObject();
        writer.WriteString("id", GlobalId.FormatSpan(span.TraceId, span.SpanId));
        writer.WriteString("name", span.Name);
        writer.WriteStartObject("context");
        writer.WriteString("trace_id", TelemetryIds.FormatTrace(span.TraceId));
        writer.WriteString("span_id", TelemetryIds.FormatSpan(span.SpanId));
        writer.WriteEndObject();
        writer.WriteString("span_kind", SpanLabels.Name(span.SpanKind));
        writer.WriteString("parent_id", TelemetryIds.FormatSpan(span.ParentId));
        writer.WriteString("start_time", IsoTime.Format(span.StartNanos));
        writer.WriteString("end_time", IsoTime.Format(span.EndNanos));
        writer.WriteString("status_code", SpanLabels.StatusName(span.Status));
        writer.WriteString("status_message", span.StatusMessage ?? string.Empty);
        writer.WritePropertyName("attributes");
        FlatAttributes.Write(writer, span.Attributes, span.Derived);
        writer.WriteStartArray("events");
        if (span.Events is not null)
        {
            using var events = JsonDocument.Parse(span.Events);
            foreach (var item in events.RootElement.EnumerateArray())
            {
                writer.WriteStartObject();
                writer.WriteString("name", item.GetProperty("name").GetString());
                writer.WriteString("timestamp", IsoTime.Format(Nanos(item.GetProperty("time_ns"))));
                writer.WritePropertyName("attributes");
                FlatAttributes.Write(writer, item.GetProperty("attributes"));
                writer.WriteEndObject();
            }
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    /// <summary>An event's time; one past the year 2262 is shown as that year's end.</summary>
    internal static long Nanos(JsonElement number) => number.TryGetInt64(out var nanos) ? nanos : long.MaxValue;
}
