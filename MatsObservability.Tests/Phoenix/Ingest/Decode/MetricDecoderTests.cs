using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Metrics.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>Metrics as generated code never writes them but must read them; docs/otlp-conformance.md states the outcome.</summary>
[Trait("Req", "B002")]
public sealed class MetricDecoderTests : IDisposable
{
    private readonly Decoding _decoding = new();

    public void Dispose() => _decoding.Dispose();

    [Fact]
    public void Decode_RepeatedNumbersOneByOne_GivesTheRowsOfPackedOnes()
    {
        var histogram = new HistogramDataPoint { TimeUnixNano = 10, BucketCounts = { 1, 2, 300 }, ExplicitBounds = { 0.5, 1.5 } };
        var exponential = new ExponentialHistogramDataPoint { TimeUnixNano = 10, Positive = new() { BucketCounts = { 1, 300 } } };
        var metrics = new[]
        {
            new Metric { Name = "h", Histogram = new Histogram { DataPoints = { histogram } } },
            new Metric { Name = "e", ExponentialHistogram = new ExponentialHistogram { DataPoints = { exponential } } },
        };
        var packed = new ExportMetricsServiceRequest
        {
            ResourceMetrics = { new ResourceMetrics { ScopeMetrics = { new ScopeMetrics { Metrics = { metrics } } } } },
        };

        using var writer = new ProtobufWriter();
        var resource = writer.Begin(ExportFields.RequestResources);
        var scope = writer.Begin(ExportFields.ResourceScopes);
        WriteMetric(writer, "h"u8, MetricFields.MetricHistogram, () =>
        {
            writer.WriteFixed64(MetricFields.HistogramTime, 10);
            foreach (var count in histogram.BucketCounts)
            {
                writer.WriteFixed64(MetricFields.HistogramBucketCounts, count);
            }

            foreach (var bound in histogram.ExplicitBounds)
            {
                writer.WriteFixed64(MetricFields.HistogramBounds, BitConverter.DoubleToUInt64Bits(bound));
            }
        });
        WriteMetric(writer, "e"u8, MetricFields.MetricExponentialHistogram, () =>
        {
            writer.WriteFixed64(MetricFields.ExponentialTime, 10);
            var positive = writer.Begin(MetricFields.ExponentialPositive);
            foreach (var count in exponential.Positive.BucketCounts)
            {
                writer.WriteVarint(MetricFields.BucketsCounts, count);
            }

            writer.End(positive);
        });
        writer.End(scope);
        writer.End(resource);

        Assert.Equal(packed, ExportMetricsServiceRequest.Parser.ParseFrom(writer.Written));
        Assert.Equal(Rows(packed.ToByteArray()), Rows(writer.Written));
    }

    /// <summary>A metric of one point, whose fields <paramref name="writeFields"/> writes.</summary>
    private static void WriteMetric(ProtobufWriter writer, ReadOnlySpan<byte> name, int type, Action writeFields)
    {
        var metric = writer.Begin(ExportFields.ScopeRecords);
        writer.WriteBytes(MetricFields.MetricName, name);
        var data = writer.Begin(type);
        var point = writer.Begin(MetricFields.DataPoints);
        writeFields();
        writer.End(point);
        writer.End(data);
        writer.End(metric);
    }

    /// <summary>The rows of the two points, as they are copied into the table.</summary>
    private string Rows(ReadOnlySpan<byte> body)
    {
        using var batch = _decoding.Decode(Signal.MetricPoints, body).Batch!;
        Assert.Equal(2, batch.RecordCount);
        return Convert.ToHexString(Assert.Single(batch.Days).Rows.Written.Span);
    }
}
