using System.Net;
using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Proto.Metrics.V1;

namespace MatsObservability.Tests.Phoenix.Ingest;

[Trait("Req", "B002")]
public sealed class LogAndMetricDecoderTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Fact]
    public async Task Logs_EveryField_IsStored()
    {
        await PostAsync(Logs("log-fields", new LogRecord
        {
            TimeUnixNano = 5_000_000_001,
            ObservedTimeUnixNano = 5_000_000_002,
            SeverityNumber = SeverityNumber.Warn2,
            SeverityText = "WARN2",
            EventName = "login",
            Body = TestSpan.Any("héllo"),
            TraceId = ByteString.CopyFrom(TestSpan.TraceId(1).ToByteArray(bigEndian: true)),
            SpanId = ByteString.CopyFrom(0, 0, 0, 0, 0, 0, 0, 9),
            Flags = 257,
            DroppedAttributesCount = 3,
            Attributes = { Otlp.Text("k", "v") },
        }));

        Assert.Equal(
            $"5000000001|5000000002|{TestSpan.TraceId(1)}|9|14|WARN2|login|héllo|f|{{\"k\":\"v\"}}|257|3",
            await RowAsync(
                "log-fields",
                "time_ns, observed_ns, trace_id, span_id, severity, severity_text, event_name, body, body_is_json, attributes, flags, dropped_attributes_count"));
    }

    [Fact]
    public async Task Logs_OddRecords_AreStoredWithoutTheirOddParts()
    {
        var before = (long)Otlp.NowNanos - 60_000_000_000;

        await PostAsync(Logs(
            "log-odd",
            new LogRecord
            {
                TraceId = ByteString.CopyFrom(1, 2, 3),
                SpanId = ByteString.CopyFrom(new byte[8]),
                SeverityNumber = (SeverityNumber)99,
                Body = TestSpan.Any("a\0b"),
            },
            new LogRecord { ObservedTimeUnixNano = 7, Body = TestSpan.Any(new object[] { 1L, "x" }) }));

        Assert.Equal("7|[1,\"x\"]|t", await RowAsync("log-odd", "time_ns, body, body_is_json"));
        Assert.Equal(
            $"a\uFFFDb|0|t", await server.Server.ScalarAsync<string>($"""
                SELECT concat_ws('|', body, severity, trace_id IS NULL AND span_id IS NULL) FROM logs
                WHERE project_id = (SELECT id FROM projects WHERE name = 'log-odd') AND time_ns > {before}
                """));
    }

    [Fact]
    public async Task Logs_SentAgain_AreStoredAgain()
    {
        var request = Logs("log-again", new LogRecord { TimeUnixNano = 6, Body = TestSpan.Any("once") });

        await PostAsync(request);
        await PostAsync(request);

        Assert.Equal(2, await server.Server.ScalarAsync<long>(
            "SELECT count(*) FROM logs WHERE project_id = (SELECT id FROM projects WHERE name = 'log-again')"));
    }

    [Fact]
    public async Task Logs_TimePastTheRange_RejectsThatRecordAlone()
    {
        using var response = await server.Client.PostAsync(
            Logs("log-late", new LogRecord { TimeUnixNano = ulong.MaxValue },
                new LogRecord { TimeUnixNano = 1, Body = TestSpan.Any("kept") }));

        var partial = ExportLogsServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync()).PartialSuccess;
        Assert.Equal((HttpStatusCode.OK, 1), (response.StatusCode, partial.RejectedLogRecords));
        Assert.Contains("resource_logs[0].scope_logs[0].log_records[0]", partial.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal("kept", await RowAsync("log-late", "body"));
    }

    [Fact]
    public async Task Logs_BrokenRecord_IsRefusedWithItsPlace()
    {
        var broken = new LogRecord { TimeUnixNano = 2, Attributes = { Otlp.Text("k", "XXXX") } };

        await RefusesAsync(
            "/v1/logs", Logs("log-where", new LogRecord { TimeUnixNano = 1 }, broken), broken,
            "resource_logs[0].scope_logs[0].log_records[1]");
    }

    [Fact]
    public async Task Metrics_EveryType_IsStoredWithItsPayload()
    {
        var exemplar = new Exemplar { TimeUnixNano = 3, AsInt = 4, SpanId = ByteString.CopyFrom(0, 0, 0, 0, 0, 0, 0, 1) };
        await PostAsync(Metrics(
            "metric-types",
            new Metric
            {
                Name = "a.gauge",
                Unit = "1",
                Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = 10, AsDouble = 1.5 } } },
            },
            new Metric
            {
                Name = "b.sum",
                Sum = new Sum
                {
                    IsMonotonic = true,
                    AggregationTemporality = AggregationTemporality.Cumulative,
                    DataPoints = { new NumberDataPoint { StartTimeUnixNano = 9, TimeUnixNano = 10, AsInt = -7, Exemplars = { exemplar } } },
                },
            },
            new Metric
            {
                Name = "c.histogram",
                Histogram = new Histogram
                {
                    AggregationTemporality = AggregationTemporality.Delta,
                    DataPoints = { new HistogramDataPoint { TimeUnixNano = 10, Count = 3, Sum = 6, Min = 1, Max = 3,
                        BucketCounts = { 1, 2 }, ExplicitBounds = { 1.5 } } },
                },
            },
            new Metric
            {
                Name = "d.exponential",
                ExponentialHistogram = new ExponentialHistogram
                {
                    DataPoints =
                    {
                        new ExponentialHistogramDataPoint
                        {
                            TimeUnixNano = 10, Count = 4, Sum = 8, Scale = -2, ZeroCount = 1,
                            Positive = new() { Offset = -3, BucketCounts = { 1, 300 } },
                        },
                    },
                },
            },
            new Metric
            {
                Name = "e.summary",
                Summary = new Summary
                {
                    DataPoints =
                    {
                        new SummaryDataPoint
                        {
                            TimeUnixNano = 10, Count = 2, Sum = 5,
                            QuantileValues = { new SummaryDataPoint.Types.ValueAtQuantile { Quantile = 0.5, Value = 2 } },
                        },
                    },
                },
            },
            new Metric { Name = "f.none", Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = 10, Flags = 1 } } } }));

        Assert.Equal(
            [
                "a.gauge|1|0|f|1.5||||",
                "b.sum|2|2|t|-7|-7||9|{\"exemplars\":[{\"time_ns\":3,\"value\":4,\"span_id\":\"0000000000000001\",\"attributes\":{}}]}",
                "c.histogram|3|1|f|6||3||{\"bucket_counts\":[1,2],\"bounds\":[1.5],\"min\":1.0,\"max\":3.0}",
                "d.exponential|4|0|f|8||4||{\"scale\":-2,\"zero_count\":1,\"zero_threshold\":0.0,\"positive\":{\"counts\":[1,300],\"offset\":-3},\"negative\":{\"counts\":[],\"offset\":0}}",
                "e.summary|5|0|f|5||2||{\"quantiles\":[[0.5,2.0]]}",
                "f.none|1|0|f|||||",
            ],
            (await server.Server.ScalarAsync<string>("""
                SELECT string_agg(format('%s|%s|%s|%s|%s|%s|%s|%s|%s', name, type, temporality, monotonic, value, int_value, count, start_ns, payload), E'\n' ORDER BY name)
                FROM metric_series s JOIN metric_points p ON p.series_id = s.id WHERE project_id = (SELECT id FROM projects WHERE name = 'metric-types')
                """)).Split('\n'));
    }

    [Fact]
    public async Task Metrics_FlagsOfEveryType_AreStored()
    {
        await PostAsync(Metrics(
            "metric-flags",
            new Metric { Name = "a", Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = 1, Flags = 1 } } } },
            new Metric { Name = "b", Sum = new Sum { DataPoints = { new NumberDataPoint { TimeUnixNano = 1, Flags = 2 } } } },
            new Metric { Name = "c", Histogram = new Histogram { DataPoints = { new HistogramDataPoint { TimeUnixNano = 1, Flags = 3 } } } },
            new Metric
            {
                Name = "d",
                ExponentialHistogram = new ExponentialHistogram
                {
                    DataPoints = { new ExponentialHistogramDataPoint { TimeUnixNano = 1, Flags = 4 } },
                },
            },
            new Metric { Name = "e", Summary = new Summary { DataPoints = { new SummaryDataPoint { TimeUnixNano = 1, Flags = 5 } } } }));

        Assert.Equal("1,2,3,4,5", await server.Server.ScalarAsync<string>("""
            SELECT string_agg(flags::text, ',' ORDER BY name) FROM metric_series s JOIN metric_points p ON p.series_id = s.id
            WHERE project_id = (SELECT id FROM projects WHERE name = 'metric-flags')
            """));
    }

    [Fact]
    public async Task Metrics_BrokenPoint_IsRefusedWithItsPlace()
    {
        var point = new NumberDataPoint { TimeUnixNano = 1, Attributes = { Otlp.Text("k", "XXXX") } };
        var broken = new Metric { Name = "b", Gauge = new Gauge { DataPoints = { point } } };

        await RefusesAsync(
            "/v1/metrics", Metrics("metric-where", new Metric { Name = "a", Gauge = new Gauge() }, broken), broken,
            "resource_metrics[0].scope_metrics[0].metrics[1]");
    }

    [Fact]
    public async Task Metrics_SameSeries_IsOneWhateverTheOrderOfItsAttributes()
    {
        static Metric Gauge(ulong time, params string[] keys) => new()
        {
            Name = "g",
            Gauge = new Gauge
            {
                DataPoints =
                {
                    new NumberDataPoint { TimeUnixNano = time, AsInt = 1, Attributes = { keys.Select(key => Otlp.Text(key, key)) } },
                },
            },
        };

        await PostAsync(Metrics("metric-series", Gauge(1, "a", "b"), Gauge(2, "b", "a"), Gauge(2, "b", "a"), Gauge(1, "a")));

        Assert.Equal("2|3", await server.Server.ScalarAsync<string>("""
            SELECT count(DISTINCT s.id) || '|' || count(*) FROM metric_series s JOIN metric_points p ON p.series_id = s.id
            WHERE project_id = (SELECT id FROM projects WHERE name = 'metric-series')
            """));
    }

    [Fact]
    public async Task Metrics_UnsoundPoints_AreRejectedAlone()
    {
        using var response = await server.Client.PostAsync(Metrics(
            "metric-odd",
            new Metric
            {
                Name = "h",
                Histogram = new Histogram
                {
                    DataPoints =
                    {
                        new HistogramDataPoint { TimeUnixNano = 1, BucketCounts = { 1 }, ExplicitBounds = { 1, 2 } },
                        new HistogramDataPoint { TimeUnixNano = 0 },
                        new HistogramDataPoint { TimeUnixNano = 2, Count = 1 },
                    },
                },
            },
            new Metric { Name = "late", Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = 1UL << 63, AsInt = 1 } } } },
            new Metric { Name = "", Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = 1, AsInt = 1 } } } }));

        var partial = ExportMetricsServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync()).PartialSuccess;
        Assert.Equal(4, partial.RejectedDataPoints);
        Assert.Contains("bucket_counts", partial.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(1, await server.Server.ScalarAsync<long>("""
            SELECT count(*) FROM metric_series s JOIN metric_points p ON p.series_id = s.id WHERE project_id = (SELECT id FROM projects WHERE name = 'metric-odd')
            """));
    }

    /// <summary>
    /// Breaks the text XXXX of <paramref name="record"/> in protobuf, whose answer must tell the record and its first byte, and in JSON,
    /// whose answer must tell the byte of the value.
    /// </summary>
    private async Task RefusesAsync(string path, IMessage request, IMessage record, string name)
    {
        var protobuf = request.ToByteArray();
        var start = protobuf.AsSpan().IndexOf(record.ToByteString().Span);
        protobuf[protobuf.AsSpan().IndexOf("XXXX"u8) - 1] = 127; // its length, past the end of the record
        var json = new JsonFormatter(JsonFormatter.Settings.Default).Format(request);
        var value = json.IndexOf("\"XXXX\"", StringComparison.Ordinal);
        var number = Encoding.UTF8.GetBytes(json.Replace("\"XXXX\"", "5", StringComparison.Ordinal));

        using var first = await server.Client.PostAsync(path, Otlp.Content(protobuf));
        using var second = await server.Client.PostAsync(path, Otlp.Content(number, "application/json"));

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.BadRequest), (first.StatusCode, second.StatusCode));
        Assert.Contains($" {name} at byte {start}.", await first.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        Assert.Contains($" at byte {value},", await second.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static ExportLogsServiceRequest Logs(string project, params LogRecord[] records) => new()
    {
        ResourceLogs = { new ResourceLogs { Resource = QueryServer.ResourceOf(project),
            ScopeLogs = { new ScopeLogs { LogRecords = { records } } } } },
    };

    private static ExportMetricsServiceRequest Metrics(string project, params Metric[] metrics) => new()
    {
        ResourceMetrics = { new ResourceMetrics { Resource = QueryServer.ResourceOf(project),
            ScopeMetrics = { new ScopeMetrics { Metrics = { metrics } } } } },
    };

    private async Task PostAsync(IMessage message)
    {
        using var response = await server.Client.PostAsync(message);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private Task<string> RowAsync(string project, string columns) => server.Server.ScalarAsync<string>(
        $"SELECT concat_ws('|', {columns}) FROM logs WHERE project_id = (SELECT id FROM projects WHERE name = '{project}') ORDER BY time_ns, id LIMIT 1");
}
