using System.Diagnostics;
using System.Globalization;

namespace MatsObservability.Benchmarks.Load;

/// <summary>
/// Memory that nobody has used yet. Files that grow need such pages all the time, and on a virtual machine whose free memory is its
/// host's, each of them waits for the host. A server that has run for hours has none left: the cache of its files takes all.
/// </summary>
internal static class FreshPages
{
    private const int SampleBytes = 256 * 1024 * 1024;

    /// <summary>Microseconds that the first touch of a page takes, over 256 MiB.</summary>
    public static double Microseconds()
    {
        // The runtime takes an array of this size from the system, and does not touch it.
        var memory = GC.AllocateUninitializedArray<byte>(SampleBytes);
        var clock = Stopwatch.StartNew();
        for (var offset = 0; offset < memory.Length; offset += Environment.SystemPageSize)
        {
            memory[offset] = 1;
        }

        return clock.Elapsed.TotalMicroseconds * Environment.SystemPageSize / SampleBytes;
    }

    /// <summary>
    /// Brings the machine where a server's hours bring it: fills the free memory with the cache of a file in <paramref name="folder"/> that
    /// is all hole, so that nothing is read or written, and that the system drops for whoever needs memory. Nothing is done where the system
    /// does not tell what is free.
    /// </summary>
    public static async Task UseUpAsync(string folder, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        await using var file = new FileStream(Path.Combine(folder, "unused-memory"), FileMode.Create, FileAccess.ReadWrite);
        file.SetLength(Math.Min(FreeBytes(), GC.GetGCMemoryInfo().TotalAvailableMemoryBytes));
        await file.CopyToAsync(Stream.Null, 1024 * 1024, cancellationToken);
    }

    /// <summary>proc(5): "MemFree:", kB.</summary>
    private static long FreeBytes()
    {
        var line = File.ReadLines("/proc/meminfo").First(static line => line.StartsWith("MemFree:", StringComparison.Ordinal));
        return long.Parse(line.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1], CultureInfo.InvariantCulture) * 1024;
    }
}
