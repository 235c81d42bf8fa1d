using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Metrics.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>OTLP/JSON becomes the protobuf bytes of the same request; generated code reads them back.</summary>
[Trait("Req", "B002")]
public sealed class OtlpJsonTests
{
    [Theory]
    [InlineData("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174")]
    [InlineData("5B8EFFF798038103D269B633813FC60C", "EEE19B7EC3C1B174")]
    [InlineData("W47/95gDgQPSabYzgT/GDA==", "7uGbfsPBsXQ=")]
    [InlineData("W47_95gDgQPSabYzgT_GDA", "7uGbfsPBsXQ")]
    public void Transcode_Ids_AreHexOrBase64(string traceId, string spanId)
    {
        var span = SpanOf($$"""{"traceId":"{{traceId}}","spanId":"{{spanId}}"}""");

        Assert.Equal("5b8efff798038103d269b633813fc60c", Convert.ToHexStringLower(span.TraceId.Span));
        Assert.Equal("eee19b7ec3c1b174", Convert.ToHexStringLower(span.SpanId.Span));
    }

    [Theory]
    [InlineData("not an id", "eee19b7ec3c1b174")]
    [InlineData("my-trace-id-0001", "eee19b7ec3c1b174")]
    [InlineData("5b8efff798038103d269b633813fc60c", "12345678")]
    [InlineData("5b8efff798038103d269b633813fc60c", "my-span-id-00001")]
    [InlineData("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "12345678")]
    [InlineData("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "x")]
    [InlineData("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", "            ")]
    public void Transcode_UnreadableId_IsLeftToTheDecoder(string traceId, string spanId, string parentId = "")
    {
        using var decoding = new Decoding();
        using var output = new ProtobufWriter();
        var json = Body(
            $$"""
            {"traceId":"{{traceId}}","spanId":"{{spanId}}","parentSpanId":"{{parentId}}"},
            {"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","parentSpanId":""}
            """);

        Assert.Null(OtlpJson.Transcode(Signal.Spans, json, output));
        using var batch = decoding.Spans.Decode(output.Written, projectOverride: null).Batch!;

        Assert.Equal((1, 1), (batch.RecordCount, batch.RejectedCount));
    }

    [Fact]
    public void Transcode_NumbersNamesAndSpellings_AreTolerated()
    {
        var span = SpanOf(
            """
            {"start_time_unix_nano":"1700000000000000001","endTimeUnixNano":1700000000000000002,"kind":"SPAN_KIND_CLIENT","droppedEventsCount":3,
             "status":{"code":2,"message":null},"futureField":{"deep":[1,{"x":[]}]},"flags":"257",
             "attributes":[{"key":"i","value":{"intValue":"-5"}},{"key":"n","value":{"intValue":7}},{"key":"d","value":{"doubleValue":"NaN"}},
               {"key":"e","value":{"double_value":1e3}},{"key":"b","value":{"bytesValue":"AQID"}},{"key":"t","value":{"boolValue":true}},
               {"key":"a","value":{"arrayValue":{"values":[{"stringValue":"x"},{}]}}},{"key":"u","value":{"stringValue":"\ud83c\udf89 \"q\" \u00e9 \ud800"}}]}
            """);

        Assert.Equal((1_700_000_000_000_000_001UL, 1_700_000_000_000_000_002UL), (span.StartTimeUnixNano, span.EndTimeUnixNano));
        Assert.Equal((Span.Types.SpanKind.Client, 3u, 257u, Status.Types.StatusCode.Error),
            (span.Kind, span.DroppedEventsCount, span.Flags, span.Status.Code));
        var values = span.Attributes.ToDictionary(pair => pair.Key, pair => pair.Value, StringComparer.Ordinal);
        Assert.Equal((-5L, 7L), (values["i"].IntValue, values["n"].IntValue));
        Assert.True(double.IsNaN(values["d"].DoubleValue));
        Assert.Equal(1000, values["e"].DoubleValue);
        Assert.Equal([1, 2, 3], values["b"].BytesValue.ToByteArray());
        Assert.True(values["t"].BoolValue);
        Assert.Equal(2, values["a"].ArrayValue.Values.Count);
        Assert.Equal("🎉 \"q\" é \uFFFD", values["u"].StringValue);
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{")]
    [InlineData("""{"resourceSpans":{}}""")]
    [InlineData("""{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":5}]}]}]}""")]
    [InlineData("""{"resourceSpans":[{"scopeSpans":[{"spans":[{"startTimeUnixNano":"soon"}]}]}]}""")]
    [InlineData("""{"resourceSpans":[]} trailing""")]
    public void Transcode_NotTheMessage_SaysWhere(string json)
    {
        using var output = new ProtobufWriter();

        Assert.Matches("byte|object|expected", OtlpJson.Transcode(Signal.Spans, Encoding.UTF8.GetBytes(json), output));
    }

    [Theory]
    [InlineData("""{"intValue":1.5}""")]
    [InlineData("""{"intValue":99999999999999999999}""")]
    [InlineData("""{"doubleValue":"soon"}""")]
    [InlineData("""{"boolValue":"true"}""")]
    [InlineData("""{"bytesValue":"!!"}""")]
    [InlineData("""{"stringValue":5}""")]
    [InlineData("[]")]
    public void Transcode_ValueOfAnotherType_SaysWhere(string value)
    {
        var json = $$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{"attributes":[{"key":"a","value":{{value}}}]}]}]}]}""";
        using var output = new ProtobufWriter();

        Assert.Matches(@"at byte \d+", OtlpJson.Transcode(Signal.Spans, Encoding.UTF8.GetBytes(json), output));
    }

    [Theory]
    [InlineData(1_000)]
    [InlineData(200_000)]
    public void Transcode_DeeplyNestedValue_IsCutAndItsNeighboursStay(int depth)
    {
        var nested = string.Concat(Enumerable.Repeat("""{"arrayValue":{"values":[""", depth)) + """{"intValue":1}"""
            + string.Concat(Enumerable.Repeat("]}}", depth));
        var ids = "\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"1112131415161718\"";
        var json = $$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{{{ids}},"attributes":[{"key":"a","value":{{nested}}}]},{{{ids}},"name":"neighbour"}]}]}]}""";
        using var output = new ProtobufWriter();
        using var decoding = new Decoding();

        Assert.Null(OtlpJson.Transcode(Signal.Spans, Encoding.UTF8.GetBytes(json), output));
        using var batch = decoding.Spans.Decode(output.Written, projectOverride: null).Batch!;

        var rows = DecodedSpan.Read(batch);
        Assert.Contains("""{"$truncated":"depth"}""", rows[0].Text("attributes"), StringComparison.Ordinal);
        Assert.Equal("neighbour", rows[1].Name);
    }

    [Fact]
    public void Transcode_TooDeep_IsAnErrorNotACrash()
    {
        var json = $$"""{"resourceSpans":{{new string('[', 100_000)}}""";
        using var output = new ProtobufWriter();

        Assert.NotNull(OtlpJson.Transcode(Signal.Spans, Encoding.UTF8.GetBytes(json), output));
    }

    [Fact]
    public void Transcode_Logs_GivesTheOraclesMessage()
    {
        var expected = Otlp.Log("text \"quoted\" \n", "project");
        expected.ResourceLogs[0].ScopeLogs[0].LogRecords[0].Attributes.Add(Decoding.Attribute("a", 1.25));
        expected.ResourceLogs[0].ScopeLogs[0].LogRecords[0].EventName = "event";

        Assert.Equal(expected, ExportLogsServiceRequest.Parser.ParseFrom(Transcode(Signal.Logs, expected)));
    }

    [Fact]
    public void Transcode_EveryMetricType_GivesTheOraclesMessage()
    {
        var exemplar = new Exemplar
        {
            AsInt = -4,
            TimeUnixNano = 9,
            TraceId = ByteString.CopyFrom(new byte[16]),
            SpanId = ByteString.CopyFrom(1, 2, 3, 4, 5, 6, 7, 8),
        };
        var metrics = new[]
        {
            new Metric { Name = "g", Unit = "s",
                Gauge = new Gauge { DataPoints = { new NumberDataPoint { AsDouble = 1.5, TimeUnixNano = 1, Exemplars = { exemplar } } } } },
            new Metric
            {
                Name = "s",
                Sum = new Sum { IsMonotonic = true, AggregationTemporality = AggregationTemporality.Delta,
                    DataPoints = { new NumberDataPoint { AsInt = long.MinValue, Flags = 1 } } },
            },
            new Metric
            {
                Name = "h",
                Histogram = new Histogram
                {
                    DataPoints = { new HistogramDataPoint { Count = ulong.MaxValue, Sum = 2, Min = -1, Max = 4, BucketCounts = { 1, 2, 3 },
                        ExplicitBounds = { 0.5, double.PositiveInfinity } } },
                },
            },
            new Metric
            {
                Name = "e",
                ExponentialHistogram = new ExponentialHistogram
                {
                    DataPoints =
                    {
                        new ExponentialHistogramDataPoint
                        {
                            Scale = -3, ZeroCount = 5, ZeroThreshold = 0.25, Positive = new() { Offset = -7, BucketCounts = { 0, 300, 1 } },
                            Negative = new() { Offset = 2 },
                        },
                    },
                },
            },
            new Metric { Name = "q",
                Summary = new Summary { DataPoints = { new SummaryDataPoint { Count = 2, Sum = 3,
                    QuantileValues = { new SummaryDataPoint.Types.ValueAtQuantile { Quantile = 0.5, Value = 1 } } } } } },
        };
        var expected =
            new ExportMetricsServiceRequest { ResourceMetrics = { new ResourceMetrics { ScopeMetrics = { new ScopeMetrics { Metrics = { metrics } } } } } };

        Assert.Equal(expected, ExportMetricsServiceRequest.Parser.ParseFrom(Transcode(Signal.MetricPoints, expected)));
    }

    [Fact]
    public void Transcode_RandomTraces_GivesTheOraclesMessage()
    {
        for (var seed = 0; seed < 100; seed++)
        {
            var expected = new RandomRequests(seed).Next();

            Assert.Equal(expected, ExportTraceServiceRequest.Parser.ParseFrom(Transcode(Signal.Spans, expected)));
        }
    }

    private static byte[] Transcode(Signal signal, IMessage message)
    {
        using var output = new ProtobufWriter();
        Assert.Null(
            OtlpJson.Transcode(signal, Encoding.UTF8.GetBytes(new JsonFormatter(JsonFormatter.Settings.Default).Format(message)), output));
        return output.Written.ToArray();
    }

    private static byte[] Body(string spans) => Encoding.UTF8.GetBytes($$"""{"resourceSpans":[{"scopeSpans":[{"spans":[{{spans}}]}]}]}""");

    private static Span SpanOf(string json)
    {
        using var output = new ProtobufWriter();
        Assert.Null(OtlpJson.Transcode(Signal.Spans, Body(json), output));
        return ExportTraceServiceRequest.Parser.ParseFrom(output.Written).ResourceSpans[0].ScopeSpans[0].Spans[0];
    }
}
