using System.Buffers.Binary;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// The column <c>metric_points.payload</c>: a JSON object of what a point has beside its number. Histogram: bucket_counts, bounds, min,
/// max. Exponential histogram: scale, zero_count, zero_threshold, positive and negative {offset, counts}, min, max. Summary: quantiles
/// [[quantile, value]]. Any of the first four types: exemplars [{time_ns, value, trace_id?, span_id?, attributes?}], the first
/// <see cref="MaxItems"/> of them. NULL when there is nothing to say.
/// </summary>
internal static class MetricPayload
{
    /// <summary>Most exemplars or quantiles of one point that are kept: one of two bytes takes forty here.</summary>
    public const int MaxItems = 4096;

    /// <summary>Writes the field; false when a list in <paramref name="message"/> breaks the encoding.</summary>
    public static bool TryWrite(CopyRows rows, MetricType type, in PointFields point, ReadOnlySpan<byte> message, AttributeUse use)
    {
        if (!point.HasExemplars && type is MetricType.Gauge or MetricType.Sum)
        {
            rows.WriteNull();
            return true;
        }

        var field = rows.BeginField();
        var separator = "{\""u8;
        var written = type switch
        {
            MetricType.Histogram => TryWriteHistogram(rows, point, message, ref separator),
            MetricType.ExponentialHistogram => TryWriteExponential(rows, point, message, ref separator),
            MetricType.Summary => TryWriteQuantiles(rows, message, ref separator),
            _ => true,
        };
        if (!written || (point.HasExemplars && !TryWriteExemplars(rows, type, message, use, ref separator)))
        {
            return false;
        }

        AttributeJson.WriteRaw(rows, separator[0] == '{' ? "{}"u8 : "}"u8);
        rows.EndField(field);
        return true;
    }

    /// <summary>A sint32 from its varint.</summary>
    public static int ZigZag(ulong value) => (int)((uint)value >> 1) ^ -(int)((uint)value & 1);

    private static bool TryWriteHistogram(CopyRows rows, in PointFields point, ReadOnlySpan<byte> message, ref ReadOnlySpan<byte> separator)
    {
        if (point.BucketCounts > 0)
        {
            Name(rows, ref separator, "bucket_counts\":["u8);
            WriteFixed64s(rows, message, MetricFields.HistogramBucketCounts, isDouble: false);
            Name(rows, ref separator, "bounds\":["u8);
            WriteFixed64s(rows, message, MetricFields.HistogramBounds, isDouble: true);
        }

        WriteExtremes(rows, point, ref separator);
        return true;
    }

    private static bool TryWriteExponential(CopyRows rows, in PointFields point, ReadOnlySpan<byte> message,
        ref ReadOnlySpan<byte> separator)
    {
        Name(rows, ref separator, "scale\":"u8);
        AttributeJson.WriteInt(rows, point.Scale);
        Name(rows, ref separator, "zero_count\":"u8);
        AttributeJson.WriteUInt(rows, point.ZeroCount);
        Name(rows, ref separator, "zero_threshold\":"u8);
        AttributeJson.WriteDouble(rows, point.ZeroThreshold);
        ReadOnlySpan<byte> positive = default, negative = default;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (MetricFields.ExponentialPositive << 3) | WireType.Bytes => reader.TryReadBytes(out positive),
                    (MetricFields.ExponentialNegative << 3) | WireType.Bytes => reader.TryReadBytes(out negative),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        Name(rows, ref separator, "positive\":"u8);
        if (!TryWriteBuckets(rows, positive))
        {
            return false;
        }

        Name(rows, ref separator, "negative\":"u8);
        if (!TryWriteBuckets(rows, negative))
        {
            return false;
        }

        WriteExtremes(rows, point, ref separator);
        return true;
    }

    private static bool TryWriteBuckets(CopyRows rows, ReadOnlySpan<byte> message)
    {
        ulong offset = 0;
        AttributeJson.WriteRaw(rows, "{\"counts\":"u8);
        var separator = "["u8;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            switch (tag)
            {
                case (MetricFields.BucketsOffset << 3) | WireType.Varint:
                    if (!reader.TryReadVarint(out offset))
                    {
                        return false;
                    }

                    break;
                case (MetricFields.BucketsCounts << 3) | WireType.Varint:
                    if (!reader.TryReadVarint(out var count))
                    {
                        return false;
                    }

                    WriteCount(rows, ref separator, count);
                    break;
                case (MetricFields.BucketsCounts << 3) | WireType.Bytes:
                    if (!reader.TryReadBytes(out var packed))
                    {
                        return false;
                    }

                    var counts = new ProtobufReader(packed);
                    while (!counts.AtEnd)
                    {
                        if (!counts.TryReadVarint(out count))
                        {
                            return false;
                        }

                        WriteCount(rows, ref separator, count);
                    }

                    break;
                default:
                    if (!reader.TrySkip(tag))
                    {
                        return false;
                    }

                    break;
            }
        }

        AttributeJson.WriteRaw(rows, separator[0] == '[' ? "[],\"offset\":"u8 : "],\"offset\":"u8);
        AttributeJson.WriteInt(rows, ZigZag(offset));
        AttributeJson.WriteRaw(rows, "}"u8);
        return true;
    }

    private static void WriteCount(CopyRows rows, ref ReadOnlySpan<byte> separator, ulong count)
    {
        AttributeJson.WriteRaw(rows, separator);
        separator = ","u8;
        AttributeJson.WriteUInt(rows, count);
    }

    private static bool TryWriteQuantiles(CopyRows rows, ReadOnlySpan<byte> message, ref ReadOnlySpan<byte> separator)
    {
        Name(rows, ref separator, "quantiles\":"u8);
        var opening = "[["u8;
        var left = MaxItems;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != ((MetricFields.SummaryQuantiles << 3) | WireType.Bytes) || left-- <= 0)
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var quantile);
            ulong at = 0, value = 0;
            var inner = new ProtobufReader(quantile);
            while (!inner.AtEnd)
            {
                if (!inner.TryReadTag(out var innerTag)
                    || !(innerTag switch
                    {
                        (MetricFields.QuantileQuantile << 3) | WireType.Fixed64 => inner.TryReadFixed64(out at),
                        (MetricFields.QuantileValue << 3) | WireType.Fixed64 => inner.TryReadFixed64(out value),
                        _ => inner.TrySkip(innerTag),
                    }))
                {
                    return false;
                }
            }

            AttributeJson.WriteRaw(rows, opening);
            opening = ",["u8;
            AttributeJson.WriteDouble(rows, BitConverter.UInt64BitsToDouble(at));
            AttributeJson.WriteRaw(rows, ","u8);
            AttributeJson.WriteDouble(rows, BitConverter.UInt64BitsToDouble(value));
            AttributeJson.WriteRaw(rows, "]"u8);
        }

        AttributeJson.WriteRaw(rows, opening[0] == '[' ? "[]"u8 : "]"u8);
        return true;
    }

    private static bool TryWriteExemplars(
        CopyRows rows, MetricType type, ReadOnlySpan<byte> message, AttributeUse use, ref ReadOnlySpan<byte> separator)
    {
        var field = type switch
        {
            MetricType.Histogram => MetricFields.HistogramExemplars,
            MetricType.ExponentialHistogram => MetricFields.ExponentialExemplars,
            _ => MetricFields.NumberExemplars,
        };
        Name(rows, ref separator, "exemplars\":"u8);
        var opening = "["u8;
        var left = MaxItems;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != (((uint)field << 3) | WireType.Bytes) || left-- <= 0)
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var exemplar);
            AttributeJson.WriteRaw(rows, opening);
            opening = ","u8;
            if (!TryWriteExemplar(rows, exemplar, use))
            {
                return false;
            }
        }

        AttributeJson.WriteRaw(rows, "]"u8);
        return true;
    }

    private static bool TryWriteExemplar(CopyRows rows, ReadOnlySpan<byte> message, AttributeUse use)
    {
        ReadOnlySpan<byte> traceId = default, spanId = default;
        ulong time = 0, number = 0;
        var isInt = false;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (MetricFields.ExemplarTime << 3) | WireType.Fixed64 => reader.TryReadFixed64(out time),
                    (MetricFields.ExemplarDouble << 3) | WireType.Fixed64 or (MetricFields.ExemplarInt << 3) | WireType.Fixed64 =>
                        reader.TryReadFixed64(out number),
                    (MetricFields.ExemplarTraceId << 3) | WireType.Bytes => reader.TryReadBytes(out traceId),
                    (MetricFields.ExemplarSpanId << 3) | WireType.Bytes => reader.TryReadBytes(out spanId),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }

            isInt = tag switch
            {
                (MetricFields.ExemplarInt << 3) | WireType.Fixed64 => true,
                (MetricFields.ExemplarDouble << 3) | WireType.Fixed64 => false,
                _ => isInt,
            };
        }

        AttributeJson.WriteRaw(rows, "{\"time_ns\":"u8);
        AttributeJson.WriteUInt(rows, time);
        AttributeJson.WriteRaw(rows, ",\"value\":"u8);
        if (isInt)
        {
            AttributeJson.WriteInt(rows, (long)number);
        }
        else
        {
            AttributeJson.WriteDouble(rows, BitConverter.UInt64BitsToDouble(number));
        }

        if (!traceId.IsEmpty)
        {
            AttributeJson.WriteRaw(rows, ",\"trace_id\":"u8);
            AttributeJson.WriteHex(rows, traceId);
        }

        if (!spanId.IsEmpty)
        {
            AttributeJson.WriteRaw(rows, ",\"span_id\":"u8);
            AttributeJson.WriteHex(rows, spanId);
        }

        AttributeJson.WriteRaw(rows, ",\"attributes\":"u8);
        if (!AttributeJson.TryWriteObject(rows, message, MetricFields.ExemplarFilteredAttributes, use, out _))
        {
            return false;
        }

        AttributeJson.WriteRaw(rows, "}"u8);
        return true;
    }

    private static void WriteFixed64s(CopyRows rows, ReadOnlySpan<byte> message, int field, bool isDouble)
    {
        var separator = ReadOnlySpan<byte>.Empty;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag == (((uint)field << 3) | WireType.Fixed64))
            {
                reader.TryReadFixed64(out var bits);
                WriteFixed64(rows, ref separator, bits, isDouble);
            }
            else if (tag == (((uint)field << 3) | WireType.Bytes))
            {
                reader.TryReadBytes(out var packed);
                for (; packed.Length >= sizeof(ulong); packed = packed[sizeof(ulong)..])
                {
                    WriteFixed64(rows, ref separator, BinaryPrimitives.ReadUInt64LittleEndian(packed), isDouble);
                }
            }
            else
            {
                reader.TrySkip(tag);
            }
        }

        AttributeJson.WriteRaw(rows, "]"u8);
    }

    private static void WriteFixed64(CopyRows rows, ref ReadOnlySpan<byte> separator, ulong bits, bool isDouble)
    {
        AttributeJson.WriteRaw(rows, separator);
        separator = ","u8;
        if (isDouble)
        {
            AttributeJson.WriteDouble(rows, BitConverter.UInt64BitsToDouble(bits));
        }
        else
        {
            AttributeJson.WriteUInt(rows, bits);
        }
    }

    private static void WriteExtremes(CopyRows rows, in PointFields point, ref ReadOnlySpan<byte> separator)
    {
        if (point.HasMin)
        {
            Name(rows, ref separator, "min\":"u8);
            AttributeJson.WriteDouble(rows, point.Min);
        }

        if (point.HasMax)
        {
            Name(rows, ref separator, "max\":"u8);
            AttributeJson.WriteDouble(rows, point.Max);
        }
    }

    private static void Name(CopyRows rows, ref ReadOnlySpan<byte> separator, ReadOnlySpan<byte> name)
    {
        AttributeJson.WriteRaw(rows, separator);
        separator = ",\""u8;
        AttributeJson.WriteRaw(rows, name);
    }
}
