using System.Globalization;
using System.Text.Json;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Export;

/// <summary>
/// The JSON objects of the export stream, one method a kind of line. 64-bit hashes are decimal strings, times are numbers.
/// </summary>
internal static class RecordJson
{
    /// <summary>Text of a 64-bit id.</summary>
    public static string Decimal(long id) => id.ToString(CultureInfo.InvariantCulture);

    /// <summary><c>{"resource":{…}}</c></summary>
    public static void WriteResource(Utf8JsonWriter writer, ResourceRow resource)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("resource");
        writer.WriteString("id", Decimal(resource.Id));
        writer.WriteString("service", resource.ServiceName);
        writer.WritePropertyName("attributes");
        AttributeJsonText.WriteRaw(writer, resource.Attributes);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary><c>{"span":{…}}</c></summary>
    public static void WriteSpan(Utf8JsonWriter writer, SpanRow span, ResourceRow resource, ScopeRow scope)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("span");
        writer.WriteString("trace_id", TelemetryIds.FormatTrace(span.TraceId));
        writer.WriteString("span_id", TelemetryIds.FormatSpan(span.SpanId));
        writer.WriteString("parent_id", TelemetryIds.FormatSpan(span.ParentId));
        writer.WriteString("resource", Decimal(span.ResourceId));
        writer.WriteString("service", resource.ServiceName);
        writer.WriteString("scope", scope.Name);
        writer.WriteString("name", span.Name);
        writer.WriteNumber("kind", span.Kind);
        writer.WriteString("span_kind", SpanLabels.Name(span.SpanKind));
        writer.WriteNumber("status", span.Status);
        writer.WriteString("status_message", span.StatusMessage);
        writer.WriteNumber("start_ns", span.StartNanos);
        writer.WriteNumber("end_ns", span.EndNanos);
        writer.WriteString("session_id", span.SessionId);
        writer.WritePropertyName("attributes");
        AttributeJsonText.WriteMerged(writer, span.Attributes, span.Derived);
        writer.WritePropertyName("events");
        AttributeJsonText.WriteRaw(writer, span.Events ?? "[]");
        writer.WritePropertyName("links");
        AttributeJsonText.WriteRaw(writer, span.Links ?? "[]");
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary><c>{"log":{…}}</c>; a body that is not a string is its JSON text, and <c>body_is_json</c> says so.</summary>
    public static void WriteLog(Utf8JsonWriter writer, LogRow log, ResourceRow resource, ScopeRow scope)
    {
        writer.WriteStartObject();
        writer.WriteStartObject("log");
        writer.WriteNumber("record_id", log.Id);
        writer.WriteNumber("time_ns", log.TimeNanos);
        writer.WriteString("resource", Decimal(log.ResourceId));
        writer.WriteString("service", resource.ServiceName);
        writer.WriteString("scope", scope.Name);
        writer.WriteNumber("severity", log.Severity);
        writer.WriteString("severity_text", log.SeverityText);
        writer.WriteString("event_name", log.EventName);
        writer.WriteString("body", log.Body);
        if (log.BodyIsJson)
        {
            writer.WriteBoolean("body_is_json", true);
        }

        writer.WriteString("trace_id", log.TraceId is { } traceId ? TelemetryIds.FormatTrace(traceId) : null);
        writer.WriteString("span_id", TelemetryIds.FormatSpan(log.SpanId));
        writer.WritePropertyName("attributes");
        AttributeJsonText.WriteRaw(writer, log.Attributes);
        writer.WriteEndObject();
        writer.WriteEndObject();
    }

    /// <summary>The property <c>"series":{…}</c> of the object under way.</summary>
    public static void WriteSeries(Utf8JsonWriter writer, MetricSeriesRow series, ResourceRow resource)
    {
        writer.WriteStartObject("series");
        writer.WriteString("series_id", Decimal(series.Id));
        writer.WriteString("resource", Decimal(series.ResourceId));
        writer.WriteString("service", resource.ServiceName);
        writer.WriteString("name", series.Name);
        writer.WriteString("unit", series.Unit);
        writer.WriteNumber("type", series.Type);
        writer.WritePropertyName("attributes");
        AttributeJsonText.WriteRaw(writer, series.Attributes);
        writer.WriteEndObject();
    }
}
