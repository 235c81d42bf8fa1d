using System.Collections.Concurrent;
using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>
/// Repositories by path or address: a local git work tree or bare repository, a .zip, .tar or .tar.gz, a plain folder, or an address that
/// git can clone over https or ssh. Local paths are read where <see cref="MatsOptions.RepositoryRoots"/> allows it.
/// </summary>
internal sealed class CodeRepository(IOptions<MatsOptions> options)
{
    private const int MaxFileBytes = 2 * 1024 * 1024;
    private const int MaxFiles = 50_000;
    private const int MaxHits = 50;
    private const long MaxArchiveBytes = 512L * 1024 * 1024;
    private const int MaxListChars = 16 * 1024 * 1024;

    /// <summary>git's exit code when it could not do its work at all; one for a branch that it could not move is another.</summary>
    private const int GitDied = 128;

    /// <summary>Nobody fills a folder of the cache for longer: no job works for more than a day.</summary>
    private static readonly TimeSpan s_longestFill = TimeSpan.FromDays(1);
    private static readonly string[] s_schemes = ["https", "http", "ssh"];

    /// <summary>Links are left out: they lead anywhere.</summary>
    private static readonly EnumerationOptions s_files = new()
    {
        RecurseSubdirectories = true, AttributesToSkip = FileAttributes.ReparsePoint,
    };

    /// <summary>One job at a time fills or refreshes a folder of the cache.</summary>
    private readonly ConcurrentDictionary<string, SemaphoreSlim> _filling = new(StringComparer.Ordinal);

    /// <summary>An address without the user and password it may carry.</summary>
    public static string Redact(string repoUrl) =>
        Uri.TryCreate(repoUrl, UriKind.Absolute, out var uri) && uri.UserInfo.Length > 0
            ? new UriBuilder(uri) { UserName = "", Password = "" }.Uri.ToString() : repoUrl;

    /// <summary>Opens a repository at a version where it has that version, else at its default branch.</summary>
    public async Task<OpenRepository> OpenAsync(string repoUrl, string? version, CancellationToken cancellationToken)
    {
        try
        {
            var root = await RootAsync(repoUrl, cancellationToken);
            if (root.Fault is not null)
            {
                return new("", null, [], root.Fault, null);
            }

            if (!root.IsGit)
            {
                var files = Directory.EnumerateFiles(root.Path, "*", s_files).Take(MaxFiles)
                    .Select(file => Path.GetRelativePath(root.Path, file).Replace('\\', '/')).ToList();
                return new(root.Path, null, files, null, "The code was given without its history: no last change is known.");
            }

            var commit = version is { Length: >= 7 } && IsRevision(version)
                ? await RevisionAsync(root.Path, version, cancellationToken) : null;
            var note = commit is null ? $"{Jobs.ErrorCode.VersionShaNotFound.UserMessage} {root.Note}".TrimEnd() : root.Note;
            commit ??= await RevisionAsync(root.Path, "HEAD", cancellationToken);
            if (commit is null)
            {
                return new("", null, [], $"{Redact(repoUrl)} has no commit", null);
            }

            var listed = await Git.RunAsync(
                root.Path, ["ls-tree", "-r", "--name-only", "-z", commit], MaxListChars, cancellationToken);
            var whole = listed.Output[..(listed.Output.LastIndexOf('\0') + 1)];
            return new(root.Path, commit, [.. whole.Split('\0', StringSplitOptions.RemoveEmptyEntries).Take(MaxFiles)], null, note);
        }
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or ArgumentException
                or System.ComponentModel.Win32Exception)
        {
            return new("", null, [], $"{Redact(repoUrl)} cannot be read: {e.Message}", null);
        }
    }

    /// <summary>The lines of a file; empty for one that is too large or not there.</summary>
    public static async Task<IReadOnlyList<string>> ReadLinesAsync(OpenRepository opened, string file, CancellationToken cancellationToken)
    {
        if (opened.Commit is not null)
        {
            var shown = await Git.RunAsync(
                opened.Root, ["cat-file", "blob", $"{opened.Commit}:{file}"], MaxFileBytes + 1, cancellationToken);
            return shown.ExitCode == 0 && shown.Output.Length <= MaxFileBytes ? shown.Output.Split('\n') : [];
        }

        var path = Path.Combine(opened.Root, file);
        return new FileInfo(path) is { Exists: true, Length: <= MaxFileBytes } ? await File.ReadAllLinesAsync(path, cancellationToken) : [];
    }

    /// <summary>Where a literal text stands, at most 50 places.</summary>
    public static async Task<IReadOnlyList<(string File, int Line)>> SearchAsync(
        OpenRepository opened, string text, CancellationToken cancellationToken)
    {
        if (opened.Commit is not null)
        {
            var found = await Git.RunAsync(
                opened.Root, ["grep", "-n", "-I", "-F", "-z", "--no-textconv", "--max-count=5", "-e", text, opened.Commit], MaxFileBytes,
                cancellationToken);
            return [.. found.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Take(MaxHits).Select(Hit).OfType<(string, int)>()];
        }

        var hits = new List<(string, int)>();
        foreach (var file in opened.Files)
        {
            var lines = await ReadLinesAsync(opened, file, cancellationToken);
            for (var i = 0; i < lines.Count && hits.Count < MaxHits; i++)
            {
                if (lines[i].Contains(text, StringComparison.Ordinal))
                {
                    hits.Add((file, i + 1));
                }
            }
        }

        return hits;

        // One line of grep -z: "commit:file NUL line NUL text".
        static (string, int)? Hit(string line)
        {
            var parts = line.Split('\0');
            return parts.Length >= 3 && int.TryParse(parts[1], CultureInfo.InvariantCulture, out var number)
                ? (parts[0][(parts[0].IndexOf(':') + 1)..], number) : null;
        }
    }

    /// <summary>The commit that last touched a line; null without history.</summary>
    public static async Task<LastChange?> BlameAsync(OpenRepository opened, string file, int line, CancellationToken cancellationToken)
    {
        if (opened.Commit is null)
        {
            return null;
        }

        var range = string.Create(CultureInfo.InvariantCulture, $"{line},{line}");
        var blamed = await Git.RunAsync(
            opened.Root, ["blame", "--no-textconv", "--porcelain", "-L", range, opened.Commit, "--", file], MaxFileBytes,
            cancellationToken);
        if (blamed.ExitCode != 0)
        {
            return null;
        }

        var lines = blamed.Output.Split('\n');
        var seconds = lines.FirstOrDefault(l => l.StartsWith("committer-time ", StringComparison.Ordinal))?["committer-time ".Length..];
        var subject = lines.FirstOrDefault(l => l.StartsWith("summary ", StringComparison.Ordinal))?["summary ".Length..] ?? "";
        var date = long.TryParse(seconds, CultureInfo.InvariantCulture, out var unix)
            ? DateTimeOffset.FromUnixTimeSeconds(unix).ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture)
            : "";
        return new(lines[0].Split(' ')[0], date, subject);
    }

    private async Task<(string Path, bool IsGit, string? Fault, string? Note)> RootAsync(
        string repoUrl, CancellationToken cancellationToken)
    {
        if (Uri.TryCreate(repoUrl, UriKind.Absolute, out var uri) && s_schemes.Contains(uri.Scheme) && uri.Host.Length > 0)
        {
            return await CloneAsync(repoUrl, cancellationToken);
        }

        var local = Path.TrimEndingDirectorySeparator(Path.GetFullPath(uri is { IsFile: true } ? uri.LocalPath : repoUrl));
        if (!MayRead(local))
        {
            return ("", false, "repo_url must be an address of https or ssh, or lie in a folder of Mats:RepositoryRoots", null);
        }

        if (Directory.Exists(local))
        {
            var inside = await Git.RunAsync(local, ["rev-parse", "--git-dir"], MaxFileBytes, cancellationToken);
            return (local, inside.ExitCode == 0, null, null);
        }

        return File.Exists(local)
            ? (await ExtractAsync(local, cancellationToken), false, null, null)
            : ("", false, $"repo_url must be a folder, an archive or an address of https or ssh; nothing is at '{Redact(repoUrl)}'", null);
    }

    /// <summary>Without roots every path is readable for as long as nobody is asked who they are. A link may lead out of a root.</summary>
    private bool MayRead(string path)
    {
        var roots = options.Value.RepositoryRoots.Select(
            static root => Path.TrimEndingDirectorySeparator(Path.GetFullPath(root))).ToHashSet(StringComparer.Ordinal);
        if (roots.Count == 0)
        {
            return options.Value is { Tokens.Count: 0, EnforcePolicy: false };
        }

        var at = path;
        while (at is not null && !roots.Contains(at))
        {
            at = new FileInfo(at).LinkTarget is null ? Path.GetDirectoryName(at) : null;
        }

        return at is not null;
    }

    private async Task<(string Path, bool IsGit, string? Fault, string? Note)> CloneAsync(
        string repoUrl, CancellationToken cancellationToken)
    {
        var clone = Path.Combine(Cache(), $"{Key(repoUrl)}.git");
        var exitCode = 0;
        await FillAsync(clone, async partial =>
        {
            if (partial is null)
            {
                Unlock(clone);
            }

            var answer = partial is null
                ? await Git.RunAsync(
                    clone, ["fetch", "--quiet", "--prune", "origin", "+refs/heads/*:refs/heads/*"], MaxFileBytes, cancellationToken)
                : await Git.RunAsync(Cache(), ["clone", "--quiet", "--bare", "--", repoUrl, partial], MaxFileBytes, cancellationToken);
            exitCode = answer.ExitCode;
            return exitCode == 0;
        }, cancellationToken);
        return exitCode switch
        {
            0 => (clone, true, null, null),

            // Its server answered, but another process has the branches locked.
            not GitDied when Directory.Exists(clone) =>
                (clone, true, null, "The clone of the repository could not be refreshed: it may be as of its last refresh."),
            _ => ("", false, $"git cannot read {Redact(repoUrl)} (exit code {exitCode})", null),
        };
    }

    /// <summary>
    /// Removes what a git that was killed has left locked, on which every later fetch would fail. A lock that is not older than any git may
    /// still be in use; no branch has such a name.
    /// </summary>
    private static void Unlock(string clone)
    {
        string[] locks =
        [
            .. Directory.GetFiles(clone, "*.lock"), .. Directory.GetFiles(Path.Combine(clone, "refs"), "*.lock", s_files),
        ];
        foreach (var file in locks.Where(static file => IsOlder(file, Git.Limit)))
        {
            File.Delete(file);
        }
    }

    private async Task<string> ExtractAsync(string archive, CancellationToken cancellationToken)
    {
        if (new FileInfo(archive).Length > MaxArchiveBytes)
        {
            throw new InvalidDataException($"the archive is larger than {MaxArchiveBytes} bytes");
        }

        var target = Path.Combine(Cache(), Key($"{archive}:{File.GetLastWriteTimeUtc(archive).Ticks}"));
        await FillAsync(target, async partial =>
        {
            if (partial is not null)
            {
                await UnpackAsync(archive, Directory.CreateDirectory(partial).FullName, cancellationToken);
            }

            return true;
        }, cancellationToken);
        return target;
    }

    private static async Task UnpackAsync(string archive, string folder, CancellationToken cancellationToken)
    {
        await using var file = File.OpenRead(archive);
        if (archive.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
        {
            await ZipFile.ExtractToDirectoryAsync(file, folder, overwriteFiles: true, cancellationToken);
            return;
        }

        await using var content = archive.EndsWith("gz", StringComparison.OrdinalIgnoreCase)
            ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
        await TarFile.ExtractToDirectoryAsync(content, folder, overwriteFiles: true, cancellationToken);
    }

    /// <summary>
    /// Makes a folder of the cache whole or not at all: <paramref name="fill"/> gets the name of a folder beside it to make, or null where
    /// the folder is there already, and tells whether it is good.
    /// </summary>
    private async Task FillAsync(string target, Func<string?, Task<bool>> fill, CancellationToken cancellationToken)
    {
        var filling = _filling.GetOrAdd(target, static _ => new(1, 1));
        await filling.WaitAsync(cancellationToken);
        var partial = Directory.Exists(target) ? null : $"{target}.{Guid.NewGuid():N}";
        try
        {
            DeleteAbandoned(target);

            // Another process may have been faster: what it made is as good.
            if (await fill(partial) && partial is not null && !Directory.Exists(target))
            {
                Directory.Move(partial, target);
            }
        }
        finally
        {
            filling.Release();
            if (Directory.Exists(partial))
            {
                Directory.Delete(partial, recursive: true);
            }
        }
    }

    /// <summary>Deletes the folders of processes that were killed while they made this one.</summary>
    private static void DeleteAbandoned(string target)
    {
        // With the default options the pattern would match the target too.
        var beside = Directory.GetDirectories(Path.GetDirectoryName(target)!, $"{Path.GetFileName(target)}.*", new EnumerationOptions());
        foreach (var folder in beside.Where(static folder => IsOlder(folder, s_longestFill)))
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Whether a file or folder was last written longer ago, by the system's clock, as its time is.</summary>
    private static bool IsOlder(string path, TimeSpan age) =>
        File.GetLastWriteTimeUtc(path) < TimeProvider.System.GetUtcNow().UtcDateTime - age;

    /// <summary>The folder of clones and unpacked archives. Only this account may change it: git believes what stands there.</summary>
    private string Cache()
    {
        var configured = options.Value.RepositoryCache;
        var folder = configured.Length > 0 ? configured : Path.Combine(Path.GetTempPath(), $"mats-repositories-{Environment.UserName}");
        if (OperatingSystem.IsWindows())
        {
            return Directory.CreateDirectory(folder).FullName;
        }

        const UnixFileMode owner = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute;
        var cache = Directory.CreateDirectory(folder, owner);
        if (configured.Length == 0)
        {
            // Anybody can make this name first: as a link, or as a folder whose mode only they can set.
            cache.UnixFileMode = cache.LinkTarget is null ? owner : throw new IOException($"{folder} is a link");
        }

        return cache.FullName;
    }

    private static string Key(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..24];

    private static bool IsRevision(string version) =>
        version.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') && version[0] != '-';

    private static async Task<string?> RevisionAsync(string root, string name, CancellationToken cancellationToken)
    {
        var parsed = await Git.RunAsync(
            root, ["rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"], MaxFileBytes, cancellationToken);
        return parsed.ExitCode == 0 ? parsed.Output.Trim().Split('\n')[^1] : null;
    }
}
