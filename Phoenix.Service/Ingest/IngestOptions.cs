using Phoenix.Service.Configuration;

namespace Phoenix.Service.Ingest;

/// <summary>What the receivers accept and how much may wait in memory.</summary>
internal sealed class IngestOptions
{
    public const string Section = "Phoenix:Ingest";

    /// <summary>Largest accepted body in bytes, before and after decompression; above it 413 or RESOURCE_EXHAUSTED.</summary>
    public int MaxRequestBytes { get; set; } = 20 * 1024 * 1024;

    /// <summary>Records that may wait for a writer; at this many, new requests are refused with a retry hint.</summary>
    public int MaxQueueRecords { get; set; } = 50_000;

    /// <summary>Bytes that requests may hold in memory from their first byte to their commit; a single request is always let in.</summary>
    public long MaxQueueBytes { get; set; } = MachineSize.Here.QueueBytes;

    /// <summary>
    /// Memory of the process above which requests are refused (80 % soft, 90 % with a collection); 0 = three quarters of what the machine
    /// or container has.
    /// </summary>
    public long MemoryLimitBytes { get; set; }

    /// <summary>Longest time a request waits for its commit; a shorter grpc-timeout wins.</summary>
    public TimeSpan RequestTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Retry hint of a refusal because the queue or the memory is full.</summary>
    public TimeSpan BusyRetryDelay { get; set; } = TimeSpan.FromSeconds(1);

    /// <summary>Retry hint while the database is unreachable or full.</summary>
    public TimeSpan UnavailableRetryDelay { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(IngestOptions options)
    {
        if (options.MaxRequestBytes is < 1024 or > 512 * 1024 * 1024)
        {
            yield return $"{Key(nameof(MaxRequestBytes))} must be from 1K to 512M, got {options.MaxRequestBytes}";
        }

        if (options.MaxQueueRecords is < 1 or > 100_000_000)
        {
            yield return $"{Key(nameof(MaxQueueRecords))} must be from 1 to 100000000, got {options.MaxQueueRecords}";
        }

        if (options.MaxQueueBytes is < 1024 * 1024 or > MostMemory)
        {
            yield return $"{Key(nameof(MaxQueueBytes))} must be from 1M to 64T, got {options.MaxQueueBytes}";
        }

        if (options.MemoryLimitBytes is not 0 and (< 128 * 1024 * 1024 or > MostMemory))
        {
            yield return $"{Key(nameof(MemoryLimitBytes))} must be 0 or from 128M to 64T, got {options.MemoryLimitBytes}";
        }

        foreach (var (name, value) in new[]
        {
            (nameof(RequestTimeout), options.RequestTimeout), (nameof(BusyRetryDelay), options.BusyRetryDelay),
            (nameof(UnavailableRetryDelay), options.UnavailableRetryDelay),
        })
        {
            if (value < TimeSpan.FromMilliseconds(100) || value > TimeSpan.FromMinutes(10))
            {
                yield return $"{Key(name)} must be from 100 ms to 10 min, got {value}";
            }
        }
    }

    /// <summary>More than any machine has: a larger number is a slip of the pen.</summary>
    private const long MostMemory = 64L << 40;

    private static string Key(string property) => $"{Section}:{property}";
}
