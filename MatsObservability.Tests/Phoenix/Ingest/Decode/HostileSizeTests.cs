using System.Diagnostics;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Proto.Metrics.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;
using InstrumentationScope = OpenTelemetry.Proto.Common.V1.InstrumentationScope;
using KeyValueList = OpenTelemetry.Proto.Common.V1.KeyValueList;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>Few bytes that would become many, and names longer than an index takes: bounded, marked, and no harm to neighbours.</summary>
[Trait("Req", "B002")]
[Trait("Req", "B026")]
public sealed class HostileSizeTests : IDisposable
{
    private const int Most = 3;

    private readonly Decoding _decoding = new(options => options.MaxAttributes = Most);

    public void Dispose() => _decoding.Dispose();

    [Fact]
    public void Decode_TooManyEventsAndLinks_KeepsTheFirstAndCountsTheRest()
    {
        var span = Decoding.Span();
        span.Events.AddRange(Enumerable.Range(0, 10).Select(index => new Span.Types.Event { Name = $"e{index}" }));
        span.Links.AddRange(Enumerable.Range(0, 5).Select(_ => new Span.Types.Link { TraceId = span.TraceId, SpanId = span.SpanId }));
        (span.DroppedEventsCount, span.DroppedLinksCount) = (100, 200);

        var row = _decoding.Row(span);

        Assert.Equal(["e0", "e1", "e2"], row.Events!.Value.EnumerateArray().Select(item => item.GetProperty("name").GetString()));
        Assert.Equal(Most, row.Links!.Value.GetArrayLength());
        Assert.Equal("""{"dropped_events_count":107,"dropped_links_count":202}""", row.Text("extra"));
    }

    [Fact]
    public void Decode_TooManyAttributesAnywhere_KeepsTheFirstAndCountsOrMarksTheRest()
    {
        var many = Enumerable.Range(0, 8).Select(index => Decoding.Attribute($"k{index}", index)).ToList();
        var span = Decoding.Span(("map", new AnyValue { KvlistValue = new KeyValueList { Values = { many } } }));
        span.Events.Add(new Span.Types.Event { Name = "e", Attributes = { many }, DroppedAttributesCount = 1 });
        var request = Decoding.Request(span);
        request.ResourceSpans[0].Resource.Attributes.AddRange(many);

        var (row, resource) = _decoding.Decode(request, batch => (Assert.Single(DecodedSpan.Read(batch)), Assert.Single(batch.Resources)));

        Assert.Equal("""{"map":{"k0":0,"k1":1,"k2":2,"$truncated":"members"}}""", row.Text("attributes"));
        Assert.Equal("""[{"name":"e","time_ns":0,"attributes":{"k0":0,"k1":1,"k2":2},"dropped_attributes_count":6}]""", row.Text("events"));
        Assert.Equal(6, resource.DroppedAttributesCount);
    }

    [Fact]
    public void Decode_RecordsThatGrowWithoutBound_RejectsThoseAtTheEnd()
    {
        var logs = new ScopeLogs();
        logs.LogRecords.AddRange(Enumerable.Range(0, 900_000).Select(_ => new LogRecord()));
        var body = new ExportLogsServiceRequest { ResourceLogs = { new ResourceLogs { ScopeLogs = { logs } } } }.ToByteArray();

        using var batch = _decoding.Decode(Signal.Logs, body).Batch!;

        Assert.InRange(batch.ByteCount, 32 << 20, 80 << 20);
        Assert.Equal(900_000, batch.RecordCount + batch.RejectedCount);
        Assert.Contains("send fewer records at once", batch.RejectionMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_TooManyExemplarsAndQuantiles_KeepsTheFirst()
    {
        var point = new NumberDataPoint { TimeUnixNano = 5, AsDouble = 1 };
        point.Exemplars.AddRange(Enumerable.Range(0, 1_000_000).Select(_ => new Exemplar()));
        var summary = new SummaryDataPoint { TimeUnixNano = 5 };
        summary.QuantileValues.AddRange(Enumerable.Range(0, 1_000_000).Select(_ => new SummaryDataPoint.Types.ValueAtQuantile()));
        var body = new ExportMetricsServiceRequest
        {
            ResourceMetrics =
            {
                new ResourceMetrics
                {
                    ScopeMetrics =
                    {
                        new ScopeMetrics
                        {
                            Metrics =
                            {
                                new Metric { Name = "gauge", Gauge = new Gauge { DataPoints = { point } } },
                                new Metric { Name = "summary", Summary = new Summary { DataPoints = { summary } } },
                            },
                        },
                    },
                },
            },
        }.ToByteArray();

        using var batch = _decoding.Decode(Signal.MetricPoints, body).Batch!;

        Assert.Equal(2, batch.RecordCount);
        Assert.InRange(batch.ByteCount, MetricPayload.MaxItems * 40, MetricPayload.MaxItems * 60);
    }

    [Fact]
    public void Decode_LongTextsOfAMetric_AreCutAndSharedByItsSeries()
    {
        var metric = Gauge(500);
        (metric.Name, metric.Unit, metric.Description) = (new string('n', 50_000), new string('u', 50_000), new string('d', 200_000));

        using var batch = _decoding.Decode(Signal.MetricPoints, Body(metric)).Batch!;

        var (first, last) = (batch.Series[0], batch.Series[^1]);
        Assert.Equal(500, batch.Series.Count);
        Assert.Equal(new string('u', 1024) + " …[truncated, 50000 bytes in all]", first.Unit);
        Assert.Equal(new string('d', SeriesInterner.MaxDescriptionBytes) + " …[truncated, 200000 bytes in all]", first.Description);
        Assert.Same(first.Name, last.Name);
        Assert.Same(first.Unit, last.Unit);
        Assert.Same(first.Description, last.Description);
        Assert.True(batch.ByteCount > 500 * (SeriesInterner.MaxDescriptionBytes + 2048), $"counted {batch.ByteCount}");
    }

    [Fact]
    public void Decode_SeriesThatGrowWithoutBound_RejectsThoseAtTheEnd()
    {
        var metric = Gauge(40_000);
        metric.Description = new string('d', SeriesInterner.MaxDescriptionBytes);

        using var batch = _decoding.Decode(Signal.MetricPoints, Body(metric)).Batch!;

        Assert.InRange(batch.ByteCount, 60 << 20, 70 << 20);
        Assert.Equal(40_000, batch.RecordCount + batch.RejectedCount);
        Assert.Contains("send fewer records at once", batch.RejectionMessage, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_ManyTraces_AreCountedAndTheirRoomIsNotKept()
    {
        using var decoding = new Decoding();
        var small = Decoding.Request(Decoding.Span()).ToByteArray();
        var spans = Enumerable.Range(0, 40_000).Select(index => new Span
        {
            TraceId = ByteString.CopyFrom(new Guid(index + 1, 0, 0, new byte[8]).ToByteArray()),
            SpanId = ByteString.CopyFrom(1, 2, 3, 4, 5, 6, 7, 8),
        });
        var large = Decoding.Request([.. spans]).ToByteArray();
        _ = Allocated(small);
        var kept = Allocated(small);

        using (var batch = decoding.Spans.Decode(large, projectOverride: null).Batch!)
        {
            Assert.Equal(40_000, batch.Traces.Count);
            Assert.True(batch.ByteCount > batch.Days.Sum(day => (long)day.Rows.Written.Length) + (40_000 * 200));
        }

        Assert.True(Allocated(small) > kept + 20_000);

        long Allocated(byte[] body)
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            decoding.Spans.Decode(body, projectOverride: null).Batch!.Dispose();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Decode_KeyLongerThanIsRemembered_IsNotKeptForTheNextRequest()
    {
        using var decoding = new Decoding();
        var body = Decoding.Request(Decoding.Span((new string('k', 1_000_000), 1))).ToByteArray();
        _ = Allocated();

        Assert.True(Allocated() > 4_000_000);

        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            decoding.Spans.Decode(body, projectOverride: null).Batch!.Dispose();
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
    }

    [Fact]
    public void Decode_ListsOfADialectWithoutEnd_AddNoMoreThanASpanMayHave()
    {
        var row = _decoding.Row(
            ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", $"[{string.Join(',', Enumerable.Repeat("1", 1_000_000))}]"),
            ("gen_ai.usage.input_tokens", 7));

        Assert.Equal("1", row.Derived("llm.input_messages.0.message.content"));
        Assert.Null(row.Derived("llm.input_messages.2.message.content"));
        Assert.Equal(("LLM", 7L, "7"), (row.SpanKind, row.PromptTokens, row.Derived("llm.token_count.prompt")));
    }

    [Fact]
    public void Decode_PartsOfAMessageWithoutEnd_AddNoMoreThanASpanMayHave()
    {
        using var decoding = new Decoding(options => options.MaxAttributes = 16);
        var parts = string.Join(',', Enumerable.Repeat("1", 1_000_000));
        var row = decoding.Row(
            ("gen_ai.operation.name", "chat"), ("gen_ai.input.messages", $$"""[{"role":"user","content":[{{parts}}]}]"""),
            ("gen_ai.output.messages", $$"""[{"role":"assistant","parts":[{{parts}}]}]"""), ("gen_ai.prompt", $"[{parts}]"));

        Assert.Equal("1", row.Derived("llm.input_messages.0.message.contents.0.message_content.text"));
        Assert.Null(row.Derived("llm.input_messages.0.message.contents.16.message_content.text"));
        Assert.InRange(row.Text("derived")!.Length, 100, 10_000);
    }

    [Fact]
    public void Decode_ScopesWithoutRecords_AreNotHeld()
    {
        using var decoding = new Decoding();
        var request = Decoding.Request(Decoding.Span());
        for (uint index = 1; index <= 1000; index++)
        {
            request.ResourceSpans[0].ScopeSpans.Add(
                new ScopeSpans { Scope = new InstrumentationScope { DroppedAttributesCount = index } });
            request.ResourceSpans.Add(new ResourceSpans { Resource = new Resource { DroppedAttributesCount = index } });
        }

        var (resources, scopes) = decoding.Decode(request, batch => (batch.Resources.Count, batch.Scopes.Count));

        Assert.Equal((1, 1), (resources, scopes));
    }

    [Fact]
    public void Decode_ScopesOfOneRecordEach_CountForTheRequestsLimit()
    {
        using var decoding = new Decoding();
        var (few, many) = (Bytes(0), Bytes(100));

        // Ten of ten thousand characters in UTF-16 each, beside ten rows.
        Assert.InRange(many - few, 10 * 2 * 900, 10 * 2 * 1200);

        long Bytes(int length)
        {
            var request = Decoding.Request();
            for (var index = 0; index < 10; index++)
            {
                request.ResourceSpans[0].ScopeSpans.Add(new ScopeSpans
                {
                    Scope = new InstrumentationScope { Name = $"{index}{new string('n', 10 * length)}" }, Spans = { Decoding.Span() },
                });
            }

            return decoding.Decode(request, batch => batch.ByteCount);
        }
    }

    [Fact]
    public void Decode_LargeSchemaUrls_AreNotRemembered()
    {
        using var decoding = new Decoding();
        var request = Decoding.Request(Decoding.Span());
        Assert.Same(Resource(), Resource());
        request.ResourceSpans[0].SchemaUrl = new string('u', 1 << 20);

        Assert.NotSame(Resource(), Resource());

        InternedResource Resource() => decoding.Decode(request, batch => batch.Resources[0]);
    }

    [Fact]
    public void Decode_ThousandsOfAttributesASpan_TakesTimeInProportion()
    {
        using var decoding = new Decoding();
        var (large, small) = (Body(25, 4096), Body(800, 128));
        var (largest, smallest) = (TimeSpan.FromHours(1), TimeSpan.FromHours(1));
        var rounds = 0;

        // As many attributes in all; were each looked for among all of its span, 32 times as long. The fastest of some rounds counts:
        // whatever else the machine does only adds to a time.
        do
        {
            largest = Min(largest, Time(large, 25));
            smallest = Min(smallest, Time(small, 800));
        }
        while (largest >= 8 * smallest && ++rounds < 5);

        Assert.True(largest < 8 * smallest, $"took {largest} instead of {smallest}");

        TimeSpan Time(byte[] body, int spans)
        {
            var clock = Stopwatch.StartNew();
            using var batch = decoding.Spans.Decode(body, projectOverride: null).Batch!;
            clock.Stop();
            Assert.Equal(spans, batch.RecordCount);
            return clock.Elapsed;
        }

        static TimeSpan Min(TimeSpan left, TimeSpan right) => left < right ? left : right;

        static byte[] Body(int spans, int attributes) => Decoding.Request([.. Enumerable.Range(0, spans).Select(_ => Decoding.Span(
            [.. Enumerable.Range(0, attributes).Select(index => ($"gen_ai.prompt.{index}.content", (object)"x"))]))]).ToByteArray();
    }

    [Theory]
    [InlineData(200, 200)]
    [InlineData(1024, 1024)]
    [InlineData(5000, 1024)]
    public void Decode_LongNames_AreCutAlikeInColumnsAndSums(int length, int kept)
    {
        using var decoding = new Decoding();
        var name = new string('n', length);
        var span = Decoding.Span(("openinference.span.kind", "LLM"), ("session.id", name), ("user.id", name),
            ("llm.model_name", name), ("llm.provider", name));
        var request = Decoding.Request(span);
        request.ResourceSpans[0].Resource.Attributes[0] = Decoding.Attribute("service.name", name);

        var (row, trace, minute) = decoding.Decode(
            request, batch => (Assert.Single(DecodedSpan.Read(batch)), Assert.Single(batch.Traces), Assert.Single(batch.Minutes).Key));

        var expected = name[..kept] + (kept < length ? $" …[truncated, {length} bytes in all]" : "");
        Assert.All([row.SessionId, row.UserId, row.Model, row.Provider, trace.SessionId, trace.UserId, trace.Root!.Service,
            minute.Model, minute.Provider],
            text => Assert.Equal(expected, text));
    }

    [Fact]
    public void Decode_NamesThatGrowWhenRepaired_AreCutAfterwards()
    {
        using var decoding = new Decoding();
        var bytes = Decoding.Request(Decoding.Span(("session.id", new string('X', 1000)))).ToByteArray();
        bytes.AsSpan(bytes.AsSpan().IndexOf("XXXX"u8), 1000).Fill(0xFF);

        using var batch = decoding.Spans.Decode(bytes, projectOverride: null).Batch!;

        Assert.InRange(System.Text.Encoding.UTF8.GetByteCount(Assert.Single(batch.Traces).SessionId!), 1000, 1024 + 40);
    }

    /// <summary>A gauge of as many points, each of a series of its own.</summary>
    private static Metric Gauge(int points)
    {
        var gauge = new Gauge();
        gauge.DataPoints.AddRange(Enumerable.Range(0, points).Select(index => new NumberDataPoint
        {
            TimeUnixNano = 5,
            AsDouble = 1,
            Attributes = { Decoding.Attribute("id", index) },
        }));
        return new Metric { Name = "gauge", Gauge = gauge };
    }

    private static byte[] Body(Metric metric) => new ExportMetricsServiceRequest
    {
        ResourceMetrics = { new ResourceMetrics { ScopeMetrics = { new ScopeMetrics { Metrics = { metric } } } } },
    }.ToByteArray();
}
