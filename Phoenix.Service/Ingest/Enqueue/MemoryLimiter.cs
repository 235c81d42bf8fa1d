using Microsoft.Extensions.Options;
using Phoenix.Service.Configuration;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Enqueue;

/// <summary>
/// Watches the memory of this process. Soft limit, 80 %: requests are refused and unused memory is collected, so that refusing ends by
/// itself. Hard limit, 90 %: what requests would take on top of the last reading is refused before it is taken, because a reading comes
/// only so often. The garbage collector itself is held to the limit, so that a refusal comes before the system ends the process.
/// </summary>
internal sealed partial class MemoryLimiter(IOptions<IngestOptions> options, TimeProvider time,
    ILogger<MemoryLimiter> logger) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan s_softPause = TimeSpan.FromSeconds(2);
    private static readonly TimeSpan s_hardPause = TimeSpan.FromMilliseconds(500);

    private volatile bool _isOverLimit;
    private Func<long> _reserved = static () => 0;
    private long _unreserved;

    /// <summary>Whether requests that hold <paramref name="reserved"/> bytes together must not get them.</summary>
    public bool Refuses(long reserved) => _isOverLimit || Interlocked.Read(ref _unreserved) + reserved > HardLimitBytes;

    /// <summary>The limit in force, in bytes.</summary>
    public long LimitBytes { get; } = options.Value.MemoryLimitBytes > 0
        ? options.Value.MemoryLimitBytes
        : MachineSize.Here.MemoryLimitBytes;

    private long SoftLimitBytes => LimitBytes / 10 * 8;

    private long HardLimitBytes => LimitBytes / 10 * 9;

    /// <summary>Registers where the bytes that requests hold are read. Call once.</summary>
    public void UseReserved(Func<long> reserved) => _reserved = reserved;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (options.Value.MemoryLimitBytes > 0)
        {
            AppContext.SetData("GCHeapHardLimit", (ulong)LimitBytes);
            GC.RefreshMemoryLimit();
        }

        using var timer = new PeriodicTimer(s_interval, time);
        var lastCollection = 0L;
        try
        {
            while (await timer.WaitForNextTickAsync(stoppingToken))
            {
                var used = Environment.WorkingSet;
                if (used > SoftLimitBytes
                    && (lastCollection == 0 || time.GetElapsedTime(lastCollection) > (used > HardLimitBytes ? s_hardPause : s_softPause)))
                {
                    BufferPool.Release();
                    GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
                    lastCollection = time.GetTimestamp();
                    used = Environment.WorkingSet;
                }

                Interlocked.Exchange(ref _unreserved, Math.Max(0, used - _reserved()));
                Set(used > SoftLimitBytes, used);
            }
        }
        catch (OperationCanceledException)
        {
            // Stopping: the last word stands.
        }
    }

    private void Set(bool isOverLimit, long used)
    {
        if (isOverLimit != _isOverLimit)
        {
            _isOverLimit = isOverLimit;
            if (isOverLimit)
            {
                Log.Refusing(logger, used >> 20, LimitBytes >> 20);
            }
            else
            {
                Log.Accepting(logger, used >> 20);
            }
        }
    }

    private static partial class Log
    {
        [LoggerMessage(310, LogLevel.Warning,
            "Memory is at {UsedMebibytes} MiB of {LimitMebibytes} MiB: export requests are refused with a retry hint. Raise PHOENIX_MEMORY_LIMIT or lower Phoenix:Ingest:MaxQueueBytes.")]
        public static partial void Refusing(ILogger logger, long usedMebibytes, long limitMebibytes);

        [LoggerMessage(311, LogLevel.Information, "Memory is down to {UsedMebibytes} MiB: export requests are accepted again.")]
        public static partial void Accepting(ILogger logger, long usedMebibytes);
    }
}
