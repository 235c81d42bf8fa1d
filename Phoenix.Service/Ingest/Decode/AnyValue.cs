using System.Runtime.CompilerServices;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Which member of an AnyValue is set.</summary>
internal enum AnyValueKind : byte
{
    /// <summary>None: JSON null.</summary>
    Empty,
    String,
    Bool,
    Int,
    Double,
    Array,
    KeyValueList,
    Bytes,
}

/// <summary>One AnyValue message, read one level deep: lists keep their undecoded bytes in <see cref="Data"/>.</summary>
internal ref struct AnyValue
{
    /// <summary>Which member is set; the last one wins when a sender set several.</summary>
    public AnyValueKind Kind { get; private set; }

    /// <summary>The int64 as its bits, the bool as 0 or 1, the double as its bits.</summary>
    public ulong Bits { get; private set; }

    /// <summary>Text, bytes, or the undecoded ArrayValue or KeyValueList.</summary>
    public ReadOnlySpan<byte> Data { get; private set; }

    /// <summary>The int64 member.</summary>
    public readonly long Int => (long)Bits;

    /// <summary>The double member.</summary>
    public readonly double Double => BitConverter.UInt64BitsToDouble(Bits);

    /// <summary>A string.</summary>
    public static AnyValue OfText(ReadOnlySpan<byte> utf8) => new() { Kind = AnyValueKind.String, Data = utf8 };

    /// <summary>Reads the AnyValue <paramref name="message"/>; false when it breaks the encoding.</summary>
    public static bool TryRead(ReadOnlySpan<byte> message, out AnyValue value)
    {
        // Set field by field: a copy of the whole would wait for the stores of its parts.
        value = default;
        if (TryReadText(message, out var text))
        {
            value.Kind = AnyValueKind.String;
            value.Data = text;
            return true;
        }

        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            ulong bits = 0;
            ReadOnlySpan<byte> data = default;
            bool ok;
            AnyValueKind kind;
            switch (tag)
            {
                case (CommonFields.AnyString << 3) | WireType.Bytes:
                    (ok, kind) = (reader.TryReadBytes(out data), AnyValueKind.String);
                    break;
                case (CommonFields.AnyBool << 3) | WireType.Varint:
                    (ok, kind) = (reader.TryReadVarint(out bits), AnyValueKind.Bool);
                    bits = bits == 0 ? 0ul : 1ul;
                    break;
                case (CommonFields.AnyInt << 3) | WireType.Varint:
                    (ok, kind) = (reader.TryReadVarint(out bits), AnyValueKind.Int);
                    break;
                case (CommonFields.AnyDouble << 3) | WireType.Fixed64:
                    (ok, kind) = (reader.TryReadFixed64(out bits), AnyValueKind.Double);
                    break;
                case (CommonFields.AnyArray << 3) | WireType.Bytes:
                    (ok, kind) = (reader.TryReadBytes(out data), AnyValueKind.Array);
                    break;
                case (CommonFields.AnyKeyValueList << 3) | WireType.Bytes:
                    (ok, kind) = (reader.TryReadBytes(out data), AnyValueKind.KeyValueList);
                    break;
                case (CommonFields.AnyBytes << 3) | WireType.Bytes:
                    (ok, kind) = (reader.TryReadBytes(out data), AnyValueKind.Bytes);
                    break;
                default:
                    if (!reader.TrySkip(tag))
                    {
                        return false;
                    }

                    continue;
            }

            if (!ok)
            {
                return false;
            }

            value.Kind = kind;
            value.Bits = bits;
            value.Data = data;
        }

        return true;
    }

    /// <summary>Reads the usual AnyValue, which is one string of less than 16 KiB and nothing else; false for any other.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static bool TryReadText(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> text)
    {
        if (message.Length >= 2 && message[0] == ((CommonFields.AnyString << 3) | WireType.Bytes))
        {
            int length = message[1];
            if (length < 0x80)
            {
                text = message[2..];
                return length == text.Length;
            }

            if (message.Length >= 3 && message[2] < 0x80)
            {
                text = message[3..];
                return (length & 0x7F) + (message[2] << 7) == text.Length;
            }
        }

        text = default;
        return false;
    }

    /// <summary>
    /// Splits a KeyValue message into its key and its AnyValue message (both may be empty); false when it breaks the encoding.
    /// </summary>
    public static bool TryReadKeyValue(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        // The usual pair is a key below 128 bytes, a value, and nothing else.
        if (message.Length > 4 && message[0] == ((CommonFields.KeyValueKey << 3) | WireType.Bytes) && message[1] < message.Length - 4
            && message[1] < 0x80 && message[message[1] + 2] == ((CommonFields.KeyValueValue << 3) | WireType.Bytes))
        {
            var rest = message[(message[1] + 3)..];
            if (rest[0] == rest.Length - 1 && rest[0] < 0x80)
            {
                key = message.Slice(2, message[1]);
                value = rest[1..];
                return true;
            }

            if (rest[0] >= 0x80 && rest[1] < 0x80 && (rest[0] & 0x7F) + (rest[1] << 7) == rest.Length - 2)
            {
                key = message.Slice(2, message[1]);
                value = rest[2..];
                return true;
            }
        }

        key = value = default;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (CommonFields.KeyValueKey << 3) | WireType.Bytes => reader.TryReadBytes(out key),
                    (CommonFields.KeyValueValue << 3) | WireType.Bytes => reader.TryReadBytes(out value),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        return true;
    }
}
