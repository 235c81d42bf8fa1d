using System.Diagnostics;
using System.Threading.Channels;
using OpenTelemetry;

namespace Orchestrator.Agent.Telemetry;

/// <summary>
/// Sends ended spans within half a second, and again while the receiver is away: an outage of Phoenix.Service must not tear holes into the
/// trace of the investigation that waits for it. Knows of each span whether it was stored.
/// </summary>
internal sealed partial class SpanExport : BaseExportProcessor<Activity>
{
    private const int MaxQueue = 16_384;
    private const int MaxBatch = 512;
    private static readonly TimeSpan s_linger = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_mostPause = TimeSpan.FromSeconds(4);

    /// <summary>How long a batch is tried again before it is given up.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(5);

    private readonly Channel<Entry> _queue = Channel.CreateBounded<Entry>(MaxQueue);
    private readonly CancellationTokenSource _stopping = new();
    private readonly TimeProvider _time;
    private readonly ILogger<SpanExport> _logger;
    private readonly Task _sending;

    public SpanExport(BaseExporter<Activity> exporter, TimeProvider time, ILogger<SpanExport> logger)
        : base(exporter)
    {
        (_time, _logger) = (time, logger);
        using (ExecutionContext.SuppressFlow())
        {
            _sending = Task.Run(SendAsync);
        }
    }

    /// <summary>Queues an ended span. One that ends after the shutdown goes nowhere: the run that takes its job up tells of it.</summary>
    public void Add(Activity span)
    {
        if (!_queue.Writer.TryWrite(new(span, null)) && !_stopping.IsCancellationRequested)
        {
            Log.QueueFull(_logger, MaxQueue);
        }
    }

    /// <summary>
    /// True once everything queued before is stored; false when it is not within <paramref name="limit"/>, or was given up.
    /// </summary>
    public async Task<bool> FlushAsync(TimeSpan limit, CancellationToken cancellationToken)
    {
        var flushed = new TaskCompletionSource<bool>(TaskCreationOptions.RunContinuationsAsynchronously);
        if (!_queue.Writer.TryWrite(new(null, flushed)))
        {
            return false;
        }

        try
        {
            return await flushed.Task.WaitAsync(limit, _time, cancellationToken);
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    /// <summary>Spans come by <see cref="Add"/>; those the provider hands on were taken already.</summary>
    protected override void OnExport(Activity data)
    {
    }

    protected override bool OnForceFlush(int timeoutMilliseconds) =>
        WaitFor(FlushAsync(Limit(timeoutMilliseconds), CancellationToken.None), timeoutMilliseconds);

    protected override bool OnShutdown(int timeoutMilliseconds)
    {
        _queue.Writer.TryComplete();
        _stopping.Cancel();
        return WaitFor(_sending, timeoutMilliseconds) & base.OnShutdown(timeoutMilliseconds);
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            _queue.Writer.TryComplete();
            _stopping.Cancel();
        }

        base.Dispose(disposing);
    }

    private async Task SendAsync()
    {
        var batch = new List<Activity>(MaxBatch);
        while (await _queue.Reader.WaitToReadAsync())
        {
            var flushed = await FillAsync(batch);
            var stored = batch.Count == 0 || await ExportAsync(new Batch<Activity>([.. batch], batch.Count));
            batch.Clear();
            flushed?.TrySetResult(stored);
        }
    }

    /// <summary>Takes what is queued and comes shortly after; a flush ends it, and is returned.</summary>
    private async Task<TaskCompletionSource<bool>?> FillAsync(List<Activity> batch)
    {
        using var linger = CancellationTokenSource.CreateLinkedTokenSource(_stopping.Token);
        linger.CancelAfter(s_linger);
        while (batch.Count < MaxBatch)
        {
            if (_queue.Reader.TryRead(out var entry))
            {
                if (entry.Span is not { } span)
                {
                    return entry.Flushed;
                }

                batch.Add(span);
                continue;
            }

            try
            {
                if (!await _queue.Reader.WaitToReadAsync(linger.Token))
                {
                    return null;
                }
            }
            catch (OperationCanceledException)
            {
                return null;
            }
        }

        return null;
    }

    private async Task<bool> ExportAsync(Batch<Activity> batch)
    {
        var started = _time.GetTimestamp();
        for (var pause = s_linger; ; pause = pause * 2 < s_mostPause ? pause * 2 : s_mostPause)
        {
            if (await SendAsync(batch) == ExportResult.Success)
            {
                foreach (var span in batch)
                {
                    MatsTracing.SetStored(span);
                }

                return true;
            }

            if (_stopping.IsCancellationRequested || _time.GetElapsedTime(started) > s_patience)
            {
                Log.GivenUp(_logger, batch.Count);
                return false;
            }

            await Task.Delay(pause, _time, _stopping.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    // On a thread of its own: it blocks up to the exporter's timeout, and the pool has few.
    private Task<ExportResult> SendAsync(Batch<Activity> batch) => Task.Factory.StartNew(
        () => exporter.Export(batch), CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);

    // The SDK asks in a blocking way; it never does so on the thread that sends.
    private static bool WaitFor(Task task, int timeoutMilliseconds) =>
        ((IAsyncResult)task).AsyncWaitHandle.WaitOne(timeoutMilliseconds) && task is not Task<bool> { IsCompletedSuccessfully: false };

    private static TimeSpan Limit(int timeoutMilliseconds) =>
        timeoutMilliseconds < 0 ? Timeout.InfiniteTimeSpan : TimeSpan.FromMilliseconds(timeoutMilliseconds);

    /// <summary>A span to send, or the mark of a flush.</summary>
    private readonly record struct Entry(Activity? Span, TaskCompletionSource<bool>? Flushed);
}
