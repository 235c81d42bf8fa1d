using System.Threading.Channels;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Storage;

/// <summary>
/// Gathers what one writer stores in one transaction: whatever is queued, up to the bounds of <see cref="StorageOptions"/>. Fewer than
/// <see cref="StorageOptions.BatchRecords"/> wait <see cref="StorageOptions.Linger"/> for company. A request is never divided; one that
/// does not fit comes first in the next group, one that is larger than the bounds is a group of its own. Not thread-safe.
/// </summary>
internal sealed class WriteGroup(ChannelReader<PendingBatch> queue, StorageOptions options, IngestMetrics metrics, TimeProvider time)
{
    private List<PendingBatch> _group = [];
    private PendingBatch? _held;
    private long _records;
    private long _bytes;

    /// <summary>Waits until there is something to write; false when the queue is completed and empty.</summary>
    public async ValueTask<bool> GatherAsync()
    {
        while (_group.Count == 0)
        {
            if (_held is null && !await queue.WaitToReadAsync())
            {
                return false;
            }

            Fill();
            if (_group.Count > 0 && _held is null && _records < options.BatchRecords && options.Linger > TimeSpan.Zero)
            {
                await LingerAsync();
            }
        }

        return true;
    }

    /// <summary>Hands the group over and begins the next.</summary>
    public List<PendingBatch> Take()
    {
        var group = _group;
        (_group, _records, _bytes) = ([], 0, 0);
        return group;
    }

    private void Fill()
    {
        while (_held is not null || (_records < options.MaxBatchRecords && _bytes < options.MaxBatchBytes && queue.TryRead(out _held)))
        {
            var (records, bytes) = (_records + _held.Batch.RecordCount, _bytes + _held.Batch.ByteCount);
            if (_held.IsAbandoned)
            {
                metrics.CountFailedSpans(_held.SpanCount);
                _held.Complete(default);
            }
            else if (_group.Count > 0 && (records > options.MaxBatchRecords || bytes > options.MaxBatchBytes))
            {
                return;
            }
            else
            {
                metrics.ObserveQueueWait(time.GetElapsedTime(_held.EnqueuedTimestamp));
                _group.Add(_held);
                (_records, _bytes) = (records, bytes);
            }

            _held = null;
        }
    }

    private async Task LingerAsync()
    {
        using var deadline = new CancellationTokenSource(options.Linger, time);
        try
        {
            while (_held is null && _records < options.BatchRecords && await queue.WaitToReadAsync(deadline.Token))
            {
                Fill();
            }
        }
        catch (OperationCanceledException)
        {
            // Waited long enough.
        }
    }
}
