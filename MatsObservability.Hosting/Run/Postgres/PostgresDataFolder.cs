using System.Globalization;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>The folder that keeps the databases: is it usable, whose is it, and how a new one is made.</summary>
internal sealed class PostgresDataFolder(string path, PostgresServerOptions options)
{
    private static readonly TimeSpan s_takeOverLimit = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_pollInterval = TimeSpan.FromMilliseconds(100);

    public string Path { get; } = System.IO.Path.GetFullPath(path);

    private string PidFile => System.IO.Path.Combine(Path, "postmaster.pid");

    /// <summary>Major version that made the data; null when the folder is absent or empty.</summary>
    /// <exception cref="PostgresStartException">The folder holds something else, or this account may not read it.</exception>
    public int? ReadMajor()
    {
        try
        {
            if (File.Exists(Path))
            {
                throw new PostgresStartException($"The data folder {Path} is a file; choose another folder.");
            }

            if (!Directory.Exists(Path) || !Directory.EnumerateFileSystemEntries(Path).Any())
            {
                return null;
            }

            var versionFile = System.IO.Path.Combine(Path, "PG_VERSION");
            if (!File.Exists(versionFile))
            {
                throw new PostgresStartException($"The data folder {Path} is not empty and holds no PostgreSQL data (it has no PG_VERSION file); empty it or choose another folder.");
            }

            var text = File.ReadAllText(versionFile).Trim();
            return int.TryParse(text.Split('.')[0], CultureInfo.InvariantCulture, out var major) ? major
                : throw new PostgresStartException($"The data folder {Path} has an unreadable PG_VERSION file ('{text}'); restore it or choose another folder.");
        }
        catch (UnauthorizedAccessException denied)
        {
            throw new PostgresStartException($"The data folder {Path} belongs to another account than '{Environment.UserName}'; give it to this account (chown) or choose another folder.", denied);
        }
    }

    /// <summary>Makes a new data folder in one step: either it is complete afterwards or it is not there.</summary>
    public async Task CreateAsync(PostgresPrograms programs, UnprivilegedAccount? account, CancellationToken cancellationToken)
    {
        options.Log?.Invoke($"Creating a data folder for PostgreSQL {programs.Version} in {Path}");
        var parent = System.IO.Path.GetDirectoryName(Path)!;
        Directory.CreateDirectory(parent);
        var unfinished = $"{Path}.new-{Guid.NewGuid():N}";
        var passwordFile = unfinished + ".pw";
        try
        {
            CreatePrivate(unfinished, passwordFile);
            account?.TakeOver(unfinished);
            if (account is not null)
            {
                UnixCalls.ChangeOwner(passwordFile, account.UserId, account.GroupId);
            }

            string[] arguments =
            [
                "--pgdata", unfinished, "--username", options.UserName, "--pwfile", passwordFile, "--auth", "scram-sha-256",
                "--encoding", "UTF8", "--locale", "C", "--data-checksums",
                .. options.Settings.GetValueOrDefault("fsync") == "off" ? ["--no-sync"] : Array.Empty<string>(),
            ];
            var spec = new ChildProcessSpec(programs.InitDb, arguments)
            {
                Account = account?.Name,
                WorkingDirectory = unfinished,
                Environment = PostgresEnvironment.Clean,
            };
            var result = await Command.RunAsync(spec, cancellationToken);
            if (result.ExitCode != 0)
            {
                throw new PostgresStartException($"initdb could not create the data folder {Path}: {result.LastLine}");
            }

            if (Directory.Exists(Path))
            {
                Directory.Delete(Path);
            }

            Directory.Move(unfinished, Path);
        }
        catch (UnauthorizedAccessException denied)
        {
            throw new PostgresStartException($"The data folder {Path} cannot be created: {denied.Message}", denied);
        }
        finally
        {
            File.Delete(passwordFile);
            if (Directory.Exists(unfinished))
            {
                Directory.Delete(unfinished, recursive: true);
            }
        }
    }

    /// <summary>
    /// Clears the way for a new server: waits for one that is still stopping (its AppHost was killed), and removes the lock file of a dead
    /// one whose process id now belongs to another program.
    /// </summary>
    /// <exception cref="PostgresStartException">A server still uses the folder.</exception>
    public async Task ReleaseAsync(CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (ReadServerProcess() is { } processId)
        {
            if (!await IsServerAsync(processId, cancellationToken))
            {
                File.Delete(PidFile);
                return;
            }

            if (TimeProvider.System.GetElapsedTime(started) > s_takeOverLimit)
            {
                throw new PostgresStartException($"PostgreSQL process {processId} already uses the data folder {Path}; stop that server (or the AppHost that runs it) first.");
            }

            await Task.Delay(s_pollInterval, cancellationToken);
        }
    }

    /// <summary>Process id of the running server as it wrote it itself; null when there is none.</summary>
    public int? ReadServerProcess()
    {
        try
        {
            var line = File.ReadLines(PidFile).FirstOrDefault();
            return int.TryParse(line, CultureInfo.InvariantCulture, out var processId) ? processId : null;
        }
        catch (Exception gone) when (gone is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    private static async Task<bool> IsServerAsync(int processId, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows())
        {
            var list = await Command.RunAsync(new("tasklist", ["/fi", $"pid eq {processId}", "/fo", "csv", "/nh"]), cancellationToken);
            return list.Output.Contains("postgres", StringComparison.OrdinalIgnoreCase);
        }

        var name = File.Exists($"/proc/{processId}/comm")
            ? await File.ReadAllTextAsync($"/proc/{processId}/comm", cancellationToken)
            : UnixCalls.Exists(processId)
                ? (await Command.RunAsync(new("ps", ["-p", $"{processId}", "-o", "comm="]), cancellationToken)).Output
                : "";
        return name.Contains("postgres", StringComparison.Ordinal) || name.Contains("postmaster", StringComparison.Ordinal);
    }

    private void CreatePrivate(string folder, string passwordFile)
    {
        if (OperatingSystem.IsWindows())
        {
            Directory.CreateDirectory(folder);
            File.WriteAllText(passwordFile, options.Password);
            return;
        }

        const UnixFileMode ownerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Directory.CreateDirectory(folder, ownerOnly | UnixFileMode.UserExecute);
        using var file = new FileStream(passwordFile,
            new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, UnixCreateMode = ownerOnly });
        using var writer = new StreamWriter(file);
        writer.WriteLine(options.Password);
    }
}
