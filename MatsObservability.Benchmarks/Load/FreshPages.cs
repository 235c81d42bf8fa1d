using System.Diagnostics;

namespace MatsObservability.Benchmarks.Load;

/// <summary>
/// What the machine takes for a page of memory that was not used before. Files that grow need such pages all the time, and a virtual
/// machine that gives free memory back to its host waits for every one of them.
/// </summary>
internal static class FreshPages
{
    private const int Bytes = 256 * 1024 * 1024;

    /// <summary>Microseconds a page, over 256 MiB.</summary>
    public static double Microseconds()
    {
        // The runtime takes an array of this size from the system, and does not touch it.
        var memory = GC.AllocateUninitializedArray<byte>(Bytes);
        var clock = Stopwatch.StartNew();
        for (var offset = 0; offset < memory.Length; offset += Environment.SystemPageSize)
        {
            memory[offset] = 1;
        }

        return clock.Elapsed.TotalMicroseconds * Environment.SystemPageSize / Bytes;
    }
}
