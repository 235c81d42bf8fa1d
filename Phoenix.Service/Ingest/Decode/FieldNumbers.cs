namespace Phoenix.Service.Ingest.Decode;

// Field numbers of opentelemetry-proto 1.x: https://github.com/open-telemetry/opentelemetry-proto/tree/v1.9.0/opentelemetry/proto

/// <summary>opentelemetry/proto/common/v1/common.proto and resource/v1/resource.proto.</summary>
internal static class CommonFields
{
    public const int KeyValueKey = 1;
    public const int KeyValueValue = 2;

    public const int AnyString = 1;
    public const int AnyBool = 2;
    public const int AnyInt = 3;
    public const int AnyDouble = 4;
    public const int AnyArray = 5;
    public const int AnyKeyValueList = 6;
    public const int AnyBytes = 7;

    public const int ArrayValues = 1;
    public const int KeyValueListValues = 1;

    public const int ScopeName = 1;
    public const int ScopeVersion = 2;
    public const int ScopeAttributes = 3;
    public const int ScopeDroppedAttributesCount = 4;

    public const int ResourceAttributes = 1;
    public const int ResourceDroppedAttributesCount = 2;
}

/// <summary>
/// The shape shared by the three export requests: a list of resources, each with a list of scopes, each with a list of records.
/// </summary>
internal static class ExportFields
{
    public const int RequestResources = 1;

    public const int ResourceResource = 1;
    public const int ResourceScopes = 2;
    public const int ResourceSchemaUrl = 3;

    public const int ScopeScope = 1;
    public const int ScopeRecords = 2;
    public const int ScopeSchemaUrl = 3;
}

/// <summary>opentelemetry/proto/trace/v1/trace.proto.</summary>
internal static class TraceFields
{
    public const int SpanTraceId = 1;
    public const int SpanSpanId = 2;
    public const int SpanTraceState = 3;
    public const int SpanParentSpanId = 4;
    public const int SpanName = 5;
    public const int SpanKind = 6;
    public const int SpanStartTime = 7;
    public const int SpanEndTime = 8;
    public const int SpanAttributes = 9;
    public const int SpanDroppedAttributesCount = 10;
    public const int SpanEvents = 11;
    public const int SpanDroppedEventsCount = 12;
    public const int SpanLinks = 13;
    public const int SpanDroppedLinksCount = 14;
    public const int SpanStatus = 15;
    public const int SpanFlags = 16;

    public const int EventTime = 1;
    public const int EventName = 2;
    public const int EventAttributes = 3;
    public const int EventDroppedAttributesCount = 4;

    public const int LinkTraceId = 1;
    public const int LinkSpanId = 2;
    public const int LinkTraceState = 3;
    public const int LinkAttributes = 4;
    public const int LinkDroppedAttributesCount = 5;
    public const int LinkFlags = 6;

    public const int StatusMessage = 2;
    public const int StatusCode = 3;
}

/// <summary>opentelemetry/proto/logs/v1/logs.proto.</summary>
internal static class LogFields
{
    public const int RecordTime = 1;
    public const int RecordSeverityNumber = 2;
    public const int RecordSeverityText = 3;
    public const int RecordBody = 5;
    public const int RecordAttributes = 6;
    public const int RecordDroppedAttributesCount = 7;
    public const int RecordFlags = 8;
    public const int RecordTraceId = 9;
    public const int RecordSpanId = 10;
    public const int RecordObservedTime = 11;
    public const int RecordEventName = 12;
}

/// <summary>opentelemetry/proto/metrics/v1/metrics.proto.</summary>
internal static class MetricFields
{
    public const int MetricName = 1;
    public const int MetricDescription = 2;
    public const int MetricUnit = 3;
    public const int MetricGauge = 5;
    public const int MetricSum = 7;
    public const int MetricHistogram = 9;
    public const int MetricExponentialHistogram = 10;
    public const int MetricSummary = 11;
    public const int MetricMetadata = 12;

    public const int DataPoints = 1;
    public const int DataTemporality = 2;
    public const int SumMonotonic = 3;

    public const int NumberStartTime = 2;
    public const int NumberTime = 3;
    public const int NumberDouble = 4;
    public const int NumberExemplars = 5;
    public const int NumberInt = 6;
    public const int NumberAttributes = 7;
    public const int NumberFlags = 8;

    public const int HistogramStartTime = 2;
    public const int HistogramTime = 3;
    public const int HistogramCount = 4;
    public const int HistogramSum = 5;
    public const int HistogramBucketCounts = 6;
    public const int HistogramBounds = 7;
    public const int HistogramExemplars = 8;
    public const int HistogramAttributes = 9;
    public const int HistogramFlags = 10;
    public const int HistogramMin = 11;
    public const int HistogramMax = 12;

    public const int ExponentialAttributes = 1;
    public const int ExponentialStartTime = 2;
    public const int ExponentialTime = 3;
    public const int ExponentialCount = 4;
    public const int ExponentialSum = 5;
    public const int ExponentialScale = 6;
    public const int ExponentialZeroCount = 7;
    public const int ExponentialPositive = 8;
    public const int ExponentialNegative = 9;
    public const int ExponentialFlags = 10;
    public const int ExponentialExemplars = 11;
    public const int ExponentialMin = 12;
    public const int ExponentialMax = 13;
    public const int ExponentialZeroThreshold = 14;

    public const int BucketsOffset = 1;
    public const int BucketsCounts = 2;

    public const int SummaryStartTime = 2;
    public const int SummaryTime = 3;
    public const int SummaryCount = 4;
    public const int SummarySum = 5;
    public const int SummaryQuantiles = 6;
    public const int SummaryAttributes = 7;
    public const int SummaryFlags = 8;

    public const int QuantileQuantile = 1;
    public const int QuantileValue = 2;

    public const int ExemplarTime = 2;
    public const int ExemplarDouble = 3;
    public const int ExemplarSpanId = 4;
    public const int ExemplarTraceId = 5;
    public const int ExemplarInt = 6;
    public const int ExemplarFilteredAttributes = 7;
}
