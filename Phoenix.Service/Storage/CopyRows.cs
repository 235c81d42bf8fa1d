using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Phoenix.Service.Storage;

/// <summary>
/// Rows in PostgreSQL's binary COPY format, without the stream's header and trailer, in one pooled buffer that grows by doubling.
/// A row is a 16-bit field count and, per field, a 32-bit length (-1 = NULL) and the value in network byte order (PostgreSQL docs, COPY).
/// Not thread-safe; <see cref="Dispose"/> returns the buffer and must run once.
/// </summary>
public sealed class CopyRows(int expectedBytes = 64 * 1024) : IDisposable
{
    private byte[] _buffer = BufferPool.Rent(expectedBytes);
    private int _length;
    private int _rowStart;

    /// <summary>Complete rows.</summary>
    public int RowCount { get; private set; }

    /// <summary>The complete rows, back to back.</summary>
    public ReadOnlyMemory<byte> Written => _buffer.AsMemory(0, _rowStart);

    /// <summary>Where the next byte goes; a place in this row for <see cref="Replace"/>.</summary>
    public int Position => _length;

    /// <summary>Starts a row of <paramref name="fields"/> fields; a row not ended is dropped by the next start.</summary>
    public void StartRow(short fields)
    {
        _length = _rowStart;
        Put(ref Claim(2), BinaryPrimitives.ReverseEndianness(fields));
    }

    /// <summary>Makes the row started last part of <see cref="Written"/>.</summary>
    public void EndRow()
    {
        _rowStart = _length;
        RowCount++;
    }

    /// <summary>NULL.</summary>
    public void WriteNull() => Put(ref Claim(4), -1);

    /// <summary>smallint.</summary>
    public void Write(short value)
    {
        ref var field = ref Claim(6);
        Put(ref field, BinaryPrimitives.ReverseEndianness(2));
        Put(ref Unsafe.Add(ref field, 4), BinaryPrimitives.ReverseEndianness(value));
    }

    /// <summary>integer.</summary>
    public void Write(int value)
    {
        ref var field = ref Claim(8);
        Put(ref field, BinaryPrimitives.ReverseEndianness(4));
        Put(ref Unsafe.Add(ref field, 4), BinaryPrimitives.ReverseEndianness(value));
    }

    /// <summary>bigint.</summary>
    public void Write(long value)
    {
        ref var field = ref Claim(12);
        Put(ref field, BinaryPrimitives.ReverseEndianness(8));
        Put(ref Unsafe.Add(ref field, 4), BinaryPrimitives.ReverseEndianness(value));
    }

    /// <summary>double precision.</summary>
    public void Write(double value) => Write(BitConverter.DoubleToInt64Bits(value));

    /// <summary>boolean.</summary>
    public void Write(bool value)
    {
        ref var field = ref Claim(5);
        Put(ref field, BinaryPrimitives.ReverseEndianness(1));
        Unsafe.Add(ref field, 4) = value ? (byte)1 : (byte)0;
    }

    /// <summary>uuid, bytea or text whose bytes are already in wire form (text: valid UTF-8 without NUL).</summary>
    public void WriteBytes(ReadOnlySpan<byte> value)
    {
        ref var field = ref Claim(checked(4 + value.Length));
        Put(ref field, BinaryPrimitives.ReverseEndianness(value.Length));
        value.CopyTo(MemoryMarshal.CreateSpan(ref Unsafe.Add(ref field, 4), value.Length));
    }

    /// <summary>
    /// Opens a field of unknown length, filled through <see cref="Reserve"/> and <see cref="Advance"/>; pass the result to
    /// <see cref="EndField"/>.
    /// </summary>
    public int BeginField()
    {
        Claim(4);
        return _length;
    }

    /// <summary>At least <paramref name="size"/> writable bytes behind what was written; valid until the next call.</summary>
    public Span<byte> Reserve(int size)
    {
        if (_buffer.Length - _length < size)
        {
            Grow(size);
        }

        return _buffer.AsSpan(_length);
    }

    /// <summary>Counts <paramref name="count"/> of the reserved bytes as written.</summary>
    public void Advance(int count) => _length += count;

    /// <summary>Puts another byte in the place of the one at <paramref name="position"/>.</summary>
    public void Replace(int position, byte value) => _buffer[position] = value;

    /// <summary>Writes the length of the field opened at <paramref name="start"/>.</summary>
    public void EndField(int start) => BinaryPrimitives.WriteInt32BigEndian(_buffer.AsSpan(start - 4), _length - start);

    /// <inheritdoc/>
    public void Dispose()
    {
        BufferPool.Return(_buffer);
        _buffer = [];
        _length = _rowStart = 0;
    }

    /// <summary>The next <paramref name="size"/> bytes, which are there: no write into them needs another check.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private ref byte Claim(int size)
    {
        if (_buffer.Length - _length < size)
        {
            Grow(size);
        }

        ref var start = ref Unsafe.Add(ref MemoryMarshal.GetArrayDataReference(_buffer), _length);
        _length += size;
        return ref start;
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static void Put<T>(ref byte target, T value) => Unsafe.WriteUnaligned(ref target, value);

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void Grow(int size)
    {
        var larger = BufferPool.Rent(checked(Math.Max(_buffer.Length * 2, _length + size)));
        _buffer.AsSpan(0, _length).CopyTo(larger);
        BufferPool.Return(_buffer);
        _buffer = larger;
    }
}
