using System.Diagnostics;
using System.Formats.Tar;
using System.Globalization;
using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>A repository ready to be read.</summary>
/// <param name="Fault">Why it cannot be read; null when it can.</param>
/// <param name="Commit">The commit that is read; null without history (an archive or a plain folder).</param>
/// <param name="Files">Paths relative to <paramref name="Root"/>, with forward slashes.</param>
/// <param name="Note">A limit of what is read, such as another version than the one in production.</param>
internal sealed record OpenRepository(string Root, string? Commit, IReadOnlyList<string> Files, string? Fault, string? Note)
{
    /// <summary>
    /// The file that shares the longest end with a path of the telemetry, where its name at least is the same; null when none does.
    /// </summary>
    public string? BestFile(string path)
    {
        var wanted = path.Replace('\\', '/').Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (wanted.Length == 0)
        {
            return null;
        }

        var bare = Path.GetFileNameWithoutExtension(wanted[^1]);
        return Files
            .Select(file => (File: file, Score: Shared(file.Split('/'), wanted, bare)))
            .Where(candidate => candidate.Score > 0)
            .OrderByDescending(candidate => candidate.Score).ThenBy(candidate => candidate.File.Length).ThenBy(
                candidate => candidate.File, StringComparer.Ordinal)
            .Select(candidate => candidate.File)
            .FirstOrDefault();
    }

    private static int Shared(string[] file, string[] wanted, string bare)
    {
        var same = 0;
        while (same < file.Length && same < wanted.Length && file[^(same + 1)].Equals(wanted[^(same + 1)], StringComparison.Ordinal))
        {
            same++;
        }

        // A logger names its class, not its file: Class#42 is in Class.java, class.py or Class.cs.
        return same > 0 ? same + 1 : Path.GetFileNameWithoutExtension(file[^1]).Equals(bare, StringComparison.OrdinalIgnoreCase)
            && !wanted[^1].Contains('.') ? 1 : 0;
    }
}

/// <summary>
/// Repositories by path or address: a local git work tree or bare repository, a .zip, .tar or .tar.gz, a plain folder, or an address that
/// git can clone over https, ssh or file. Only argument vectors reach git; nothing of a repository is ever run.
/// </summary>
internal sealed class CodeRepository(IOptions<MatsOptions> options)
{
    private const int MaxFileBytes = 2 * 1024 * 1024;
    private const int MaxFiles = 50_000;
    private const int MaxHits = 50;
    private const long MaxArchiveBytes = 512L * 1024 * 1024;
    private static readonly TimeSpan s_gitTimeout = TimeSpan.FromSeconds(120);
    private static readonly string[] s_schemes = ["https", "http", "ssh", "file"];

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
                var files = Directory.EnumerateFiles(root.Path, "*", SearchOption.AllDirectories).Take(MaxFiles)
                    .Select(file => Path.GetRelativePath(root.Path, file).Replace('\\', '/')).ToList();
                return new(root.Path, null, files, null, "The code was given without its history: no last change is known.");
            }

            var commit = version is { Length: >= 7 } && IsRevision(version)
                ? await RevisionAsync(root.Path, version, cancellationToken) : null;
            var note = commit is null ? Jobs.ErrorCode.VersionShaNotFound.UserMessage : null;
            commit ??= await RevisionAsync(root.Path, "HEAD", cancellationToken);
            if (commit is null)
            {
                return new("", null, [], $"{Redact(repoUrl)} has no commit", null);
            }

            var listed = await GitAsync(root.Path, ["ls-tree", "-r", "--name-only", "-z", commit], cancellationToken);
            return new(root.Path, commit, [.. listed.Output.Split('\0', StringSplitOptions.RemoveEmptyEntries).Take(MaxFiles)], null, note);
        }
        catch (Exception e) when (
            e is IOException or UnauthorizedAccessException or InvalidDataException or System.ComponentModel.Win32Exception)
        {
            return new("", null, [], $"{Redact(repoUrl)} cannot be read: {e.Message}", null);
        }
    }

    /// <summary>The lines of a file; empty for one that is too large or not there.</summary>
    public static async Task<IReadOnlyList<string>> ReadLinesAsync(OpenRepository opened, string file, CancellationToken cancellationToken)
    {
        if (opened.Commit is not null)
        {
            var shown = await GitAsync(opened.Root, ["show", $"{opened.Commit}:{file}"], cancellationToken);
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
            var found = await GitAsync(
                opened.Root, ["grep", "-n", "-I", "-F", "-z", "--max-count=5", "-e", text, opened.Commit], cancellationToken);
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
            return parts.Length >= 2 && int.TryParse(parts[1], CultureInfo.InvariantCulture, out var number)
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

        var blamed = await GitAsync(
            opened.Root, ["blame", "--porcelain", "-L", string.Create(CultureInfo.InvariantCulture, $"{line},{line}"), opened.Commit, "--",
                file], cancellationToken);
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

    private async Task<(string Path, bool IsGit, string? Fault)> RootAsync(string repoUrl, CancellationToken cancellationToken)
    {
        var local = Uri.TryCreate(repoUrl, UriKind.Absolute, out var uri) && uri.IsFile ? uri.LocalPath : repoUrl;
        if (Directory.Exists(local))
        {
            var inside = await GitAsync(local, ["rev-parse", "--git-dir"], cancellationToken);
            return (Path.GetFullPath(local), inside.ExitCode == 0, null);
        }

        if (File.Exists(local))
        {
            return (await ExtractAsync(local, cancellationToken), false, null);
        }

        if (uri is null || !s_schemes.Contains(uri.Scheme) || uri.Host.Length == 0)
        {
            return (
                "", false, $"repo_url must be a folder, an archive or an address of https, ssh or file; nothing is at '{Redact(repoUrl)}'");
        }

        var clone = Path.Combine(Cache(), Key(repoUrl));
        var answer = Directory.Exists(clone)
            ? await GitAsync(clone, ["fetch", "--quiet", "--prune", "origin", "+refs/heads/*:refs/heads/*"], cancellationToken)
            : await GitAsync(Cache(), ["clone", "--quiet", "--bare", "--", repoUrl, clone], cancellationToken);
        return answer.ExitCode == 0 ? (clone, true, null) : ("", false, $"git cannot read {Redact(repoUrl)} (exit code {answer.ExitCode})");
    }

    private async Task<string> ExtractAsync(string archive, CancellationToken cancellationToken)
    {
        var target = Path.Combine(Cache(), Key($"{archive}:{File.GetLastWriteTimeUtc(archive).Ticks}"));
        if (Directory.Exists(target))
        {
            return target;
        }

        if (new FileInfo(archive).Length > MaxArchiveBytes)
        {
            throw new InvalidDataException($"the archive is larger than {MaxArchiveBytes} bytes");
        }

        var partial = target + ".partial";
        Directory.CreateDirectory(partial);
        await using var file = File.OpenRead(archive);
        if (archive.EndsWith(".zip", StringComparison.OrdinalIgnoreCase))
        {
            await ZipFile.ExtractToDirectoryAsync(file, partial, overwriteFiles: true, cancellationToken);
        }
        else
        {
            await using var content = archive.EndsWith("gz", StringComparison.OrdinalIgnoreCase)
                ? new GZipStream(file, CompressionMode.Decompress) : (Stream)file;
            await TarFile.ExtractToDirectoryAsync(content, partial, overwriteFiles: true, cancellationToken);
        }

        Directory.Move(partial, target);
        return target;
    }

    private string Cache()
    {
        var folder = options.Value.RepositoryCache.Length > 0 ? options.Value.RepositoryCache : Path.Combine(
            Path.GetTempPath(), "mats-repositories");
        return Directory.CreateDirectory(folder).FullName;
    }

    private static string Key(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..24];

    private static bool IsRevision(string version) =>
        version.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-') && version[0] != '-';

    private static async Task<string?> RevisionAsync(string root, string name, CancellationToken cancellationToken)
    {
        var parsed = await GitAsync(root, ["rev-parse", "--verify", "--quiet", "--end-of-options", name + "^{commit}"], cancellationToken);
        return parsed.ExitCode == 0 ? parsed.Output.Trim().Split('\n')[^1] : null;
    }

    private static async Task<(int ExitCode, string Output)> GitAsync(
        string folder, string[] arguments, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo("git")
        {
            WorkingDirectory = folder, RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };

        // No hooks, no helpers, no prompts, no ext:: transports: the repository is data.
        string[] safety = ["-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "safe.directory=*"];
        foreach (var argument in safety.Concat(arguments))
        {
            start.ArgumentList.Add(argument);
        }

        start.Environment["GIT_TERMINAL_PROMPT"] = "0";
        start.Environment["GIT_ALLOW_PROTOCOL"] = "file:https:http:ssh";
        start.Environment["GIT_CONFIG_NOSYSTEM"] = "1";
        using var git = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(s_gitTimeout);
        try
        {
            var errors = git.StandardError.ReadToEndAsync(limit.Token);
            var output = await git.StandardOutput.ReadToEndAsync(limit.Token);
            await errors;
            await git.WaitForExitAsync(limit.Token);
            return (git.ExitCode, output);
        }
        catch (OperationCanceledException e)
        {
            git.Kill(entireProcessTree: true);
            cancellationToken.ThrowIfCancellationRequested();
            throw new IOException($"git gave no answer within {s_gitTimeout.TotalSeconds} s", e);
        }
    }
}
