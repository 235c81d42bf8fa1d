using System.Buffers.Text;
using System.Globalization;
using System.Runtime.CompilerServices;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// AnyValue messages as JSON text, written straight into a COPY field. string, bool, int64 → their JSON forms; double → always with '.' or
/// an exponent; NaN and the infinities → <c>{"$double":"NaN"}</c>; bytes → <c>{"$bytes":"base64"}</c>; array → array; kvlist → object;
/// empty → null. Values nested deeper than <see cref="MaxDepth"/> become <c>{"$truncated":"depth"}</c>, and a kvlist of too many members
/// ends in <c>"$truncated":"members"</c>.
/// </summary>
internal static class AttributeJson
{
    /// <summary>
    /// Deepest nesting of lists inside one attribute; System.Text.Json readers stop at 64 levels by default, and documents wrap attributes.
    /// </summary>
    public const int MaxDepth = 32;

    /// <summary>One AnyValue message, the value of <paramref name="key"/>. False when it breaks the encoding.</summary>
    public static bool TryWriteValue(CopyRows rows, ReadOnlySpan<byte> key, ReadOnlySpan<byte> message, AttributeUse use) =>
        AnyValue.TryRead(message, out var value) && TryWriteValue(rows, key, value, 0, use);

    /// <summary>One AnyValue already read. False when a list inside it breaks the encoding.</summary>
    public static bool TryWriteValue(CopyRows rows, ReadOnlySpan<byte> key, in AnyValue value, AttributeUse use) =>
        TryWriteValue(rows, key, value, 0, use);

    /// <summary>
    /// The repeated KeyValue <paramref name="field"/> of <paramref name="message"/> as one flat JSON object (<c>{}</c> when there is none);
    /// of a repeated key the last value stays, and of too many entries (<paramref name="excess"/>) the first. False when the message breaks
    /// the encoding.
    /// </summary>
    public static bool TryWriteObject(CopyRows rows, ReadOnlySpan<byte> message, int field, AttributeUse use, out int excess) =>
        TryWriteObject(rows, message, field, 0, use, out excess);

    /// <summary>
    /// One member, <c>,"key":value</c>, as redaction lets it through, of an object that <see cref="CloseObject"/> closes. False when the
    /// value breaks the encoding.
    /// </summary>
    public static bool TryWriteMember(CopyRows rows, AttributeKey key, ReadOnlySpan<byte> message, AttributeUse use) =>
        TryWriteMember(rows, key, message, 0, use);

    /// <summary>
    /// Makes the members written since the position <paramref name="start"/>, each with a comma before it, an object: its brace takes the
    /// place of the first comma.
    /// </summary>
    public static void CloseObject(CopyRows rows, int start)
    {
        if (rows.Position == start)
        {
            WriteRaw(rows, "{"u8);
        }
        else
        {
            rows.Replace(start, (byte)'{');
        }

        WriteRaw(rows, "}"u8);
    }

    /// <summary>Text that is JSON already.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void WriteRaw(CopyRows rows, ReadOnlySpan<byte> json)
    {
        json.CopyTo(rows.Reserve(json.Length));
        rows.Advance(json.Length);
    }

    /// <summary>A JSON integer.</summary>
    public static void WriteInt(CopyRows rows, long value)
    {
        Utf8Formatter.TryFormat(value, rows.Reserve(20), out var written);
        rows.Advance(written);
    }

    /// <summary>A JSON integer.</summary>
    public static void WriteUInt(CopyRows rows, ulong value)
    {
        Utf8Formatter.TryFormat(value, rows.Reserve(20), out var written);
        rows.Advance(written);
    }

    /// <summary>A double as described on the type.</summary>
    public static void WriteDouble(CopyRows rows, double value)
    {
        if (!double.IsFinite(value))
        {
            WriteRaw(rows, double.IsNaN(value) ? """{"$double":"NaN"}"""u8
                : value > 0 ? """{"$double":"Infinity"}"""u8 : """{"$double":"-Infinity"}"""u8);
            return;
        }

        var room = rows.Reserve(34);
        value.TryFormat(room, out var written, default, CultureInfo.InvariantCulture);
        if (room[..written].IndexOfAny((byte)'.', (byte)'E') < 0)
        {
            ".0"u8.CopyTo(room[written..]);
            written += 2;
        }

        rows.Advance(written);
    }

    /// <summary>Lower-case hex with quotes, as ids are shown.</summary>
    public static void WriteHex(CopyRows rows, ReadOnlySpan<byte> bytes)
    {
        var room = rows.Reserve((bytes.Length * 2) + 2);
        room[0] = (byte)'"';
        Convert.TryToHexStringLower(bytes, room[1..], out var written);
        room[written + 1] = (byte)'"';
        rows.Advance(written + 2);
    }

    private static bool TryWriteValue(CopyRows rows, ReadOnlySpan<byte> key, in AnyValue value, int depth, AttributeUse use)
    {
        switch (value.Kind)
        {
            case AnyValueKind.String:
                use.WriteString(rows, key, value.Data);
                return true;
            case AnyValueKind.Int:
                WriteInt(rows, value.Int);
                return true;
            case AnyValueKind.Double:
                WriteDouble(rows, value.Double);
                return true;
            case AnyValueKind.Bool:
                WriteRaw(rows, value.Bits != 0 ? "true"u8 : "false"u8);
                return true;
            case AnyValueKind.Bytes:
                var bytes = use.CutBytes(value.Data);
                WriteRaw(rows, "{\"$bytes\":\""u8);
                Base64.EncodeToUtf8(bytes, rows.Reserve(Base64.GetMaxEncodedToUtf8Length(bytes.Length)), out _, out var written);
                rows.Advance(written);
                WriteRaw(rows, "\"}"u8);
                return true;
            case AnyValueKind.Array or AnyValueKind.KeyValueList when depth >= MaxDepth:
                WriteRaw(rows, """{"$truncated":"depth"}"""u8);
                return true;
            case AnyValueKind.Array:
                return TryWriteArray(rows, key, value.Data, depth + 1, use);
            case AnyValueKind.KeyValueList:
                return TryWriteObject(rows, value.Data, CommonFields.KeyValueListValues, depth + 1, use, out _);
            default:
                WriteRaw(rows, "null"u8);
                return true;
        }
    }

    private static bool TryWriteArray(CopyRows rows, ReadOnlySpan<byte> key, ReadOnlySpan<byte> array, int depth, AttributeUse use)
    {
        var reader = new ProtobufReader(array);
        var separator = "["u8;
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            if (tag != ((CommonFields.ArrayValues << 3) | WireType.Bytes))
            {
                if (!reader.TrySkip(tag))
                {
                    return false;
                }

                continue;
            }

            WriteRaw(rows, separator);
            separator = ","u8;
            if (!reader.TryReadBytes(out var element) || !AnyValue.TryRead(element, out var value)
                || !TryWriteValue(rows, key, value, depth, use))
            {
                return false;
            }
        }

        WriteRaw(rows, separator[0] == '[' ? "[]"u8 : "]"u8);
        return true;
    }

    private static bool TryWriteObject(CopyRows rows, ReadOnlySpan<byte> message, int field, int depth, AttributeUse use, out int excess)
    {
        using var entries = new KeyValueList(use.Policy.MaxAttributes);
        var read = entries.TryRead(message, field);
        excess = entries.Excess;
        if (!read)
        {
            return false;
        }

        var start = rows.Position;
        for (var i = 0; i < entries.Count; i++)
        {
            if (!entries.IsOverwritten(i)
                && !TryWriteMember(rows, use.Policy.Keys.Get(entries.Key(message, i)), entries.Value(message, i), depth, use))
            {
                return false;
            }
        }

        // A record has a count for what was dropped; a value inside of one has not.
        if (depth > 0 && excess > 0)
        {
            WriteRaw(rows, ",\"$truncated\":\"members\""u8);
        }

        CloseObject(rows, start);
        return true;
    }

    private static bool TryWriteMember(CopyRows rows, AttributeKey key, ReadOnlySpan<byte> message, int depth, AttributeUse use)
    {
        if (key.Redaction is { } redaction)
        {
            return TryWriteRedacted(rows, key, redaction, message, use);
        }

        key.WriteTo(rows);
        use.Repaired += key.Repaired ? 1 : 0;
        if (AnyValue.TryReadText(message, out var text))
        {
            use.WriteString(rows, key.Utf8, text);
            return true;
        }

        return AnyValue.TryRead(message, out var value) && TryWriteValue(rows, key.Utf8, value, depth, use);
    }

    private static bool TryWriteRedacted(
        CopyRows rows, AttributeKey key, KeyRedaction redaction, ReadOnlySpan<byte> message, AttributeUse use)
    {
        if (!AnyValue.TryRead(message, out var value))
        {
            return false;
        }

        use.Redacted = true;
        if (redaction.Action == RedactionAction.Drop)
        {
            use.Policy.Redactor.CountDropped(redaction);
            return true;
        }

        key.WriteTo(rows);
        JsonText.WriteString(rows, use.Policy.Redactor.Replace(redaction, value.Kind == AnyValueKind.String ? value.Data : message));
        return true;
    }
}
