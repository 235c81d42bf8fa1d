using System.Collections;
using FsCheck;
using FsCheck.Fluent;
using Google.Protobuf;
using Google.Protobuf.Collections;
using Google.Protobuf.Reflection;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest.Forward;

/// <summary>What may leave of a body, against generated protobuf code.</summary>
[Trait("Req", "B042")]
[Trait("Req", "B131")]
public sealed class ForwardFilterTests
{
    private readonly ForwardFilter _filter = new(Options.Create(new RedactionOptions()));

    [Theory]
    [InlineData(Signal.Spans)]
    [InlineData(Signal.Logs)]
    [InlineData(Signal.MetricPoints)]
    public void TryRewrite_RandomRequest_LeavesItAloneUnlessItHoldsASecret(Signal signal) =>
        Prop.ForAll(ArbMap.Default.ArbFor<int>(), seed =>
    {
        var request = new RandomRequests(seed).Next(signal);
        Assert.Null(Rewrite(signal, request.ToByteArray()));

        var seeded = request.Descriptor.Parser.ParseFrom(request.ToByteArray());
        Seed(seeded);

        Assert.Equal(request, request.Descriptor.Parser.ParseFrom(Rewrite(signal, seeded.ToByteArray()) ?? request.ToByteArray()));
    }).Check(Config.QuickThrowOnFailure.WithMaxTest(100));

    [Theory]
    [InlineData("drop note", null)]
    [InlineData("mask note", "***word")]
    [InlineData("hash note", "sha256:")]
    [InlineData("mask * /s3cret/", "my ***word")]
    public void TryRewrite_Rule_DoesWhatStoringDoes(string rule, string? expected)
    {
        var filter = new ForwardFilter(Options.Create(new RedactionOptions { Rules = [rule] }));
        var request = Otlp.Spans(1);
        request.ResourceSpans[0].ScopeSpans[0].Spans[0].Attributes.Insert(0, Otlp.Text("note", "my s3cretword"));
        using var output = new ProtobufWriter();

        Assert.True(filter.TryRewrite(Signal.Spans, request.ToByteArray(), leftOut: null, output));

        var span = ExportTraceServiceRequest.Parser.ParseFrom(output.Written.ToArray()).ResourceSpans[0].ScopeSpans[0].Spans[0];
        var note = span.Attributes.SingleOrDefault(static attribute => attribute.Key == "note")?.Value.StringValue;
        Assert.Equal(expected is null ? 2 : 3, span.Attributes.Count);
        Assert.StartsWith(expected ?? "", note ?? "", StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", note ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void TryRewrite_PointsThatWereRejected_AreLeftOut()
    {
        using var decoding = new Decoding();
        var request = Otlp.Gauge("g", 1, 1_750_000_000_000_000_000);
        var points = request.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints;
        for (var value = 2; value <= 4; value++)
        {
            points.Add(points[0].Clone());
            points[^1].AsDouble = value;
        }

        points[0].TimeUnixNano = points[2].TimeUnixNano = 0;
        var body = request.ToByteArray();
        using var batch = decoding.Decode(Signal.MetricPoints, body).Batch!;
        using var output = new ProtobufWriter();

        Assert.Equal((2, 2), (batch.RecordCount, batch.RejectedCount));
        Assert.True(_filter.TryRewrite(Signal.MetricPoints, body, batch.LeftOut, output));
        Assert.Equal(
            [2, 4], ExportMetricsServiceRequest.Parser.ParseFrom(output.Written.ToArray())
                .ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints.Select(point => point.AsDouble));
    }

    [Fact]
    public void TryRewrite_FieldThatIsNotKnown_IsLeftOut()
    {
        var request = Otlp.Spans(2);
        byte[] body = [.. request.ToByteArray(), (99 << 3 & 0x7f) | 0x82, 0x06, 3, (byte)'k', (byte)'e', (byte)'y'];

        // Unknown fields are part of the comparison.
        Assert.NotEqual(request, ExportTraceServiceRequest.Parser.ParseFrom(body));
        Assert.Equal(request, ExportTraceServiceRequest.Parser.ParseFrom(Rewrite(Signal.Spans, body)));
    }

    [Fact]
    public void TryRewrite_ValueNestedDeeperThanIsStored_IsCutWithoutAStackOverflow()
    {
        var body = Array.Empty<byte>();
        for (var depth = 0; depth < 20_000; depth++)
        {
            using var list = new ProtobufWriter();
            var array = list.Begin(CommonFields.AnyArray);
            list.WriteBytes(CommonFields.ArrayValues, body);
            list.End(array);
            body = list.Written.ToArray();
        }

        using var request = new ProtobufWriter();
        var (resources, scopes, records) = (request.Begin(ExportFields.RequestResources), request.Begin(ExportFields.ResourceScopes),
            request.Begin(ExportFields.ScopeRecords));
        request.WriteBytes(LogFields.RecordBody, body);
        request.End(records);
        request.End(scopes);
        request.End(resources);

        Assert.InRange(Rewrite(Signal.Logs, request.Written.ToArray())!.Length, 100, 2000);
    }

    [Fact]
    public void TryRewrite_MutatedBodies_NeverThrows()
    {
        var random = new Random(7);
        for (var seed = 0; seed < 300; seed++)
        {
            foreach (var signal in Enum.GetValues<Signal>())
            {
                var body = new RandomRequests(seed).Next(signal).ToByteArray();
                for (var mutation = 0; mutation < 5; mutation++)
                {
                    body[random.Next(body.Length)] = (byte)random.Next(256);
                    using var output = new ProtobufWriter();
                    _filter.TryRewrite(signal, body, leftOut: null, output);
                    Assert.InRange(output.Length, 0, (body.Length * 4) + 1024);
                }
            }
        }
    }

    /// <summary>What may leave instead of <paramref name="body"/>; null = the body itself.</summary>
    private byte[]? Rewrite(Signal signal, byte[] body)
    {
        using var output = new ProtobufWriter();
        return _filter.TryRewrite(signal, body, leftOut: null, output) ? output.Written.ToArray() : null;
    }

    /// <summary>Adds a secret to every list of attributes there is.</summary>
    private static void Seed(IMessage message)
    {
        foreach (var field in message.Descriptor.Fields.InFieldNumberOrder().Where(static field => field.FieldType == FieldType.Message))
        {
            var value = field.Accessor.GetValue(message);
            foreach (var child in value as IList ?? new[] { value })
            {
                if (child is not null)
                {
                    Seed((IMessage)child);
                }
            }

            if (value is RepeatedField<KeyValue> attributes)
            {
                attributes.Insert(attributes.Count / 2, Otlp.Text("llm.api_key", "seeded"));
            }
        }
    }
}
