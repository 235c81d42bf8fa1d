using Microsoft.Extensions.Options;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Protobuf bytes of one ExportMetricsServiceRequest to a <see cref="TelemetryBatch"/>: every data point of every metric type is one row,
/// of the series that its resource, scope, metric and attributes name. Safe for any number of threads.
/// </summary>
internal sealed class MetricDecoder(
    ProjectLookup projects, ResourceInterner interner, SeriesInterner series, AttributePolicy policy, IOptions<DecodeOptions> options)
{
    /// <summary>Decodes one body; <paramref name="projectOverride"/> is the header x-project-name and wins over the resources.</summary>
    public DecodeResult Decode(
        ReadOnlySpan<byte> protobufBody, string? projectOverride, int newProjects = RecordRequest.MaxNewProjects)
    {
        var use = new AttributeUse(policy);
        var result = new MetricRequest(new TelemetryBatch(Signal.MetricPoints), projects, interner, series,
            options.Value, projectOverride, use)
            .Decode(protobufBody, newProjects);
        use.ReportOf(result);
        return result;
    }

    /// <summary>One request's metrics.</summary>
    private sealed class MetricRequest(
        TelemetryBatch batch, ProjectLookup projects, ResourceInterner interner, SeriesInterner series,
        DecodeOptions options, string? projectOverride,
        AttributeUse use)
        : RecordRequest(batch, projects, interner, options, projectOverride, "metrics")
    {
        private readonly HashSet<long> _series = [];
        private SeriesHead _head = null!;

        protected override bool TryDecodeRecord(ReadOnlySpan<byte> message)
        {
            var metric = default(MetricHeader);
            if (!metric.TryRead(message))
            {
                return false;
            }

            _head = SeriesInterner.HeadOf(ProjectId, Resource.Row.Id, Scope.Id, metric);
            var index = 0;
            var reader = new ProtobufReader(metric.Data);
            while (!reader.AtEnd)
            {
                reader.TryReadTag(out var tag);
                if (tag != ((MetricFields.DataPoints << 3) | WireType.Bytes))
                {
                    reader.TrySkip(tag);
                    continue;
                }

                reader.TryReadBytes(out var point);
                var leftOut = Batch.LeftOutCount;
                if (!TryDecodePoint(metric, point, index++))
                {
                    return false;
                }

                if (Batch.LeftOutCount != leftOut)
                {
                    LeaveOut(message, point);
                }
            }

            return true;
        }

        private bool TryDecodePoint(in MetricHeader metric, ReadOnlySpan<byte> message, int index)
        {
            var point = default(PointFields);
            if (!point.TryRead(metric.Type, message))
            {
                return false;
            }

            if (metric.Name.IsEmpty)
            {
                Reject("name must not be empty");
                return true;
            }

            if (point.Fault(metric.Type) is { } fault)
            {
                Reject($"data_points[{index}]: {fault}");
                return true;
            }

            if (!Takes((long)point.TimeNanos, "time_unix_nano"))
            {
                return true;
            }

            if (series.Find(_head, metric, message, PointFields.AttributesField(metric.Type)) is not { } found)
            {
                return false;
            }

            if (_series.Add(found.Id))
            {
                Batch.Series.Add(found);
                Spend(found.ByteCount);
            }

            var rows = RowsFor((long)point.TimeNanos);
            rows.StartRow(MetricPointColumns.Count);
            rows.Write(found.Id);
            rows.Write((long)point.TimeNanos);
            WriteOptional(rows, (long)point.StartNanos, point.StartNanos is > 0 and <= long.MaxValue);
            if (point.HasInt || point.HasDouble)
            {
                rows.Write(point.HasInt ? point.Int : point.Double);
            }
            else
            {
                rows.WriteNull();
            }

            WriteOptional(rows, point.Int, point.HasInt);
            WriteOptional(rows, (long)point.Count, metric.Type is not (MetricType.Gauge or MetricType.Sum));
            if (!MetricPayload.TryWrite(rows, metric.Type, point, message, use))
            {
                return false;
            }

            rows.Write((int)point.Flags);
            rows.EndRow();
            return true;
        }

        private static void WriteOptional(CopyRows rows, long value, bool isSet)
        {
            if (isSet)
            {
                rows.Write(value);
            }
            else
            {
                rows.WriteNull();
            }
        }
    }
}

/// <summary>The column <c>metric_series.type</c>.</summary>
internal enum MetricType : short
{
    /// <summary>No data was sent.</summary>
    None,
    Gauge,
    Sum,
    Histogram,
    ExponentialHistogram,
    Summary,
}

/// <summary>The fields of one Metric message beside its points.</summary>
internal ref struct MetricHeader
{
    public ReadOnlySpan<byte> Name;
    public ReadOnlySpan<byte> Description;
    public ReadOnlySpan<byte> Unit;
    public MetricType Type;

    /// <summary>The message of the type: points, temporality, monotonicity.</summary>
    public ReadOnlySpan<byte> Data;
    public short Temporality;
    public bool Monotonic;

    /// <summary>
    /// Reads the Metric <paramref name="message"/>; false when it or its data breaks the encoding. Of several data the last one counts.
    /// </summary>
    public bool TryRead(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            var type = tag switch
            {
                (MetricFields.MetricGauge << 3) | WireType.Bytes => MetricType.Gauge,
                (MetricFields.MetricSum << 3) | WireType.Bytes => MetricType.Sum,
                (MetricFields.MetricHistogram << 3) | WireType.Bytes => MetricType.Histogram,
                (MetricFields.MetricExponentialHistogram << 3) | WireType.Bytes => MetricType.ExponentialHistogram,
                (MetricFields.MetricSummary << 3) | WireType.Bytes => MetricType.Summary,
                _ => MetricType.None,
            };
            if (type != MetricType.None)
            {
                Type = type;
                if (!reader.TryReadBytes(out Data))
                {
                    return false;
                }
            }
            else if (!(tag switch
            {
                (MetricFields.MetricName << 3) | WireType.Bytes => reader.TryReadBytes(out Name),
                (MetricFields.MetricDescription << 3) | WireType.Bytes => reader.TryReadBytes(out Description),
                (MetricFields.MetricUnit << 3) | WireType.Bytes => reader.TryReadBytes(out Unit),
                _ => reader.TrySkip(tag),
            }))
            {
                return false;
            }
        }

        return TryReadData();
    }

    private bool TryReadData()
    {
        ulong temporality = 0, monotonic = 0;
        var reader = new ProtobufReader(Data);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (MetricFields.DataTemporality << 3) | WireType.Varint => reader.TryReadVarint(out temporality),
                    (MetricFields.SumMonotonic << 3) | WireType.Varint => reader.TryReadVarint(out monotonic),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        Temporality = temporality is 1 or 2 ? (short)temporality : (short)0;
        Monotonic = monotonic != 0 && Type == MetricType.Sum;
        return true;
    }
}
