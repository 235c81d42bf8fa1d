using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>
/// Sends on what was stored, after it was acknowledged, so that nothing of it can slow or fail an acknowledgement. What waits is in memory,
/// bounded by <see cref="ForwardOptions.MaxQueueBytes"/>; what finds no room, or cannot be handed over, is counted and logged, and stays
/// stored here.
/// </summary>
/// <remarks>
/// An attempt may end so: taken (records the other side rejects are counted and logged); refused for good: dropped; anything else: again
/// after a pause that doubles, not before the other side wants it, until <see cref="ForwardOptions.RetryLimit"/>. A request keeps its
/// sender meanwhile. When the service stops, pauses end, each request that waits has one more attempt, and after
/// <see cref="ForwardOptions.DrainTimeout"/> the rest is dropped. Nothing thrown by an attempt leaves <see cref="ForwardAsync"/>, and every
/// request taken from the queue is disposed.
/// </remarks>
internal sealed partial class Forwarder : IHostedService, IDisposable
{
    private const string StoppedText = "the service stopped";

    private readonly Channel<ForwardRequest> _queue = Channel.CreateUnbounded<ForwardRequest>();
    private readonly CancellationTokenSource _stopping = new();
    private readonly CancellationTokenSource _giveUp;
    private readonly string _pseudonym = $"phoenix-{Guid.NewGuid():N}";
    private readonly PacedCount _dropped;
    private readonly PacedCount _rejected;
    private readonly ForwardClient _client;
    private readonly ForwardFilter _filter;
    private readonly ForwardOptions _options;
    private readonly ForwardMetrics _metrics;
    private readonly TimeProvider _time;
    private readonly ILogger<Forwarder> _logger;
    private Task _senders = Task.CompletedTask;
    private long _bytes;
    private int _isFailing;

    /// <summary>A forwarder with an empty queue, whose state <paramref name="metrics"/> reports.</summary>
    public Forwarder(ForwardClient client, ForwardFilter filter, IOptions<ForwardOptions> options, ForwardMetrics metrics,
        TimeProvider time, ILogger<Forwarder> logger)
    {
        (_client, _filter, _options, _metrics, _time, _logger) = (client, filter, options.Value, metrics, time, logger);
        (_dropped, _rejected) = (new PacedCount(time), new PacedCount(time));
        _giveUp = new CancellationTokenSource(Timeout.InfiniteTimeSpan, time);
        metrics.UseQueue(() => (_queue.Reader.Count, Interlocked.Read(ref _bytes), _options.MaxQueueBytes));
    }

    /// <summary>Keeps the body of a decoded request until its commit; null when it is not to be forwarded.</summary>
    public ForwardRequest? Hold(IngestRequest request, ReadOnlySpan<byte> body, TelemetryBatch batch)
    {
        if (batch.RecordCount == 0 || !_options.Signals.Contains(ForwardOptions.NameOf(request.Signal)))
        {
            return null;
        }

        if (request.Via?.Contains(_pseudonym, StringComparison.Ordinal) == true)
        {
            Drop(request.Signal, batch.RecordCount, DropReason.Loop, "they come from this service itself: the endpoint leads back here");
            return null;
        }

        return new ForwardRequest(request, body, batch);
    }

    /// <summary>Takes over a request that is stored. Never waits, never throws.</summary>
    public void Enqueue(ForwardRequest request)
    {
        // Alone, a request is let in whatever its size.
        var total = Interlocked.Add(ref _bytes, request.Bytes);
        var fits = total <= _options.MaxQueueBytes || total == request.Bytes;
        if (fits && _queue.Writer.TryWrite(request))
        {
            return;
        }

        Interlocked.Add(ref _bytes, -request.Bytes);
        if (fits)
        {
            Drop(request.Signal, request.Records, DropReason.Stopped, StoppedText);
        }
        else
        {
            Drop(request.Signal, request.Records,
                DropReason.QueueFull, $"{_options.MaxQueueBytes >> 20} MiB wait already (Phoenix:Forward:MaxQueueBytes)");
        }

        request.Dispose();
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        Log.Started(_logger, _options.Endpoint);
        using (ExecutionContext.SuppressFlow())
        {
            _senders = Task.WhenAll(Enumerable.Range(0, _options.Connections).Select(_ => Task.Run(RunAsync, CancellationToken.None)));
        }

        return Task.CompletedTask;
    }

    /// <summary>Drains: the writers have ended by now, so nothing is added any more.</summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        _queue.Writer.TryComplete();
        _giveUp.CancelAfter(_options.DrainTimeout);
        await _stopping.CancelAsync();
        await _senders;
        if (_dropped.Flush() is > 0 and var dropped)
        {
            Log.Dropped(_logger, dropped, StoppedText);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _giveUp.Dispose();
        _stopping.Dispose();
    }

    private async Task RunAsync()
    {
        await foreach (var request in _queue.Reader.ReadAllAsync(CancellationToken.None))
        {
            try
            {
                await ForwardAsync(request);
            }
            finally
            {
                Interlocked.Add(ref _bytes, -request.Bytes);
                request.Dispose();
            }
        }
    }

    /// <summary>Hands one request over or drops it. Throws nothing.</summary>
    private async Task ForwardAsync(ForwardRequest request)
    {
        try
        {
            using var rewritten = new ProtobufWriter();
            var body = _filter.TryRewrite(request.Signal, request.Body.Span, request.LeftOut, rewritten)
                ? rewritten.WrittenMemory
                : request.Body;
            var backoff = new WriteBackoff(_options.FirstRetryDelay, _options.LongestRetryDelay, _time, Random.Shared);
            var started = _time.GetTimestamp();
            while (true)
            {
                var isLast = _stopping.IsCancellationRequested;
                var answer = await _client.SendAsync(request, body, $"1.1 {_pseudonym}", _giveUp.Token);
                if (answer.Status == ForwardStatus.Taken)
                {
                    Taken(request, answer);
                    return;
                }

                if (answer.Status == ForwardStatus.Refused)
                {
                    Drop(request.Signal, request.Records, DropReason.Refused, answer.Reason!);
                    return;
                }

                // The last attempt comes when the time is up, so that an outage just as long is survived.
                var left = _options.RetryLimit - _time.GetElapsedTime(started);
                if (isLast || left <= TimeSpan.Zero || answer.RetryAfter > left)
                {
                    Drop(request.Signal, request.Records, isLast ? DropReason.Stopped : DropReason.Expired, answer.Reason!);
                    return;
                }

                if (Interlocked.Exchange(ref _isFailing, 1) == 0)
                {
                    Log.Failing(_logger, _options.Endpoint, answer.Reason!);
                }

                _metrics.CountRetry(request.Signal);
                var pause = backoff.Failed();
                pause = answer.RetryAfter > pause ? answer.RetryAfter.Value : pause;
                await PauseAsync(pause < left ? pause : left);
            }
        }
        catch (OperationCanceledException)
        {
            Drop(request.Signal, request.Records, DropReason.Stopped, StoppedText);
        }
        catch (Exception exception)
        {
            Log.Broken(_logger, exception);
            Drop(request.Signal, request.Records, DropReason.Refused, exception.Message);
        }
    }

    private void Taken(ForwardRequest request, ForwardAnswer answer)
    {
        // An answer is foreign: no counter may fall because of it.
        var rejected = Math.Clamp(answer.Rejected, 0, request.Records);
        _metrics.CountSent(request.Signal, request.Records - rejected);
        if (Interlocked.Exchange(ref _isFailing, 0) == 1)
        {
            Log.Works(_logger, _options.Endpoint);
        }

        if (answer.Reason is { } reason)
        {
            _metrics.CountDropped(request.Signal, DropReason.Rejected, rejected);
            if (_rejected.Add(rejected) is >= 0 and var untold)
            {
                Log.Rejected(_logger, untold, reason);
            }
        }
    }

    private void Drop(Signal signal, int records, DropReason reason, string text)
    {
        _metrics.CountDropped(signal, reason, records);
        if (_dropped.Add(records) is > 0 and var dropped)
        {
            Log.Dropped(_logger, dropped, text);
        }
    }

    /// <summary>Waits before the next attempt; shorter when the service stops.</summary>
    private async Task PauseAsync(TimeSpan pause)
    {
        try
        {
            await Task.Delay(pause, _time, _stopping.Token);
        }
        catch (OperationCanceledException)
        {
            // One more attempt, at once.
        }
    }

    /// <summary>Adds up what would flood the log: at most one line in ten seconds. Thread-safe.</summary>
    private sealed class PacedCount(TimeProvider time)
    {
        private static readonly TimeSpan s_pause = TimeSpan.FromSeconds(10);

        private readonly Lock _lock = new();
        private long _unlogged;
        private long? _logged;

        /// <summary>What to log now: everything since the last line; -1 = nothing yet.</summary>
        public long Add(long count)
        {
            lock (_lock)
            {
                _unlogged += count;
                if (_logged is { } last && time.GetElapsedTime(last) < s_pause)
                {
                    return -1;
                }

                _logged = time.GetTimestamp();
                return Take();
            }
        }

        /// <summary>What no line has told yet.</summary>
        public long Flush()
        {
            lock (_lock)
            {
                return Take();
            }
        }

        private long Take()
        {
            var count = _unlogged;
            _unlogged = 0;
            return count;
        }
    }
}
