using System.Text;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>How a JSON value becomes a protobuf field.</summary>
internal enum JsonFieldType
{
    Message,
    String,

    /// <summary>base64, standard or URL-safe.</summary>
    Bytes,

    /// <summary>A trace or span id: hex in OTLP/JSON, base64 tolerated.</summary>
    Id,

    /// <summary>int64, uint32, int32: varint; negative numbers as ten bytes.</summary>
    Varint,

    /// <summary>sint32: zigzag varint.</summary>
    ZigZag,

    /// <summary>fixed64 and sfixed64.</summary>
    Fixed64,
    Fixed32,
    Double,
    Bool,

    /// <summary>A number, or a name of <see cref="JsonField.EnumNames"/>.</summary>
    Enum,
}

/// <summary>One field of a message. A repeated number is written packed.</summary>
internal sealed record JsonField(int Number, JsonFieldType Type, bool Repeated = false,
    JsonMessage? Message = null, string[]? EnumNames = null);

/// <summary>The fields of one OTLP message by their JSON names: lowerCamelCase, and the snake_case of the .proto file.</summary>
internal sealed class JsonMessage
{
    private readonly List<(byte[] Camel, byte[] Snake, JsonField Field)> _fields = [];

    /// <summary>Adds a field by its name in the .proto file.</summary>
    public JsonMessage Add(string snakeName, JsonField field)
    {
        _fields.Add((Encoding.UTF8.GetBytes(Camel(snakeName)), Encoding.UTF8.GetBytes(snakeName), field));
        return this;
    }

    /// <summary>The field a property name stands for; null for an unknown one.</summary>
    public JsonField? Find(ReadOnlySpan<byte> name)
    {
        foreach (var (camel, snake, field) in _fields)
        {
            if (name.SequenceEqual(camel) || name.SequenceEqual(snake))
            {
                return field;
            }
        }

        return null;
    }

    /// <summary>The field of this number; null for an unknown one.</summary>
    public JsonField? Find(int number)
    {
        foreach (var (_, _, field) in _fields)
        {
            if (field.Number == number)
            {
                return field;
            }
        }

        return null;
    }

    private static string Camel(string snakeName) =>
        string.Concat(snakeName.Split('_').Select((part, i) => i == 0 ? part : char.ToUpperInvariant(part[0]) + part[1..]));
}

/// <summary>The messages of the three export requests (opentelemetry-proto 1.x, field numbers as in FieldNumbers.cs).</summary>
internal static class OtlpJsonSchema
{
    private static readonly string[] s_spanKinds =
    [
        "SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER",
    ];

    private static readonly string[] s_statusCodes = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

    private static readonly string[] s_temporalities =
        ["AGGREGATION_TEMPORALITY_UNSPECIFIED", "AGGREGATION_TEMPORALITY_DELTA", "AGGREGATION_TEMPORALITY_CUMULATIVE"];

    private static readonly string[] s_severities =
    [
        "SEVERITY_NUMBER_UNSPECIFIED",
        .. from name in new[] { "TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL" }
           from step in new[] { string.Empty, "2", "3", "4" }
           select $"SEVERITY_NUMBER_{name}{step}",
    ];

    private static readonly JsonMessage s_any = new();

    /// <summary>KeyValue.</summary>
    public static JsonMessage KeyValue { get; } = CommonMessages();

    /// <summary>ExportTraceServiceRequest.</summary>
    public static JsonMessage Traces { get; } = Request("resource_spans", "scope_spans", "spans", Span());

    /// <summary>ExportLogsServiceRequest.</summary>
    public static JsonMessage Logs { get; } = Request("resource_logs", "scope_logs", "log_records", LogRecord());

    /// <summary>ExportMetricsServiceRequest.</summary>
    public static JsonMessage Metrics { get; } = Request("resource_metrics", "scope_metrics", "metrics", Metric());

    /// <summary>The request message of <paramref name="signal"/>.</summary>
    public static JsonMessage For(Signal signal) => signal switch
    {
        Signal.Spans => Traces,
        Signal.Logs => Logs,
        _ => Metrics,
    };

    private static JsonField Of(int number, JsonFieldType type) => new(number, type);

    private static JsonField One(int number, JsonMessage message) => new(number, JsonFieldType.Message, Message: message);

    private static JsonField Many(int number, JsonMessage message) => new(number, JsonFieldType.Message, Repeated: true, Message: message);

    private static JsonField Enum(int number, string[] names) => new(number, JsonFieldType.Enum, EnumNames: names);

    private static JsonMessage CommonMessages()
    {
        var keyValue = new JsonMessage()
            .Add("key", Of(CommonFields.KeyValueKey, JsonFieldType.String))
            .Add("value", One(CommonFields.KeyValueValue, s_any));
        s_any.Add("string_value", Of(CommonFields.AnyString, JsonFieldType.String))
            .Add("bool_value", Of(CommonFields.AnyBool, JsonFieldType.Bool))
            .Add("int_value", Of(CommonFields.AnyInt, JsonFieldType.Varint))
            .Add("double_value", Of(CommonFields.AnyDouble, JsonFieldType.Double))
            .Add("array_value", One(CommonFields.AnyArray, new JsonMessage().Add("values", Many(CommonFields.ArrayValues, s_any))))
            .Add("kvlist_value",
                One(CommonFields.AnyKeyValueList, new JsonMessage().Add("values", Many(CommonFields.KeyValueListValues, keyValue))))
            .Add("bytes_value", Of(CommonFields.AnyBytes, JsonFieldType.Bytes));
        return keyValue;
    }

    private static JsonMessage Request(string resources, string scopes, string records, JsonMessage record)
    {
        var resource = new JsonMessage()
            .Add("attributes", Many(CommonFields.ResourceAttributes, KeyValue))
            .Add("dropped_attributes_count", Of(CommonFields.ResourceDroppedAttributesCount, JsonFieldType.Varint));
        var scope = new JsonMessage()
            .Add("name", Of(CommonFields.ScopeName, JsonFieldType.String))
            .Add("version", Of(CommonFields.ScopeVersion, JsonFieldType.String))
            .Add("attributes", Many(CommonFields.ScopeAttributes, KeyValue))
            .Add("dropped_attributes_count", Of(CommonFields.ScopeDroppedAttributesCount, JsonFieldType.Varint));
        var scopeRecords = new JsonMessage()
            .Add("scope", One(ExportFields.ScopeScope, scope))
            .Add(records, Many(ExportFields.ScopeRecords, record))
            .Add("schema_url", Of(ExportFields.ScopeSchemaUrl, JsonFieldType.String));
        var resourceRecords = new JsonMessage()
            .Add("resource", One(ExportFields.ResourceResource, resource))
            .Add(scopes, Many(ExportFields.ResourceScopes, scopeRecords))
            .Add("schema_url", Of(ExportFields.ResourceSchemaUrl, JsonFieldType.String));
        return new JsonMessage().Add(resources, Many(ExportFields.RequestResources, resourceRecords));
    }

    private static JsonMessage Span()
    {
        var spanEvent = new JsonMessage()
            .Add("time_unix_nano", Of(TraceFields.EventTime, JsonFieldType.Fixed64))
            .Add("name", Of(TraceFields.EventName, JsonFieldType.String))
            .Add("attributes", Many(TraceFields.EventAttributes, KeyValue))
            .Add("dropped_attributes_count", Of(TraceFields.EventDroppedAttributesCount, JsonFieldType.Varint));
        var link = new JsonMessage()
            .Add("trace_id", Of(TraceFields.LinkTraceId, JsonFieldType.Id))
            .Add("span_id", Of(TraceFields.LinkSpanId, JsonFieldType.Id))
            .Add("trace_state", Of(TraceFields.LinkTraceState, JsonFieldType.String))
            .Add("attributes", Many(TraceFields.LinkAttributes, KeyValue))
            .Add("dropped_attributes_count", Of(TraceFields.LinkDroppedAttributesCount, JsonFieldType.Varint))
            .Add("flags", Of(TraceFields.LinkFlags, JsonFieldType.Fixed32));
        var status = new JsonMessage()
            .Add("message", Of(TraceFields.StatusMessage, JsonFieldType.String))
            .Add("code", Enum(TraceFields.StatusCode, s_statusCodes));
        return new JsonMessage()
            .Add("trace_id", Of(TraceFields.SpanTraceId, JsonFieldType.Id))
            .Add("span_id", Of(TraceFields.SpanSpanId, JsonFieldType.Id))
            .Add("trace_state", Of(TraceFields.SpanTraceState, JsonFieldType.String))
            .Add("parent_span_id", Of(TraceFields.SpanParentSpanId, JsonFieldType.Id))
            .Add("name", Of(TraceFields.SpanName, JsonFieldType.String))
            .Add("kind", Enum(TraceFields.SpanKind, s_spanKinds))
            .Add("start_time_unix_nano", Of(TraceFields.SpanStartTime, JsonFieldType.Fixed64))
            .Add("end_time_unix_nano", Of(TraceFields.SpanEndTime, JsonFieldType.Fixed64))
            .Add("attributes", Many(TraceFields.SpanAttributes, KeyValue))
            .Add("dropped_attributes_count", Of(TraceFields.SpanDroppedAttributesCount, JsonFieldType.Varint))
            .Add("events", Many(TraceFields.SpanEvents, spanEvent))
            .Add("dropped_events_count", Of(TraceFields.SpanDroppedEventsCount, JsonFieldType.Varint))
            .Add("links", Many(TraceFields.SpanLinks, link))
            .Add("dropped_links_count", Of(TraceFields.SpanDroppedLinksCount, JsonFieldType.Varint))
            .Add("status", One(TraceFields.SpanStatus, status))
            .Add("flags", Of(TraceFields.SpanFlags, JsonFieldType.Fixed32));
    }

    private static JsonMessage LogRecord() => new JsonMessage()
        .Add("time_unix_nano", Of(LogFields.RecordTime, JsonFieldType.Fixed64))
        .Add("severity_number", Enum(LogFields.RecordSeverityNumber, s_severities))
        .Add("severity_text", Of(LogFields.RecordSeverityText, JsonFieldType.String))
        .Add("body", One(LogFields.RecordBody, s_any))
        .Add("attributes", Many(LogFields.RecordAttributes, KeyValue))
        .Add("dropped_attributes_count", Of(LogFields.RecordDroppedAttributesCount, JsonFieldType.Varint))
        .Add("flags", Of(LogFields.RecordFlags, JsonFieldType.Fixed32))
        .Add("trace_id", Of(LogFields.RecordTraceId, JsonFieldType.Id))
        .Add("span_id", Of(LogFields.RecordSpanId, JsonFieldType.Id))
        .Add("observed_time_unix_nano", Of(LogFields.RecordObservedTime, JsonFieldType.Fixed64))
        .Add("event_name", Of(LogFields.RecordEventName, JsonFieldType.String));

    private static JsonMessage Metric()
    {
        var exemplar = new JsonMessage()
            .Add("filtered_attributes", Many(MetricFields.ExemplarFilteredAttributes, KeyValue))
            .Add("time_unix_nano", Of(MetricFields.ExemplarTime, JsonFieldType.Fixed64))
            .Add("as_double", Of(MetricFields.ExemplarDouble, JsonFieldType.Double))
            .Add("as_int", Of(MetricFields.ExemplarInt, JsonFieldType.Fixed64))
            .Add("span_id", Of(MetricFields.ExemplarSpanId, JsonFieldType.Id))
            .Add("trace_id", Of(MetricFields.ExemplarTraceId, JsonFieldType.Id));
        var number = new JsonMessage()
            .Add("attributes", Many(MetricFields.NumberAttributes, KeyValue))
            .Add("start_time_unix_nano", Of(MetricFields.NumberStartTime, JsonFieldType.Fixed64))
            .Add("time_unix_nano", Of(MetricFields.NumberTime, JsonFieldType.Fixed64))
            .Add("as_double", Of(MetricFields.NumberDouble, JsonFieldType.Double))
            .Add("as_int", Of(MetricFields.NumberInt, JsonFieldType.Fixed64))
            .Add("exemplars", Many(MetricFields.NumberExemplars, exemplar))
            .Add("flags", Of(MetricFields.NumberFlags, JsonFieldType.Varint));
        var histogram = new JsonMessage()
            .Add("attributes", Many(MetricFields.HistogramAttributes, KeyValue))
            .Add("start_time_unix_nano", Of(MetricFields.HistogramStartTime, JsonFieldType.Fixed64))
            .Add("time_unix_nano", Of(MetricFields.HistogramTime, JsonFieldType.Fixed64))
            .Add("count", Of(MetricFields.HistogramCount, JsonFieldType.Fixed64))
            .Add("sum", Of(MetricFields.HistogramSum, JsonFieldType.Double))
            .Add("bucket_counts", new JsonField(MetricFields.HistogramBucketCounts, JsonFieldType.Fixed64, Repeated: true))
            .Add("explicit_bounds", new JsonField(MetricFields.HistogramBounds, JsonFieldType.Double, Repeated: true))
            .Add("exemplars", Many(MetricFields.HistogramExemplars, exemplar))
            .Add("flags", Of(MetricFields.HistogramFlags, JsonFieldType.Varint))
            .Add("min", Of(MetricFields.HistogramMin, JsonFieldType.Double))
            .Add("max", Of(MetricFields.HistogramMax, JsonFieldType.Double));
        var temporality = Enum(MetricFields.DataTemporality, s_temporalities);
        return new JsonMessage()
            .Add("name", Of(MetricFields.MetricName, JsonFieldType.String))
            .Add("description", Of(MetricFields.MetricDescription, JsonFieldType.String))
            .Add("unit", Of(MetricFields.MetricUnit, JsonFieldType.String))
            .Add("metadata", Many(MetricFields.MetricMetadata, KeyValue))
            .Add("gauge", One(MetricFields.MetricGauge, new JsonMessage().Add("data_points", Many(MetricFields.DataPoints, number))))
            .Add("sum", One(MetricFields.MetricSum, new JsonMessage()
                .Add("data_points", Many(MetricFields.DataPoints, number))
                .Add("aggregation_temporality", temporality)
                .Add("is_monotonic", Of(MetricFields.SumMonotonic, JsonFieldType.Bool))))
            .Add("histogram", One(MetricFields.MetricHistogram, new JsonMessage()
                .Add("data_points", Many(MetricFields.DataPoints, histogram))
                .Add("aggregation_temporality", temporality)))
            .Add("exponential_histogram", One(MetricFields.MetricExponentialHistogram, new JsonMessage()
                .Add("data_points", Many(MetricFields.DataPoints, ExponentialPoint(exemplar)))
                .Add("aggregation_temporality", temporality)))
            .Add("summary",
                One(MetricFields.MetricSummary, new JsonMessage().Add("data_points", Many(MetricFields.DataPoints, SummaryPoint()))));
    }

    private static JsonMessage ExponentialPoint(JsonMessage exemplar)
    {
        var buckets = new JsonMessage()
            .Add("offset", Of(MetricFields.BucketsOffset, JsonFieldType.ZigZag))
            .Add("bucket_counts", new JsonField(MetricFields.BucketsCounts, JsonFieldType.Varint, Repeated: true));
        return new JsonMessage()
            .Add("attributes", Many(MetricFields.ExponentialAttributes, KeyValue))
            .Add("start_time_unix_nano", Of(MetricFields.ExponentialStartTime, JsonFieldType.Fixed64))
            .Add("time_unix_nano", Of(MetricFields.ExponentialTime, JsonFieldType.Fixed64))
            .Add("count", Of(MetricFields.ExponentialCount, JsonFieldType.Fixed64))
            .Add("sum", Of(MetricFields.ExponentialSum, JsonFieldType.Double))
            .Add("scale", Of(MetricFields.ExponentialScale, JsonFieldType.ZigZag))
            .Add("zero_count", Of(MetricFields.ExponentialZeroCount, JsonFieldType.Fixed64))
            .Add("positive", One(MetricFields.ExponentialPositive, buckets))
            .Add("negative", One(MetricFields.ExponentialNegative, buckets))
            .Add("flags", Of(MetricFields.ExponentialFlags, JsonFieldType.Varint))
            .Add("exemplars", Many(MetricFields.ExponentialExemplars, exemplar))
            .Add("min", Of(MetricFields.ExponentialMin, JsonFieldType.Double))
            .Add("max", Of(MetricFields.ExponentialMax, JsonFieldType.Double))
            .Add("zero_threshold", Of(MetricFields.ExponentialZeroThreshold, JsonFieldType.Double));
    }

    private static JsonMessage SummaryPoint()
    {
        var quantile = new JsonMessage()
            .Add("quantile", Of(MetricFields.QuantileQuantile, JsonFieldType.Double))
            .Add("value", Of(MetricFields.QuantileValue, JsonFieldType.Double));
        return new JsonMessage()
            .Add("attributes", Many(MetricFields.SummaryAttributes, KeyValue))
            .Add("start_time_unix_nano", Of(MetricFields.SummaryStartTime, JsonFieldType.Fixed64))
            .Add("time_unix_nano", Of(MetricFields.SummaryTime, JsonFieldType.Fixed64))
            .Add("count", Of(MetricFields.SummaryCount, JsonFieldType.Fixed64))
            .Add("sum", Of(MetricFields.SummarySum, JsonFieldType.Double))
            .Add("quantile_values", Many(MetricFields.SummaryQuantiles, quantile))
            .Add("flags", Of(MetricFields.SummaryFlags, JsonFieldType.Varint));
    }
}
