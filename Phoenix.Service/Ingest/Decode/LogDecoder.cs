using System.Buffers.Binary;
using Microsoft.Extensions.Options;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Protobuf bytes of one ExportLogsServiceRequest to a <see cref="TelemetryBatch"/>. Safe for any number of threads.</summary>
internal sealed class LogDecoder(
    ProjectLookup projects, ResourceInterner interner, AttributePolicy policy, IOptions<DecodeOptions> options, TimeProvider time)
{
    /// <summary>Decodes one body; <paramref name="projectOverride"/> is the header x-project-name and wins over the resources.</summary>
    public DecodeResult Decode(
        ReadOnlySpan<byte> protobufBody, string? projectOverride, int newProjects = RecordRequest.MaxNewProjects)
    {
        var received = (time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
        var use = new AttributeUse(policy);
        var result = new LogRequest(new TelemetryBatch(Signal.Logs), projects, interner, options.Value, projectOverride,
            received, use).Decode(protobufBody, newProjects);
        use.ReportOf(result);
        return result;
    }

    /// <summary>One request's log records.</summary>
    private sealed class LogRequest(
        TelemetryBatch batch, ProjectLookup projects, ResourceInterner interner, DecodeOptions options,
        string? projectOverride, long receivedNanos,
        AttributeUse use)
        : RecordRequest(batch, projects, interner, options, projectOverride, "logs")
    {
        protected override bool TryDecodeRecord(ReadOnlySpan<byte> message)
        {
            var fields = default(LogRecordFields);
            if (!fields.TryRead(message))
            {
                return false;
            }

            if (fields.TimeNanos > long.MaxValue || fields.ObservedNanos > long.MaxValue)
            {
                Reject("time_unix_nano and observed_time_unix_nano must lie before the year 2262");
                return true;
            }

            // A record without any time is one observed now (logs data model, field ObservedTimestamp).
            var observed = fields.ObservedNanos != 0 || fields.TimeNanos != 0 ? (long)fields.ObservedNanos : receivedNanos;
            var nanos = fields.TimeNanos != 0 ? (long)fields.TimeNanos : observed;
            if (!Takes(nanos, "time_unix_nano"))
            {
                return true;
            }

            var rows = RowsFor(nanos);
            rows.StartRow(LogColumns.Count);
            rows.Write(ProjectId);
            rows.Write(nanos);
            if (observed != 0)
            {
                rows.Write(observed);
            }
            else
            {
                rows.WriteNull();
            }

            // An id of a wrong length, or all zero, names nothing (trace context): the record itself is sound.
            if (fields.TraceId.Length == 16 && fields.TraceId.IndexOfAnyExcept((byte)0) >= 0)
            {
                rows.WriteBytes(fields.TraceId);
            }
            else
            {
                rows.WriteNull();
            }

            if (fields.SpanId.Length == 8 && BinaryPrimitives.ReadInt64BigEndian(fields.SpanId) is not 0 and var spanId)
            {
                rows.Write(spanId);
            }
            else
            {
                rows.WriteNull();
            }

            rows.Write(fields.Severity is >= 0 and <= 24 ? (short)fields.Severity : (short)0);
            WriteText(rows, fields.SeverityText);
            WriteText(rows, fields.EventName);
            if (!TryWriteBody(rows, fields.Body))
            {
                return false;
            }

            rows.Write(Resource.Row.Id);
            rows.Write(Scope.Id);
            var attributes = rows.BeginField();
            if (!AttributeJson.TryWriteObject(rows, message, LogFields.RecordAttributes, use, out var excess))
            {
                return false;
            }

            rows.EndField(attributes);
            rows.Write((int)fields.Flags);
            rows.Write((int)Math.Min((uint)fields.DroppedAttributes + (ulong)excess, int.MaxValue));
            rows.EndRow();
            return true;
        }

        private bool TryWriteBody(CopyRows rows, ReadOnlySpan<byte> body)
        {
            if (!AnyValue.TryRead(body, out var value))
            {
                return false;
            }

            switch (value.Kind)
            {
                case AnyValueKind.Empty:
                    rows.WriteNull();
                    rows.Write(false);
                    return true;
                case AnyValueKind.String:
                    use.WriteColumn(rows, value.Data);
                    rows.Write(false);
                    return true;
                default:
                    var field = rows.BeginField();
                    if (!AttributeJson.TryWriteValue(rows, default, value, use))
                    {
                        return false;
                    }

                    rows.EndField(field);
                    rows.Write(true);
                    return true;
            }
        }

        private void WriteText(CopyRows rows, ReadOnlySpan<byte> text)
        {
            if (text.IsEmpty)
            {
                rows.WriteNull();
            }
            else
            {
                use.WriteColumn(rows, text);
            }
        }
    }
}

/// <summary>The fields of one LogRecord message; texts and the body are slices of it.</summary>
internal ref struct LogRecordFields
{
    public ulong TimeNanos;
    public ulong ObservedNanos;
    public int Severity;
    public ReadOnlySpan<byte> SeverityText;
    public ReadOnlySpan<byte> EventName;
    public ReadOnlySpan<byte> Body;
    public ReadOnlySpan<byte> TraceId;
    public ReadOnlySpan<byte> SpanId;
    public uint Flags;
    public ulong DroppedAttributes;

    /// <summary>Reads the LogRecord <paramref name="message"/>; false when it breaks the encoding.</summary>
    public bool TryRead(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            ulong severity = 0;
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (LogFields.RecordTime << 3) | WireType.Fixed64 => reader.TryReadFixed64(out TimeNanos),
                    (LogFields.RecordObservedTime << 3) | WireType.Fixed64 => reader.TryReadFixed64(out ObservedNanos),
                    (LogFields.RecordSeverityNumber << 3) | WireType.Varint => reader.TryReadVarint(out severity),
                    (LogFields.RecordSeverityText << 3) | WireType.Bytes => reader.TryReadBytes(out SeverityText),
                    (LogFields.RecordEventName << 3) | WireType.Bytes => reader.TryReadBytes(out EventName),
                    (LogFields.RecordBody << 3) | WireType.Bytes => reader.TryReadBytes(out Body),
                    (LogFields.RecordTraceId << 3) | WireType.Bytes => reader.TryReadBytes(out TraceId),
                    (LogFields.RecordSpanId << 3) | WireType.Bytes => reader.TryReadBytes(out SpanId),
                    (LogFields.RecordFlags << 3) | WireType.Fixed32 => reader.TryReadFixed32(out Flags),
                    (LogFields.RecordDroppedAttributesCount << 3) | WireType.Varint => reader.TryReadVarint(out DroppedAttributes),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }

            if (tag == ((LogFields.RecordSeverityNumber << 3) | WireType.Varint))
            {
                Severity = (int)severity;
            }
        }

        return true;
    }
}
