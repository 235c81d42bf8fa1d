using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;
using KeyValueList = OpenTelemetry.Proto.Common.V1.KeyValueList;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>What the decoder makes of odd input; docs/otlp-conformance.md states each outcome.</summary>
[Trait("Req", "B002")]
public sealed class SpanDecoderTests : IDisposable
{
    private readonly Decoding _decoding = new();

    public void Dispose() => _decoding.Dispose();

    [Theory]
    [InlineData("", "1112131415161718", "trace_id")]
    [InlineData("00000000000000000000000000000000", "1112131415161718", "trace_id")]
    [InlineData("0102", "1112131415161718", "trace_id")]
    [InlineData("0102030405060708090a0b0c0d0e0f10", "0000000000000000", "span_id")]
    [InlineData("0102030405060708090a0b0c0d0e0f10", "", "span_id")]
    public void Decode_BadId_RejectsThatSpanAlone(string traceId, string spanId, string named)
    {
        var bad = Decoding.Span();
        bad.TraceId = ByteString.CopyFrom(Convert.FromHexString(traceId));
        bad.SpanId = ByteString.CopyFrom(Convert.FromHexString(spanId));

        var (names, rejected, message) = _decoding.Decode(
            Decoding.Request(Named("first"), bad, Named("last")),
            batch => (DecodedSpan.Read(batch).Select(row => row.Name).ToArray(), batch.RejectedCount, batch.RejectionMessage));

        Assert.Equal(["first", "last"], names);
        Assert.Equal(1, rejected);
        Assert.StartsWith("resource_spans[0].scope_spans[0].spans[1]: " + named, message, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_ZeroParent_IsRoot()
    {
        var span = Decoding.Span();
        span.ParentSpanId = ByteString.CopyFrom(new byte[8]);

        Assert.Null(_decoding.Row(span).ParentId);
    }

    [Fact]
    public void Decode_EndBeforeStart_EndIsStartAndOriginalIsKept()
    {
        var span = Decoding.Span();
        span.EndTimeUnixNano = 5;

        var row = _decoding.Row(span);

        Assert.Equal(row.StartNanos, row.EndNanos);
        Assert.Equal(5, row.Extra!.Value.GetProperty("end_time_unix_nano").GetInt64());
    }

    [Theory]
    [InlineData(0UL)]
    [InlineData(1UL)]
    [InlineData(2_200_000_000_000_000_000UL)]
    public void Decode_FarTime_IsStoredAsSent(ulong start)
    {
        var span = Decoding.Span();
        (span.StartTimeUnixNano, span.EndTimeUnixNano) = (start, start + 1);

        Assert.Equal((long)start, _decoding.Row(span).StartNanos);
    }

    [Fact]
    public void Decode_TimePastTheColumn_RejectsThatSpanAlone()
    {
        var span = Decoding.Span();
        span.StartTimeUnixNano = 1UL << 63;

        var rejected = _decoding.Decode(Decoding.Request(span, Named("good")), batch => (batch.RejectedCount, batch.RecordCount));

        Assert.Equal((1, 1), rejected);
    }

    [Fact]
    public void Decode_UnknownEnumValues_AreUnspecifiedAndKept()
    {
        var span = Decoding.Span();
        span.Kind = (Span.Types.SpanKind)42;
        span.Status = new Status { Code = (Status.Types.StatusCode)(-3), Message = "odd" };

        var row = _decoding.Row(span);

        Assert.Equal((0, 0), (row.Kind, row.Status));
        Assert.Equal(42, row.Extra!.Value.GetProperty("kind").GetInt32());
        Assert.Equal(-3, row.Extra!.Value.GetProperty("status_code").GetInt32());
    }

    [Fact]
    public void Decode_DuplicateKeys_LastValueStays()
    {
        var row = _decoding.Row(("a", 1), ("b", 2), ("a", 3), ("session.id", "first"), ("session.id", "second"));

        Assert.Equal("""{"b":2,"a":3,"session.id":"second"}""", row.Text("attributes"));
        Assert.Equal("second", row.SessionId);
    }

    [Fact]
    public void Decode_EmptyKeyAndMissingValue_AreKept()
    {
        var span = Decoding.Span(("", "no name"));
        span.Attributes.Add(new KeyValue { Key = "nothing" });

        Assert.Equal("""{"":"no name","nothing":null}""", _decoding.Row(span).Text("attributes"));
    }

    [Fact]
    public void Decode_NoAttributes_WritesEmptyObject() => Assert.Equal("{}", _decoding.Row().Text("attributes"));

    [Fact]
    public void Decode_EveryValueType_HasItsJsonForm()
    {
        var list = new KeyValueList { Values = { Decoding.Attribute("x", 1.5), Decoding.Attribute("y", new byte[] { 1, 2, 3 }) } };
        var row = _decoding.Row(
            ("text", "a\"b\\c\n\u0001é"), ("yes", true), ("long", long.MinValue), ("whole", 5.0), ("nan", double.NaN),
            ("inf", double.NegativeInfinity),
            ("list", new[] { "p", "q" }), ("map", new AnyValue { KvlistValue = list }), ("none", new AnyValue()));

        Assert.Equal(
            """{"text":"a\"b\\c\n\u0001é","yes":true,"long":-9223372036854775808,"whole":5.0,"nan":{"$double":"NaN"},"inf":{"$double":"-Infinity"},"list":["p","q"],"map":{"x":1.5,"y":{"$bytes":"AQID"}},"none":null}""",
            row.Text("attributes"));
    }

    [Fact]
    public void Decode_InvalidUtf8AndNul_AreReplacedAndCounted()
    {
        var span = Decoding.Span(("good", "value"), ("bad", "XXXX"), ("nul", "a\0b"));
        var bytes = Decoding.Request(span).ToByteArray();
        bytes.AsSpan(bytes.AsSpan().IndexOf("XXXX"u8), 4).Fill(0xFF);

        using var batch = _decoding.Spans.Decode(bytes, projectOverride: null).Batch!;
        var row = Assert.Single(DecodedSpan.Read(batch));

        Assert.Equal("""{"good":"value","bad":"����","nul":"a�b"}""", row.Text("attributes"));
        Assert.Equal(2, _decoding.Metrics.RepairedTexts);
    }

    [Fact]
    public void Decode_DeepValue_IsCutAtTheDepthLimit()
    {
        var deep = Decoding.Value("bottom");
        for (var i = 0; i < 80; i++)
        {
            deep = new AnyValue { ArrayValue = new ArrayValue { Values = { deep } } };
        }

        var text = _decoding.Row(("deep", deep), ("after", 1)).Text("attributes")!;

        Assert.Contains("""[{"$truncated":"depth"}]""", text, StringComparison.Ordinal);
        Assert.EndsWith("\"after\":1}", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Decode_WrongWireType_IsAnUnknownField()
    {
        using var writer = new ProtobufWriter();
        writer.WriteVarint(TraceFields.SpanName, 5);
        writer.WriteFixed64(TraceFields.SpanAttributes, 7);
        var span = Decoding.Span(("kept", 1));
        var bytes = span.ToByteArray().Concat(writer.Written.ToArray()).ToArray();
        using var scope = new ProtobufWriter();
        scope.WriteBytes(ExportFields.ScopeRecords, bytes);
        using var resource = new ProtobufWriter();
        resource.WriteBytes(ExportFields.ResourceScopes, scope.Written);
        using var request = new ProtobufWriter();
        request.WriteBytes(ExportFields.RequestResources, resource.Written);

        using var batch = _decoding.Spans.Decode(request.Written, projectOverride: null).Batch!;

        var row = Assert.Single(DecodedSpan.Read(batch));
        Assert.Equal(("span", """{"kept":1}"""), (row.Name, row.Text("attributes")));
    }

    [Fact]
    public void Decode_UnknownFieldsAndGroups_AreSkipped()
    {
        using var writer = new ProtobufWriter();
        writer.WriteTag(900, WireType.StartGroup);
        writer.WriteVarint(1, 1);
        writer.WriteTag(900, WireType.EndGroup);
        writer.WriteBytes(901, "future"u8);
        var bytes = writer.Written.ToArray().Concat(Decoding.Request(Decoding.Span()).ToByteArray()).ToArray();

        using var batch = _decoding.Spans.Decode(bytes, projectOverride: null).Batch!;

        Assert.Equal(1, batch.RecordCount);
    }

    [Fact]
    public void Decode_EveryTruncation_IsMalformedOrAComplete()
    {
        var bytes = Decoding.Request(Named("first"), Named("second")).ToByteArray();
        for (var length = 1; length < bytes.Length; length++)
        {
            var result = _decoding.Spans.Decode(bytes.AsSpan(0, length), projectOverride: null);
            Assert.Null(result.Batch);
            Assert.Matches(@"^Malformed protobuf in .+ at byte \d+\.$", result.Error);
        }
    }

    [Fact]
    public void Decode_EmptyBody_IsAnEmptyBatch()
    {
        using var batch = _decoding.Spans.Decode([], projectOverride: null).Batch!;

        Assert.Equal(0, batch.RecordCount + batch.RejectedCount);
    }

    [Theory]
    [InlineData("header", "resource", "header")]
    [InlineData(null, "resource", "resource")]
    [InlineData(null, "", "default")]
    [InlineData(null, null, "default")]
    public void Decode_Project_ComesFromHeaderThenResourceThenDefault(string? header, string? resource, string expected)
    {
        using var decoding = new Decoding(projects: (string _, out int id) =>
        {
            id = 0;
            return false;
        });
        var request = Decoding.Request(Decoding.Span());
        if (resource is not null)
        {
            request.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("openinference.project.name", resource));
        }

        var result = decoding.Spans.Decode(request.ToByteArray(), header);

        Assert.Equal([expected], result.UnknownProjects!);
    }

    [Fact]
    public void Decode_TooManyAttributes_KeepsTheFirstAndCountsTheRest()
    {
        using var decoding = new Decoding(options => options.MaxAttributes = 3);
        var span = Decoding.Span(("a", 1), ("b", 2), ("c", 3), ("d", 4), ("e", 5));
        span.DroppedAttributesCount = 10;

        var row = decoding.Row(span);

        Assert.Equal("""{"a":1,"b":2,"c":3}""", row.Text("attributes"));
        Assert.Equal("""{"dropped_attributes_count":12}""", row.Text("extra"));
    }

    [Fact]
    public void Decode_EventsAndLinks_KeepTimesIdsAndAttributes()
    {
        var span = Decoding.Span();
        span.Events.Add(
            new Span.Types.Event
            {
                Name = "exception",
                TimeUnixNano = 7,
                Attributes = { Decoding.Attribute("exception.type", "Boom") },
                DroppedAttributesCount = 2,
            });
        span.Links.Add(new Span.Types.Link
        {
            TraceId = span.TraceId, SpanId = span.SpanId, TraceState = "k=v", Flags = 1, Attributes = { Decoding.Attribute("a", true) },
        });

        var row = _decoding.Row(span);

        Assert.Equal("""[{"name":"exception","time_ns":7,"attributes":{"exception.type":"Boom"},"dropped_attributes_count":2}]""",
            row.Text("events"));
        Assert.Equal(
            """[{"trace_id":"0102030405060708090a0b0c0d0e0f10","span_id":"1112131415161718","trace_state":"k=v","flags":1,"attributes":{"a":true}}]""",
            row.Text("links"));
    }

    [Fact]
    public void Decode_SameResourceContent_HasTheSameIdInAnyOrder()
    {
        var (left, right) = (Decoding.Request(Decoding.Span()), Decoding.Request(Decoding.Span()));
        left.ResourceSpans[0].Resource.Attributes.Add(Decoding.Attribute("host.name", "a"));
        right.ResourceSpans[0].Resource.Attributes.Insert(0, Decoding.Attribute("host.name", "a"));
        var other = Decoding.Request(Decoding.Span());

        var ids = new[] { left, right, other }.Select(request => _decoding.Rows(request)[0].ResourceId).ToArray();

        Assert.Equal(ids[0], ids[1]);
        Assert.NotEqual(ids[0], ids[2]);
    }

    [Fact]
    public void Decode_SumsOfATrace_CountOnlyModelCalls()
    {
        var agent = Decoding.Span(("openinference.span.kind", "AGENT"), ("llm.token_count.prompt", 99), ("session.id", "s-1"));
        var call = Decoding.Span(
            ("openinference.span.kind", "LLM"), ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 10),
            ("llm.token_count.completion", 5));
        call.SpanId = ByteString.CopyFrom(Convert.FromHexString("2112131415161718"));
        call.ParentSpanId = agent.SpanId;
        call.Status = new Status { Code = Status.Types.StatusCode.Error };

        var trace = _decoding.Decode(Decoding.Request(agent, call), batch => Assert.Single(batch.Traces));

        Assert.Equal((2, 1, 10L, 5L, "s-1"), (trace.Spans, trace.Errors, trace.PromptTokens, trace.CompletionTokens, trace.SessionId));
        Assert.Equal(("span", "tests"), (trace.Root!.Name, trace.Root.Service));
        Assert.Equal(10 * 2_500_000L + 5 * 10_000_000L, trace.CostPicoUsd);
    }

    [Fact]
    public void TryReadVarint_TenthByteTooLarge_IsRefused()
    {
        var reader = new ProtobufReader([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02]);

        Assert.False(reader.TryReadVarint(out _));
        Assert.Equal(0, reader.Position);
    }

    [Fact]
    public void TryReadBytes_LengthPastTheEnd_LeavesThePosition()
    {
        var reader = new ProtobufReader([0x05, 0x01, 0x02]);

        Assert.False(reader.TryReadBytes(out _));
        Assert.Equal(0, reader.Position);
    }

    private static Span Named(string name)
    {
        var span = Decoding.Span(("text", Encoding.UTF8.GetString("some value"u8)));
        span.Name = name;
        return span;
    }
}
