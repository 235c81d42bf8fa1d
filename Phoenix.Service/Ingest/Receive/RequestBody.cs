using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Receive;

/// <summary>Why a body could not be taken in.</summary>
internal enum BodyFault
{
    None,

    /// <summary>Longer than the limit.</summary>
    TooLarge,

    /// <summary>No room in the queue's bounds.</summary>
    Busy,

    /// <summary>The compressed stream is broken or cut short.</summary>
    Corrupt,

    /// <summary>A compression that is not spoken.</summary>
    UnknownEncoding,
}

/// <summary>
/// The bytes of one request in a pooled buffer, reserved from the queue's bounds as they grow. Owns the buffer; dispose once.
/// </summary>
internal sealed class RequestBody(IngestQueue.Reservation reservation, int limit) : IDisposable
{
    private const int FirstBytes = 16 * 1024;
    private byte[] _buffer = [];
    private int _start;
    private int _length;

    /// <summary>The bytes taken in so far.</summary>
    public ReadOnlyMemory<byte> Memory => _buffer.AsMemory(_start, _length);

    /// <summary>The bytes taken in so far.</summary>
    public ReadOnlySpan<byte> Span => _buffer.AsSpan(_start, _length);

    /// <summary>Drops the first <paramref name="count"/> bytes: a frame's prefix.</summary>
    public void Skip(int count)
    {
        _start += count;
        _length -= count;
    }

    /// <summary>Reads to the end of <paramref name="reader"/>; an announced length above the limit is refused unread.</summary>
    public async ValueTask<BodyFault> ReadAsync(PipeReader reader, long? contentLength, CancellationToken cancellationToken)
    {
        if (contentLength > limit)
        {
            return BodyFault.TooLarge;
        }

        if (!TryReserve((int)(contentLength ?? FirstBytes)))
        {
            return BodyFault.Busy;
        }

        while (true)
        {
            var read = await reader.ReadAsync(cancellationToken);
            var bytes = read.Buffer;
            var fault = _length + bytes.Length > limit
                ? BodyFault.TooLarge
                : TryReserve((int)(_length + bytes.Length)) ? BodyFault.None : BodyFault.Busy;
            if (fault != BodyFault.None)
            {
                reader.AdvanceTo(bytes.Start);
                return fault;
            }

            bytes.CopyTo(_buffer.AsSpan(_length));
            _length += (int)bytes.Length;
            reader.AdvanceTo(bytes.End);
            if (read.IsCompleted)
            {
                return BodyFault.None;
            }
        }
    }

    /// <summary>
    /// Replaces the bytes by what they are decompressed: <paramref name="encoding"/> is gzip, deflate (with or without zlib's header) or
    /// br.
    /// </summary>
    public BodyFault Inflate(string encoding)
    {
        using var compressed = new MemoryStream(_buffer, _start, _length, writable: false);
        using var stream = Decoder(encoding, compressed);
        if (stream is null)
        {
            return BodyFault.UnknownEncoding;
        }

        var inflated = new RequestBody(reservation, limit);
        try
        {
            var fault = inflated.Fill(stream, _length);
            if (fault == BodyFault.None)
            {
                (_buffer, inflated._buffer) = (inflated._buffer, _buffer);
                (_start, _length) = (0, inflated._length);
            }

            return fault;
        }
        catch (Exception exception) when (exception is InvalidDataException or IOException or InvalidOperationException)
        {
            return BodyFault.Corrupt;
        }
        finally
        {
            inflated.Dispose();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_buffer.Length > 0)
        {
            BufferPool.Return(_buffer);
            _buffer = [];
            _length = 0;
        }
    }

    private BodyFault Fill(Stream stream, int compressedLength)
    {
        // Telemetry shrinks about eightfold; a wrong guess costs one copy.
        if (!TryReserve((int)Math.Min(Math.Max(compressedLength * 8L, FirstBytes), limit)))
        {
            return BodyFault.Busy;
        }

        while (true)
        {
            if (_length == _buffer.Length && _length <= limit
                && !TryReserve((int)Math.Min(_buffer.Length * 2L, Math.Max(limit + 1L, _length + 1L))))
            {
                return BodyFault.Busy;
            }

            var read = stream.Read(_buffer, _length, _buffer.Length - _length);
            _length += read;
            if (_length > limit)
            {
                return BodyFault.TooLarge;
            }

            if (read == 0)
            {
                return BodyFault.None;
            }
        }
    }

    private bool TryReserve(int size)
    {
        if (size <= _buffer.Length)
        {
            return true;
        }

        size = Math.Max(size, _buffer.Length * 2);
        if (!reservation.TryGrow(size - _buffer.Length))
        {
            return false;
        }

        var larger = BufferPool.Rent(size);
        _buffer.AsSpan(0, _length).CopyTo(larger);
        if (_buffer.Length > 0)
        {
            BufferPool.Return(_buffer);
        }

        _buffer = larger;
        return true;
    }

    private static Stream? Decoder(string encoding, MemoryStream compressed) => encoding switch
    {
        "gzip" or "x-gzip" => new GZipStream(compressed, CompressionMode.Decompress),
        "deflate" => HasZlibHeader(compressed)
            ? new ZLibStream(compressed, CompressionMode.Decompress)
            : new DeflateStream(compressed, CompressionMode.Decompress),
        "br" => new BrotliStream(compressed, CompressionMode.Decompress),
        _ => null,
    };

    /// <summary>RFC 9110 says deflate is zlib's format; some senders leave its header out.</summary>
    private static bool HasZlibHeader(MemoryStream compressed)
    {
        var (first, second) = (compressed.ReadByte(), compressed.ReadByte());
        compressed.Position = 0;
        return (first & 0x0f) == 8 && ((first << 8) + second) % 31 == 0;
    }
}
