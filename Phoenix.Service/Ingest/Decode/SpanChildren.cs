using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>The JSON columns of a span beside its attributes: events, links and the rare fields.</summary>
internal static class SpanChildren
{
    /// <summary>
    /// Column <c>events</c>: an array of {name, time_ns, attributes, dropped_attributes_count?}, or NULL. False: malformed.
    /// </summary>
    public static bool TryWriteEvents(CopyRows rows, ReadOnlySpan<byte> span, List<Slice> events, AttributeUse use)
    {
        if (events.Count == 0)
        {
            rows.WriteNull();
            return true;
        }

        var field = rows.BeginField();
        for (var i = 0; i < events.Count; i++)
        {
            AttributeJson.WriteRaw(rows, i == 0 ? "[{\"name\":"u8 : ",{\"name\":"u8);
            if (!TryWriteEvent(rows, span.Slice(events[i].Start, events[i].Length), use))
            {
                return false;
            }
        }

        AttributeJson.WriteRaw(rows, "]"u8);
        rows.EndField(field);
        return true;
    }

    /// <summary>
    /// Column <c>links</c>: an array of {trace_id, span_id, trace_state?, flags?, attributes, dropped_attributes_count?}, or NULL; ids as
    /// the hex of the bytes sent. False: malformed.
    /// </summary>
    public static bool TryWriteLinks(CopyRows rows, ReadOnlySpan<byte> span, List<Slice> links, AttributeUse use)
    {
        if (links.Count == 0)
        {
            rows.WriteNull();
            return true;
        }

        var field = rows.BeginField();
        for (var i = 0; i < links.Count; i++)
        {
            AttributeJson.WriteRaw(rows, i == 0 ? "[{\"trace_id\":"u8 : ",{\"trace_id\":"u8);
            if (!TryWriteLink(rows, span.Slice(links[i].Start, links[i].Length), use))
            {
                return false;
            }
        }

        AttributeJson.WriteRaw(rows, "]"u8);
        rows.EndField(field);
        return true;
    }

    /// <summary>
    /// Column <c>extra</c>: an object of the fields few spans have, or NULL. Of values that do not fit their column the original is here:
    /// an unknown kind or status code, and an end before the start.
    /// </summary>
    public static void WriteExtra(CopyRows rows, in SpanFields fields, SpanScratch scratch)
    {
        var dropped = fields.DroppedAttributes + (ulong)scratch.ExcessAttributes;
        var droppedEvents = fields.DroppedEvents + (ulong)scratch.ExcessEvents;
        var droppedLinks = fields.DroppedLinks + (ulong)scratch.ExcessLinks;
        var oddKind = fields.Kind is < 0 or > 5;
        var oddStatus = fields.StatusCode is < 0 or > 2;
        var oddEnd = fields.EndNanos < fields.StartNanos;
        if ((fields.Flags | dropped | droppedEvents | droppedLinks) == 0 && !oddKind && !oddStatus && !oddEnd)
        {
            rows.WriteNull();
            return;
        }

        var field = rows.BeginField();
        var separator = "{\""u8;
        WriteNumber(rows, ref separator, "flags\":"u8, fields.Flags);
        WriteNumber(rows, ref separator, "dropped_attributes_count\":"u8, dropped);
        WriteNumber(rows, ref separator, "dropped_events_count\":"u8, droppedEvents);
        WriteNumber(rows, ref separator, "dropped_links_count\":"u8, droppedLinks);
        if (oddKind)
        {
            WriteName(rows, ref separator, "kind\":"u8);
            AttributeJson.WriteInt(rows, fields.Kind);
        }

        if (oddStatus)
        {
            WriteName(rows, ref separator, "status_code\":"u8);
            AttributeJson.WriteInt(rows, fields.StatusCode);
        }

        if (oddEnd)
        {
            WriteName(rows, ref separator, "end_time_unix_nano\":"u8);
            AttributeJson.WriteUInt(rows, fields.EndNanos);
        }

        AttributeJson.WriteRaw(rows, "}"u8);
        rows.EndField(field);
    }

    private static bool TryWriteEvent(CopyRows rows, ReadOnlySpan<byte> message, AttributeUse use)
    {
        ReadOnlySpan<byte> name = default;
        ulong time = 0, dropped = 0;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (TraceFields.EventTime << 3) | WireType.Fixed64 => reader.TryReadFixed64(out time),
                    (TraceFields.EventName << 3) | WireType.Bytes => reader.TryReadBytes(out name),
                    (TraceFields.EventDroppedAttributesCount << 3) | WireType.Varint => reader.TryReadVarint(out dropped),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        use.WriteString(rows, default, name);
        AttributeJson.WriteRaw(rows, ",\"time_ns\":"u8);
        AttributeJson.WriteUInt(rows, time);
        return TryWriteAttributes(rows, message, TraceFields.EventAttributes, (uint)dropped, use);
    }

    private static bool TryWriteLink(CopyRows rows, ReadOnlySpan<byte> message, AttributeUse use)
    {
        ReadOnlySpan<byte> traceId = default, spanId = default, traceState = default;
        ulong dropped = 0;
        uint flags = 0;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (TraceFields.LinkTraceId << 3) | WireType.Bytes => reader.TryReadBytes(out traceId),
                    (TraceFields.LinkSpanId << 3) | WireType.Bytes => reader.TryReadBytes(out spanId),
                    (TraceFields.LinkTraceState << 3) | WireType.Bytes => reader.TryReadBytes(out traceState),
                    (TraceFields.LinkDroppedAttributesCount << 3) | WireType.Varint => reader.TryReadVarint(out dropped),
                    (TraceFields.LinkFlags << 3) | WireType.Fixed32 => reader.TryReadFixed32(out flags),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        AttributeJson.WriteHex(rows, traceId);
        AttributeJson.WriteRaw(rows, ",\"span_id\":"u8);
        AttributeJson.WriteHex(rows, spanId);
        if (!traceState.IsEmpty)
        {
            AttributeJson.WriteRaw(rows, ",\"trace_state\":"u8);
            use.WriteString(rows, default, traceState);
        }

        if (flags != 0)
        {
            AttributeJson.WriteRaw(rows, ",\"flags\":"u8);
            AttributeJson.WriteUInt(rows, flags);
        }

        return TryWriteAttributes(rows, message, TraceFields.LinkAttributes, (uint)dropped, use);
    }

    private static bool TryWriteAttributes(CopyRows rows, ReadOnlySpan<byte> message, int field, uint dropped, AttributeUse use)
    {
        AttributeJson.WriteRaw(rows, ",\"attributes\":"u8);
        if (!AttributeJson.TryWriteObject(rows, message, field, use, out var excess))
        {
            return false;
        }

        var left = dropped + (ulong)excess;
        if (left != 0)
        {
            AttributeJson.WriteRaw(rows, ",\"dropped_attributes_count\":"u8);
            AttributeJson.WriteUInt(rows, left);
        }

        AttributeJson.WriteRaw(rows, "}"u8);
        return true;
    }

    private static void WriteNumber(CopyRows rows, ref ReadOnlySpan<byte> separator, ReadOnlySpan<byte> name, ulong value)
    {
        if (value != 0)
        {
            WriteName(rows, ref separator, name);
            AttributeJson.WriteUInt(rows, value);
        }
    }

    private static void WriteName(CopyRows rows, ref ReadOnlySpan<byte> separator, ReadOnlySpan<byte> name)
    {
        AttributeJson.WriteRaw(rows, separator);
        separator = ",\""u8;
        AttributeJson.WriteRaw(rows, name);
    }
}
