using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Writes one protobuf message into a pooled buffer that grows by doubling. The length of a nested message is written as a varint padded to
/// four bytes (legal on the wire), so that it can be filled in afterwards without moving its content.
/// Not thread-safe; <see cref="Dispose"/> returns the buffer and must run once.
/// </summary>
internal sealed class ProtobufWriter : IDisposable
{
    private const int LengthBytes = 4;

    private byte[] _buffer = BufferPool.Rent(16 * 1024);

    /// <summary>Bytes written.</summary>
    public int Length { get; private set; }

    /// <summary>What was written; valid until the next write.</summary>
    public ReadOnlySpan<byte> Written => _buffer.AsSpan(0, Length);

    /// <summary>What was written, as memory; valid until the next write.</summary>
    public ReadOnlyMemory<byte> WrittenMemory => _buffer.AsMemory(0, Length);

    /// <summary>Forgets what was written and keeps the buffer.</summary>
    public void Clear() => Length = 0;

    /// <summary>A base-128 varint without a tag.</summary>
    public void WriteVarint(ulong value)
    {
        var span = Reserve(10);
        var count = 0;
        while (value >= 0x80)
        {
            span[count++] = (byte)(value | 0x80);
            value >>= 7;
        }

        span[count++] = (byte)value;
        Length += count;
    }

    /// <summary>The tag of <paramref name="field"/>.</summary>
    public void WriteTag(int field, uint wireType) => WriteVarint(((ulong)field << 3) | wireType);

    /// <summary>A varint field (int32, int64, uint32, uint64, bool, enum).</summary>
    public void WriteVarint(int field, ulong value)
    {
        WriteTag(field, WireType.Varint);
        WriteVarint(value);
    }

    /// <summary>A fixed64, sfixed64 or, by its bits, double field.</summary>
    public void WriteFixed64(int field, ulong value)
    {
        WriteTag(field, WireType.Fixed64);
        WriteFixed64(value);
    }

    /// <summary>Eight bytes without a tag.</summary>
    public void WriteFixed64(ulong value)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(Reserve(8), value);
        Length += 8;
    }

    /// <summary>A fixed32 field.</summary>
    public void WriteFixed32(int field, uint value)
    {
        WriteTag(field, WireType.Fixed32);
        BinaryPrimitives.WriteUInt32LittleEndian(Reserve(4), value);
        Length += 4;
    }

    /// <summary>A bytes or string field.</summary>
    public void WriteBytes(int field, ReadOnlySpan<byte> value)
    {
        WriteTag(field, WireType.Bytes);
        WriteVarint((ulong)value.Length);
        value.CopyTo(Reserve(value.Length));
        Length += value.Length;
    }

    /// <summary>Whole fields that are encoded already.</summary>
    public void WriteRaw(ReadOnlySpan<byte> fields)
    {
        fields.CopyTo(Reserve(fields.Length));
        Length += fields.Length;
    }

    /// <summary>Starts a nested message (or a packed list, or bytes of unknown length); pass the result to <see cref="End"/>.</summary>
    public int Begin(int field)
    {
        WriteTag(field, WireType.Bytes);
        Reserve(LengthBytes);
        Length += LengthBytes;
        return Length;
    }

    /// <summary>Fills in the length of what was begun at <paramref name="start"/>.</summary>
    public void End(int start)
    {
        var length = Length - start;
        if (length >= 1 << 28)
        {
            throw new InvalidOperationException("A nested message of 256 MiB or more cannot be written.");
        }

        var span = _buffer.AsSpan(start - LengthBytes, LengthBytes);
        span[0] = (byte)(length | 0x80);
        span[1] = (byte)((length >> 7) | 0x80);
        span[2] = (byte)((length >> 14) | 0x80);
        span[3] = (byte)(length >> 21);
    }

    /// <summary>At least <paramref name="size"/> writable bytes; count those used with <see cref="Advance"/>.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public Span<byte> Reserve(int size)
    {
        if (_buffer.Length - Length < size)
        {
            Grow(size);
        }

        return _buffer.AsSpan(Length);
    }

    /// <summary>Counts <paramref name="count"/> of the reserved bytes as written.</summary>
    public void Advance(int count) => Length += count;

    /// <inheritdoc/>
    public void Dispose()
    {
        BufferPool.Return(_buffer);
        _buffer = [];
        Length = 0;
    }

    private void Grow(int size)
    {
        var larger = BufferPool.Rent(checked(Math.Max(_buffer.Length * 2, Length + size)));
        _buffer.AsSpan(0, Length).CopyTo(larger);
        BufferPool.Return(_buffer);
        _buffer = larger;
    }
}
