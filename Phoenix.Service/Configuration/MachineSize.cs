namespace Phoenix.Service.Configuration;

/// <summary>
/// What the defaults are derived from: the cores and the memory this process may use, and the defaults that follow from them (table in
/// docs/operating.md). What an operator sets wins over each of them.
/// </summary>
/// <param name="Cores">Processors, as the container or DOTNET_PROCESSOR_COUNT limits them.</param>
/// <param name="MemoryBytes">Memory of the container or machine.</param>
internal readonly record struct MachineSize(int Cores, long MemoryBytes)
{
    private const long Mebibyte = 1024 * 1024;

    /// <summary>Of this process.</summary>
    public static MachineSize Here { get; } = new(Environment.ProcessorCount, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);

    /// <summary>
    /// Writers: each keeps about one core of PostgreSQL busy, and one more has work for it while another waits for the disk to commit
    /// (docs/benchmarks.md).
    /// </summary>
    public int Writers => Math.Min(Cores + 1, 9);

    /// <summary>Memory above which requests are refused; the rest is for the runtime and what shares the machine.</summary>
    public long MemoryLimitBytes => MemoryBytes / 4 * 3;

    /// <summary>Bytes that requests may hold until their commit.</summary>
    public long QueueBytes => Share(8, 16, 128);

    /// <summary>Bytes of buffers kept for the requests that follow.</summary>
    public long KeptBufferBytes => Share(16, 8, 64);

    /// <summary>Bytes that may wait to be forwarded.</summary>
    public long ForwardQueueBytes => Share(16, 16, 256);

    /// <summary>Connections of the pool: one a writer, eight for roll-ups, retention and upkeep, and the rest for readers.</summary>
    public int Connections(int writers) => writers + 8 + Math.Min(20 + (10 * Cores), 60);

    /// <summary>One part in <paramref name="parts"/> of the memory, in whole MiB within the bounds.</summary>
    private long Share(long parts, long least, long most) => Math.Clamp(MemoryBytes / parts / Mebibyte, least, most) * Mebibyte;
}
