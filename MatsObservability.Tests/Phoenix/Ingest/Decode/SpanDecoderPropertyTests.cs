using System.Buffers.Binary;
using System.Globalization;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>The decoder against generated protobuf code: every column and attribute of random requests, in both encodings.</summary>
[Trait("Req", "B002")]
public sealed class SpanDecoderPropertyTests : IDisposable
{
    private static readonly JsonFormatter s_formatter = new(JsonFormatter.Settings.Default);

    private readonly Decoding _decoding = new();

    public void Dispose() => _decoding.Dispose();

    [Fact]
    public void Decode_RandomRequest_KeepsEveryField() => ForAllRequests(seed =>
    {
        var request = new RandomRequests(seed).Next();
        var rows = _decoding.Rows(request).ToLookup(row => (row.TraceId, row.SpanId));
        foreach (var span in request.ResourceSpans.SelectMany(resource => resource.ScopeSpans).SelectMany(scope => scope.Spans))
        {
            var row = Assert.Single(
                rows[(Convert.ToHexStringLower(span.TraceId.Span), BinaryPrimitives.ReadInt64BigEndian(span.SpanId.Span))]);
            AssertSame(span, row);
        }
    });

    [Fact]
    public void Decode_RandomRequestAsJson_GivesTheSameRows() => ForAllRequests(seed =>
    {
        var request = new RandomRequests(seed).Next();
        using var protobuf = new ProtobufWriter();

        // The formatter writes ids as base64, as protobuf JSON has it; the transcoder takes both forms.
        Assert.Null(OtlpJson.Transcode(Signal.Spans, System.Text.Encoding.UTF8.GetBytes(s_formatter.Format(request)), protobuf));
        using var batch = _decoding.Spans.Decode(protobuf.Written, projectOverride: null).Batch!;

        var expected = _decoding.Rows(request);
        var actual = DecodedSpan.Read(batch);
        Assert.Equal(expected.Count, actual.Count);
        for (var i = 0; i < expected.Count; i++)
        {
            Assert.Equal(expected[i].Fields, actual[i].Fields);
        }
    });

    private static void ForAllRequests(Action<int> check) =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), check).Check(Config.QuickThrowOnFailure.WithMaxTest(300));

    private static void AssertSame(Span span, DecodedSpan row)
    {
        Assert.Equal(7, row.ProjectId);
        Assert.Equal(span.ParentSpanId.IsEmpty ? null : BinaryPrimitives.ReadInt64BigEndian(span.ParentSpanId.Span), row.ParentId);
        Assert.Equal((long)span.StartTimeUnixNano, row.StartNanos);
        Assert.Equal((long)Math.Max(span.StartTimeUnixNano, span.EndTimeUnixNano), row.EndNanos);
        Assert.Equal(Stored(span.Name), row.Name);
        Assert.Equal((int)span.Kind is >= 0 and <= 5 ? (short)span.Kind : (short)0, row.Kind);
        Assert.Equal(span.TraceState.Length == 0 ? null : Stored(span.TraceState), row.TraceState);
        Assert.Equal(string.IsNullOrEmpty(span.Status?.Message) ? null : Stored(span.Status.Message), row.StatusMessage);
        Assert.Equal((int?)span.Status?.Code is >= 0 and <= 2 ? (short)span.Status!.Code : (short)0, row.Status);
        AssertSame(span.Attributes, row.Attributes);
        AssertExtra(span, row.Extra);

        Assert.Equal(span.Events.Count, row.Events?.GetArrayLength() ?? 0);
        for (var i = 0; i < span.Events.Count; i++)
        {
            var item = row.Events!.Value[i];
            Assert.Equal(Stored(span.Events[i].Name), item.GetProperty("name").GetString());
            Assert.Equal(span.Events[i].TimeUnixNano, item.GetProperty("time_ns").GetUInt64());
            Assert.Equal(span.Events[i].DroppedAttributesCount, Number(item, "dropped_attributes_count"));
            AssertSame(span.Events[i].Attributes, item.GetProperty("attributes"));
        }

        Assert.Equal(span.Links.Count, row.Links?.GetArrayLength() ?? 0);
        for (var i = 0; i < span.Links.Count; i++)
        {
            var link = row.Links!.Value[i];
            Assert.Equal(Convert.ToHexStringLower(span.Links[i].TraceId.Span), link.GetProperty("trace_id").GetString());
            Assert.Equal(Convert.ToHexStringLower(span.Links[i].SpanId.Span), link.GetProperty("span_id").GetString());
            Assert.Equal(span.Links[i].Flags, Number(link, "flags"));
            AssertSame(span.Links[i].Attributes, link.GetProperty("attributes"));
        }
    }

    private static void AssertExtra(Span span, JsonElement? extra)
    {
        Assert.Equal(span.Flags, Number(extra, "flags"));
        Assert.Equal(span.DroppedAttributesCount, Number(extra, "dropped_attributes_count"));
        Assert.Equal(span.DroppedEventsCount, Number(extra, "dropped_events_count"));
        Assert.Equal(span.DroppedLinksCount, Number(extra, "dropped_links_count"));
    }

    private static uint Number(JsonElement? element, string name) =>
        element is { } json && json.TryGetProperty(name, out var value) ? value.GetUInt32() : 0;

    private static void AssertSame(IEnumerable<KeyValue> expected, JsonElement actual)
    {
        // Of a repeated key the last value stays.
        var values = new Dictionary<string, AnyValue?>(StringComparer.Ordinal);
        foreach (var pair in expected)
        {
            values[pair.Key] = pair.Value;
        }

        var members = actual.EnumerateObject().ToDictionary(member => member.Name, member => member.Value, StringComparer.Ordinal);
        Assert.Equal(values.Keys.Select(Stored).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal),
            members.Keys.Order(StringComparer.Ordinal));
        foreach (var (key, value) in values)
        {
            AssertSame(value, members[Stored(key)]);
        }
    }

    private static void AssertSame(AnyValue? expected, JsonElement actual)
    {
        switch (expected?.ValueCase ?? AnyValue.ValueOneofCase.None)
        {
            case AnyValue.ValueOneofCase.StringValue:
                Assert.Equal(Stored(expected!.StringValue), actual.GetString());
                break;
            case AnyValue.ValueOneofCase.BoolValue:
                Assert.Equal(expected!.BoolValue, actual.GetBoolean());
                break;
            case AnyValue.ValueOneofCase.IntValue:
                Assert.Equal(expected!.IntValue.ToString(CultureInfo.InvariantCulture), actual.GetRawText());
                break;
            case AnyValue.ValueOneofCase.DoubleValue when double.IsFinite(expected!.DoubleValue):
                Assert.Equal(expected.DoubleValue, actual.GetDouble());
                Assert.True(actual.GetRawText().AsSpan().ContainsAny('.', 'E'));
                break;
            case AnyValue.ValueOneofCase.DoubleValue:
                Assert.Equal(expected!.DoubleValue.ToString(CultureInfo.InvariantCulture), actual.GetProperty("$double").GetString());
                break;
            case AnyValue.ValueOneofCase.BytesValue:
                Assert.Equal(expected!.BytesValue.ToBase64(), actual.GetProperty("$bytes").GetString());
                break;
            case AnyValue.ValueOneofCase.ArrayValue:
                Assert.Equal(expected!.ArrayValue.Values.Count, actual.GetArrayLength());
                foreach (var (value, element) in expected.ArrayValue.Values.Zip(actual.EnumerateArray()))
                {
                    AssertSame(value, element);
                }

                break;
            case AnyValue.ValueOneofCase.KvlistValue:
                AssertSame(expected!.KvlistValue.Values, actual);
                break;
            default:
                Assert.Equal(JsonValueKind.Null, actual.ValueKind);
                break;
        }
    }

    private static string Stored(string text) => text.Replace('\0', '\uFFFD');
}
