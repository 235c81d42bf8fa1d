using System.Globalization;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Unicode;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Query.Spans;

/// <summary>A span of a creation request: checked, not yet converted.</summary>
internal sealed class SentSpan
{
    /// <summary>Most faults that are told of one request.</summary>
    public const int MostErrors = 100;

    private static readonly string[] s_required = ["name", "span_kind", "start_time", "end_time", "status_code"];

    private readonly JsonElement _json;
    private readonly List<(JsonElement Event, long Nanos)> _events = [];
    private long _startNanos;
    private long _endNanos;

    private SentSpan(JsonElement json, string traceId, string spanId) => (_json, TraceIdText, SpanIdText) = (json, traceId, spanId);

    /// <summary>As sent.</summary>
    public string TraceIdText { get; }

    /// <summary>As sent.</summary>
    public string SpanIdText { get; }

    /// <summary>Valid while <see cref="Fault"/> is null.</summary>
    public Guid TraceId { get; private set; }

    /// <summary>Valid while <see cref="Fault"/> is null.</summary>
    public long SpanId { get; private set; }

    /// <summary>Why the span, though well-formed, cannot be stored; null when it can.</summary>
    public string? Fault { get; private set; }

    /// <summary>
    /// Checks item <paramref name="index"/> of <c>data</c>; what is malformed goes to <paramref name="errors"/>, and the result is null
    /// then.
    /// </summary>
    public static SentSpan? Read(JsonElement item, int index, List<ValidationError> errors)
    {
        var before = errors.Count;
        if (item.ValueKind != JsonValueKind.Object)
        {
            errors.Add(new ValidationError(["body", "data", index], "Input should be an object", "model_type"));
            return null;
        }

        var text = JsonMarshal.GetRawUtf8Value(item);
        if (SurrogateEscapes.HasHalf(text) || !Utf8.IsValid(text))
        {
            errors.Add(new ValidationError(
                ["body", "data", index], "Text holds half of a surrogate pair, or bytes that are not UTF-8", "string_unicode"));
            return null;
        }

        foreach (var name in s_required)
        {
            RequireText(item, name, ["body", "data", index, name], errors);
        }

        if (!item.TryGetProperty("context", out var context) || context.ValueKind != JsonValueKind.Object)
        {
            errors.Add(new ValidationError(["body", "data", index, "context"], "Field required", "missing"));
        }
        else
        {
            RequireText(context, "trace_id", ["body", "data", index, "context", "trace_id"], errors);
            RequireText(context, "span_id", ["body", "data", index, "context", "span_id"], errors);
        }

        RequireKind(item, "attributes", JsonValueKind.Object, index, errors);
        RequireKind(item, "events", JsonValueKind.Array, index, errors);
        RequireKind(item, "parent_id", JsonValueKind.String, index, errors);
        RequireKind(item, "status_message", JsonValueKind.String, index, errors);
        if (errors.Count > before)
        {
            return null;
        }

        var span = new SentSpan(item, context.GetProperty("trace_id").GetString()!, context.GetProperty("span_id").GetString()!);
        span.ReadTimes(index, errors);
        if (errors.Count > before)
        {
            return null;
        }

        span.Fault = span.FindFault();
        return span;
    }

    /// <summary>Writes the span as OTLP/JSON.</summary>
    public void WriteOtlp(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        writer.WriteString("traceId", TelemetryIds.FormatTrace(TraceId));
        writer.WriteString("spanId", TelemetryIds.FormatSpan(SpanId));
        if (Text("parent_id") is { Length: > 0 } parentId)
        {
            writer.WriteString("parentSpanId", parentId);
        }

        writer.WriteString("name", Text("name"));
        writer.WriteNumber("kind", 1);
        writer.WriteString("startTimeUnixNano", _startNanos.ToString(CultureInfo.InvariantCulture));
        writer.WriteString("endTimeUnixNano", _endNanos.ToString(CultureInfo.InvariantCulture));
        writer.WriteStartObject("status");
        writer.WriteNumber("code", SpanLabels.TryParseStatus(Text("status_code")!, out var status) ? status : 0);
        writer.WriteString("message", Text("status_message") ?? string.Empty);
        writer.WriteEndObject();

        // The kind of the field wins over one among the attributes: of a repeated key the last value stays.
        var kind = SpanLabels.TryParse(Text("span_kind")!, out var number) ? SpanLabels.Name(number) : SpanLabels.Name(0);
        writer.WriteStartArray("attributes");
        WriteAttributes(writer, Property("attributes"));
        writer.WriteStartObject();
        writer.WriteString("key", "openinference.span.kind");
        writer.WriteStartObject("value");
        writer.WriteString("stringValue", kind);
        writer.WriteEndObject();
        writer.WriteEndObject();
        writer.WriteEndArray();

        writer.WriteStartArray("events");
        foreach (var (item, nanos) in _events)
        {
            writer.WriteStartObject();
            writer.WriteString("name", item.TryGetProperty("name", out var name) ? name.GetString() : string.Empty);
            writer.WriteString("timeUnixNano", nanos.ToString(CultureInfo.InvariantCulture));
            writer.WriteStartArray("attributes");
            WriteAttributes(writer, item.TryGetProperty("attributes", out var attributes) ? attributes : default);
            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
    }

    private static void RequireText(JsonElement item, string name, object[] location, List<ValidationError> errors)
    {
        if (!item.TryGetProperty(name, out var value))
        {
            errors.Add(new ValidationError(location, "Field required", "missing"));
        }
        else if (value.ValueKind != JsonValueKind.String)
        {
            errors.Add(new ValidationError(location, "Input should be a valid string", "string_type"));
        }
    }

    private static void RequireKind(JsonElement item, string name, JsonValueKind kind, int index, List<ValidationError> errors)
    {
        if (item.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null && value.ValueKind != kind)
        {
            errors.Add(new ValidationError(["body", "data", index, name], $"Input should be of type {kind}", "type_error"));
        }
    }

    private static void WriteAttributes(Utf8JsonWriter writer, JsonElement attributes)
    {
        if (attributes.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var property in attributes.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.Null)
            {
                writer.WriteStartObject();
                writer.WriteString("key", property.Name);
                writer.WritePropertyName("value");
                WriteValue(writer, property.Value);
                writer.WriteEndObject();
            }
        }
    }

    private static void WriteValue(Utf8JsonWriter writer, JsonElement value)
    {
        writer.WriteStartObject();
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                writer.WriteString("stringValue", value.GetString());
                break;
            case JsonValueKind.True or JsonValueKind.False:
                writer.WriteBoolean("boolValue", value.GetBoolean());
                break;
            case JsonValueKind.Number when value.TryGetInt64(out var integer) && !value.GetRawText().AsSpan().ContainsAny('.', 'e', 'E'):
                writer.WriteString("intValue", integer.ToString(CultureInfo.InvariantCulture));
                break;
            case JsonValueKind.Number:
                writer.WriteNumber("doubleValue", value.GetDouble());
                break;
            case JsonValueKind.Array:
                writer.WriteStartObject("arrayValue");
                writer.WriteStartArray("values");
                foreach (var item in value.EnumerateArray())
                {
                    WriteValue(writer, item);
                }

                writer.WriteEndArray();
                writer.WriteEndObject();
                break;
            case JsonValueKind.Object:
                writer.WriteStartObject("kvlistValue");
                writer.WriteStartArray("values");
                WriteAttributes(writer, value);
                writer.WriteEndArray();
                writer.WriteEndObject();
                break;
        }

        writer.WriteEndObject();
    }

    private JsonElement Property(string name) => _json.TryGetProperty(name, out var value) ? value : default;

    private string? Text(string name) => Property(name) is { ValueKind: JsonValueKind.String } value ? value.GetString() : null;

    private void ReadTimes(int index, List<ValidationError> errors)
    {
        _startNanos = Time(Text("start_time"), ["body", "data", index, "start_time"], errors);
        _endNanos = Time(Text("end_time"), ["body", "data", index, "end_time"], errors);
        if (Property("events") is not { ValueKind: JsonValueKind.Array } events)
        {
            return;
        }

        foreach (var (at, item) in events.EnumerateArray().Index())
        {
            if (errors.Count >= MostErrors)
            {
                return;
            }

            var time = item.ValueKind == JsonValueKind.Object && item.TryGetProperty("timestamp", out var value)
                && value.ValueKind == JsonValueKind.String
                ? value.GetString() : null;
            _events.Add((item, Time(time, ["body", "data", index, "events", at, "timestamp"], errors)));
            if (item.ValueKind == JsonValueKind.Object && item.TryGetProperty("name", out var name)
                && name.ValueKind is not (JsonValueKind.String or JsonValueKind.Null))
            {
                errors.Add(
                    new ValidationError(["body", "data", index, "events", at, "name"], "Input should be a valid string", "string_type"));
            }
        }
    }

    private static long Time(string? text, object[] location, List<ValidationError> errors)
    {
        if (text is not null && IsoTime.TryParse(text, allowNaive: false, out var nanos))
        {
            return nanos;
        }

        errors.Add(new ValidationError(location, "Input should be a datetime with an offset (ISO 8601)", "timezone_aware"));
        return 0;
    }

    private string? FindFault()
    {
        if (!TelemetryIds.TryParseTrace(TraceIdText, out var traceId) || traceId == Guid.Empty)
        {
            return "context.trace_id must be 32 hex digits, not all zero";
        }

        if (!TelemetryIds.TryParseSpan(SpanIdText, out var spanId) || spanId == 0)
        {
            return "context.span_id must be 16 hex digits, not all zero";
        }

        (TraceId, SpanId) = (traceId, spanId);
        if (Text("parent_id") is { Length: > 0 } parentId && !TelemetryIds.TryParseSpan(parentId, out _))
        {
            return "parent_id must be 16 hex digits";
        }

        if (_startNanos < 0 || _endNanos < 0 || _events.Exists(item => item.Nanos < 0))
        {
            return "times must not lie before 1970";
        }

        return HasHugeNumber(_json) ? "a number is larger than a double can be" : null;
    }

    private static bool HasHugeNumber(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Number => !double.IsFinite(element.GetDouble()),
        JsonValueKind.Array => element.EnumerateArray().Any(HasHugeNumber),
        JsonValueKind.Object => element.EnumerateObject().Any(static property => HasHugeNumber(property.Value)),
        _ => false,
    };
}
