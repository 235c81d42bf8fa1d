using System.Buffers.Binary;
using System.Runtime.CompilerServices;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Wire types of a protobuf tag (protobuf encoding specification).</summary>
internal static class WireType
{
    public const uint Varint = 0;
    public const uint Fixed64 = 1;
    public const uint Bytes = 2;
    public const uint StartGroup = 3;
    public const uint EndGroup = 4;
    public const uint Fixed32 = 5;
}

/// <summary>
/// Forward-only reader of one protobuf message. Nothing is copied and nothing throws: every read returns false, with the position
/// unchanged, when the input ends first or breaks the encoding. Callers switch on whole tags, so a known field of a wrong wire type is
/// skipped as unknown. What is rare works on values, not on the reader, and is not inlined: a reader whose address is never taken stays
/// in registers.
/// </summary>
internal ref struct ProtobufReader(ReadOnlySpan<byte> message)
{
    private const int MaxGroupDepth = 32;

    private readonly ReadOnlySpan<byte> _message = message;
    private int _position;

    /// <summary>Bytes read so far.</summary>
    public readonly int Position => _position;

    /// <summary>Whether every byte was read.</summary>
    public readonly bool AtEnd => _position >= _message.Length;

    /// <summary>Reads a tag: field number × 8 + wire type. False also for field number 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadTag(out uint tag)
    {
        if ((uint)_position < (uint)_message.Length)
        {
            tag = _message[_position];
            if (tag is >= 8 and < 0x80)
            {
                _position++;
                return true;
            }
        }

        if (LongVarint(_message, _position, out var read) is var end and > 0 && read is >= 8 and <= uint.MaxValue)
        {
            (tag, _position) = ((uint)read, end);
            return true;
        }

        tag = 0;
        return false;
    }

    /// <summary>Reads a base-128 varint. False when the input ends first or a tenth byte overflows 64 bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadVarint(out ulong value)
    {
        if ((uint)_position < (uint)_message.Length)
        {
            value = _message[_position];
            if (value < 0x80)
            {
                _position++;
                return true;
            }
        }

        var end = LongVarint(_message, _position, out var read);
        _position = end > 0 ? end : _position;
        value = read;
        return end > 0;
    }

    /// <summary>Reads eight bytes, little endian.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadFixed64(out ulong value)
    {
        if (!BinaryPrimitives.TryReadUInt64LittleEndian(_message[_position..], out value))
        {
            return false;
        }

        _position += 8;
        return true;
    }

    /// <summary>Reads four bytes, little endian.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadFixed32(out uint value)
    {
        if (!BinaryPrimitives.TryReadUInt32LittleEndian(_message[_position..], out value))
        {
            return false;
        }

        _position += 4;
        return true;
    }

    /// <summary>Reads a length and that many bytes, as a slice of the message.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TryReadBytes(out ReadOnlySpan<byte> value)
    {
        var start = _position;
        if (TryReadVarint(out var length) && length <= (ulong)(_message.Length - _position))
        {
            value = _message.Slice(_position, (int)length);
            _position += (int)length;
            return true;
        }

        _position = start;
        value = default;
        return false;
    }

    /// <summary>Skips the value behind <paramref name="tag"/>; groups are skipped with their content.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool TrySkip(uint tag)
    {
        if ((tag & 7) == WireType.Bytes)
        {
            return TryReadBytes(out _);
        }

        var end = Skip(_message, _position, tag);
        _position = end > 0 ? end : _position;
        return end > 0;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int Skip(ReadOnlySpan<byte> message, int position, uint tag)
    {
        var reader = new ProtobufReader(message) { _position = position };
        return reader.TrySkip(tag, 0) ? reader._position : 0;
    }

    private bool TrySkip(uint tag, int depth)
    {
        switch (tag & 7)
        {
            case WireType.Varint:
                return TryReadVarint(out _);
            case WireType.Fixed64:
                return TryReadFixed64(out _);
            case WireType.Bytes:
                return TryReadBytes(out _);
            case WireType.Fixed32:
                return TryReadFixed32(out _);
            case WireType.StartGroup when depth < MaxGroupDepth:
                while (TryReadTag(out var inner))
                {
                    if (inner == (tag | 7) - 3)
                    {
                        return true;
                    }

                    if (!TrySkip(inner, depth + 1))
                    {
                        return false;
                    }
                }

                return false;
            default:
                return false;
        }
    }

    /// <summary>Where the varint at <paramref name="position"/> ends; 0 when the input ends first or a tenth byte overflows 64 bits.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static int LongVarint(ReadOnlySpan<byte> message, int position, out ulong value)
    {
        value = 0;
        for (var shift = 0; position < message.Length && shift < 70; shift += 7)
        {
            var next = message[position++];
            if (shift == 63 && next > 1)
            {
                break;
            }

            value |= (ulong)(next & 0x7F) << shift;
            if (next < 0x80)
            {
                return position;
            }
        }

        value = 0;
        return 0;
    }
}
