using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>
/// The body of one stored request, uncompressed protobuf, on its way to the other endpoint. Owns a pooled buffer: by the pipeline until the
/// commit, by <see cref="Forwarder"/> after it; the owner disposes it once.
/// </summary>
internal sealed class ForwardRequest : IDisposable
{
    private readonly int _length;
    private byte[] _buffer;

    /// <summary>Copies <paramref name="body"/>, of which <paramref name="batch"/> was decoded.</summary>
    public ForwardRequest(IngestRequest request, ReadOnlySpan<byte> body, TelemetryBatch batch)
    {
        (Signal, ProjectName, Via, Records, LeftOut) = (request.Signal, request.ProjectName, request.Via, batch.RecordCount, batch.LeftOut);
        (_buffer, _length) = (BufferPool.Rent(body.Length), body.Length);
        body.CopyTo(_buffer);
        Bytes = _buffer.Length;
    }

    /// <summary>What the records are.</summary>
    public Signal Signal { get; }

    /// <summary>Project of the whole request; null = as the resources say.</summary>
    public string? ProjectName { get; }

    /// <summary>The services it came through; null = none that said so.</summary>
    public string? Via { get; }

    /// <summary>Records stored of it.</summary>
    public int Records { get; }

    /// <summary>Where the records begin that were not stored, ascending; null = all were.</summary>
    public List<int>? LeftOut { get; }

    /// <summary>The body as it came.</summary>
    public ReadOnlyMemory<byte> Body => _buffer.AsMemory(0, _length);

    /// <summary>Memory it holds.</summary>
    public long Bytes { get; }

    /// <inheritdoc/>
    public void Dispose()
    {
        BufferPool.Return(_buffer);
        _buffer = [];
    }
}
