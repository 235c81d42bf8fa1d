using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Enqueue;

/// <summary>Why a request is refused for now: the stage that refuses it, as metrics name it, and a sentence for people.</summary>
internal sealed record QueueRefusal(string Stage, string Reason)
{
    /// <summary>More waits than the bounds of the queue allow.</summary>
    public static QueueRefusal QueueFull { get; } = new("queue_full", "the ingest queue is full");

    /// <summary>The process is near its memory limit.</summary>
    public static QueueRefusal MemoryLimit { get; } = new("memory_limit", "the memory limit is reached");
}

/// <summary>
/// Admission and the queue between requests and writers. The bytes of a request's body are reserved as they come, and from its decoding
/// until its commit those of <see cref="TelemetryBatch.ByteCount"/> instead, so that what waits is bounded whatever the database does. What
/// decoding takes meanwhile is bounded by the decoders and seen by the <see cref="MemoryLimiter"/>. A refusal is immediate: nobody waits
/// for room. Thread-safe.
/// </summary>
internal sealed class IngestQueue
{
    private readonly Channel<PendingBatch> _channel = Channel.CreateUnbounded<PendingBatch>(
        new UnboundedChannelOptions { AllowSynchronousContinuations = false });
    private readonly IngestOptions _options;
    private readonly MemoryLimiter _memory;
    private readonly IngestMetrics _metrics;
    private long _bytes;
    private long _records;

    /// <summary>An empty queue whose state <paramref name="metrics"/> reports.</summary>
    public IngestQueue(IOptions<IngestOptions> options, MemoryLimiter memory, IngestMetrics metrics)
    {
        (_options, _memory, _metrics) = (options.Value, memory, metrics);
        memory.UseReserved(() => Bytes);
        metrics.UseQueue(() => new QueueState(Interlocked.Read(ref _records), _options.MaxQueueRecords, Interlocked.Read(ref _bytes)));
    }

    /// <summary>What writers take from; completed by <see cref="Complete"/>.</summary>
    public ChannelReader<PendingBatch> Reader => _channel.Reader;

    /// <summary>Records waiting or being written.</summary>
    public long Records => Interlocked.Read(ref _records);

    /// <summary>Bytes reserved.</summary>
    public long Bytes => Interlocked.Read(ref _bytes);

    /// <summary>Lets a request in, or counts the refusal and returns null; <paramref name="refusal"/> then says why.</summary>
    public Reservation? TryAdmit(out QueueRefusal? refusal)
    {
        refusal = _memory.Refuses(Bytes) ? QueueRefusal.MemoryLimit
            : Records >= _options.MaxQueueRecords || Bytes >= _options.MaxQueueBytes ? QueueRefusal.QueueFull
            : null;
        if (refusal is null)
        {
            return new Reservation(this);
        }

        _metrics.CountRefusal(refusal.Stage);
        return null;
    }

    /// <summary>Hands a decoded request to the writers. False after <see cref="Complete"/>; the caller then keeps ownership.</summary>
    public bool TryEnqueue(PendingBatch batch) => _channel.Writer.TryWrite(batch);

    /// <summary>No further requests: writers drain what is queued and end.</summary>
    public void Complete() => _channel.Writer.TryComplete();

    /// <summary>The share of the queue's bounds one request holds. Disposed once, by whoever owns the request then.</summary>
    public sealed class Reservation(IngestQueue queue) : IDisposable
    {
        private long _bytes;
        private long _records;

        /// <summary>Why <see cref="TryGrow"/> was false.</summary>
        public QueueRefusal Refusal { get; private set; } = QueueRefusal.QueueFull;

        /// <summary>
        /// Reserves <paramref name="bytes"/> more; false, counted, when others hold too much or memory is short. Alone, a request always
        /// gets what it asks for, up to the memory limit.
        /// </summary>
        public bool TryGrow(long bytes)
        {
            var total = Interlocked.Add(ref queue._bytes, bytes);
            var refusal = queue._memory.Refuses(total) ? QueueRefusal.MemoryLimit
                : total > queue._options.MaxQueueBytes && total > _bytes + bytes ? QueueRefusal.QueueFull
                : null;
            if (refusal is not null)
            {
                Interlocked.Add(ref queue._bytes, -bytes);
                queue._metrics.CountRefusal(refusal.Stage);
                Refusal = refusal;
                return false;
            }

            _bytes += bytes;
            return true;
        }

        /// <summary>Decoded: holds exactly this much from now on.</summary>
        public void Settle(long bytes, long records)
        {
            Interlocked.Add(ref queue._bytes, bytes - _bytes);
            Interlocked.Add(ref queue._records, records - _records);
            (_bytes, _records) = (bytes, records);
        }

        /// <inheritdoc/>
        public void Dispose() => Settle(0, 0);
    }
}
