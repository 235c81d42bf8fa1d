using System.Globalization;
using System.IO.Enumeration;
using System.Runtime.Versioning;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>
/// Sends the pages by which tables and indexes grow to the disk once a second. PostgreSQL grows a file by writing pages of zeros, which
/// none of its <c>*_flush_after</c> settings covers; Linux keeps them for 30 s and then writes all of a file's at once, hundreds of
/// megabytes at 20,000 spans/s, and every commit waits behind them.
/// </summary>
[SupportedOSPlatform("linux")]
internal sealed class PageFlusher : IAsyncDisposable
{
    /// <summary>Ids below it are PostgreSQL's own databases and catalogs (<c>FirstNormalObjectId</c>), which hardly grow.</summary>
    private const uint FirstUserObject = 16384;

    private static readonly EnumerationOptions s_anything = new() { AttributesToSkip = FileAttributes.None };

    private readonly string _databases;
    private readonly PeriodicTimer _timer = new(TimeSpan.FromSeconds(1));
    private Dictionary<string, long> _lengths;
    private Task _run = Task.CompletedTask;

    /// <param name="dataDirectory">The server's data folder; what is in it now is taken as written.</param>
    public PageFlusher(string dataDirectory)
    {
        _databases = Path.Combine(dataDirectory, "base");
        _lengths = Lengths();
    }

    /// <summary>Looks once a second until disposed.</summary>
    public void Start() => _run = RunAsync();

    /// <summary>Starts writing what the files have grown by since the last look, and returns how many bytes that is.</summary>
    public long Flush()
    {
        var (before, grown) = (_lengths, 0L);
        _lengths = Lengths();
        foreach (var (path, length) in _lengths)
        {
            var written = before.GetValueOrDefault(path);
            if (length > written && TryFlush(path, written, length - written))
            {
                grown += length - written;
            }
        }

        return grown;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        _timer.Dispose();
        await _run;
    }

    private async Task RunAsync()
    {
        while (await _timer.WaitForNextTickAsync())
        {
            Flush();
        }
    }

    private Dictionary<string, long> Lengths()
    {
        var lengths = new Dictionary<string, long>(StringComparer.Ordinal);
        try
        {
            foreach (var database in Directory.EnumerateDirectories(_databases).Where(static path => IsOfUser(Path.GetFileName(path))))
            {
                foreach (var (path, length) in Files(database))
                {
                    lengths[path] = length;
                }
            }
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            // A database was dropped meanwhile, or a container keeps the folder to its own account.
        }

        return lengths;
    }

    private static FileSystemEnumerable<(string Path, long Length)> Files(string database) =>
        new(database, static (ref FileSystemEntry entry) => (entry.ToFullPath(), entry.Length), s_anything)
        {
            ShouldIncludePredicate = static (ref FileSystemEntry entry) => IsOfUser(entry.FileName),
        };

    /// <summary>A file is named by its relation's number and, from the second gigabyte on, the segment's: <c>16397.1</c>.</summary>
    private static bool IsOfUser(ReadOnlySpan<char> name)
    {
        var segment = name.IndexOf('.');
        return uint.TryParse(segment < 0 ? name : name[..segment], NumberStyles.None, CultureInfo.InvariantCulture, out var id)
            && id >= FirstUserObject;
    }

    /// <summary>False when the file is gone or its file system cannot do it: then it is written when the system sees fit.</summary>
    private static bool TryFlush(string path, long offset, long length)
    {
        try
        {
            using var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
            return UnixCalls.StartWriting(file, offset, length);
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
