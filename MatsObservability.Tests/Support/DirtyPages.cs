using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace MatsObservability.Tests.Support;

/// <summary>What the system has of a file in memory and not yet on the disk, by Linux's <c>cachestat</c> (since 6.5).</summary>
internal static class DirtyPages
{
    // The number is the same on every architecture.
    private const long CacheStat = 451;

    /// <summary>Pages of 4 KB that are changed or being written; null when this kernel does not tell.</summary>
    public static long? Of(string path)
    {
        using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        long[] wholeFile = [0, 0];
        var pages = new long[5];
        return SystemCall(CacheStat, file, wholeFile, pages, 0) == 0 ? pages[1] + pages[2] : null;
    }

    [DllImport("libc", EntryPoint = "syscall")]
    [DefaultDllImportSearchPaths(DllImportSearchPath.SafeDirectories)]
    private static extern long SystemCall(long number, SafeFileHandle file, long[] range, long[] pages, long flags);
}

/// <summary>A test that asks for <see cref="DirtyPages"/>.</summary>
internal sealed class DirtyPagesFactAttribute : FactAttribute
{
    public DirtyPagesFactAttribute() =>
        Skip = DirtyPages.Of(typeof(DirtyPages).Assembly.Location) is null ? "needs cachestat (Linux 6.5)" : null;
}
