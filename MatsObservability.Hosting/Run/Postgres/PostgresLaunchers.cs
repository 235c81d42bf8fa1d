using System.Globalization;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>Knows the command line of a server over a prepared data folder.</summary>
internal interface IPostgresLauncher
{
    /// <summary>Version and origin, for people.</summary>
    public string Description { get; }

    /// <summary>The command that runs the server in the foreground on a port.</summary>
    public Task<ChildProcessSpec> SpecAsync(int port, Action<string, bool> output, CancellationToken cancellationToken);

    /// <summary>Asks for a fast shutdown, without waiting for it.</summary>
    public Task RequestStopAsync(ChildProcess server);
}

/// <summary>Runs the server program itself.</summary>
internal sealed class ProgramLauncher : IPostgresLauncher
{
    private readonly PostgresPrograms _programs;
    private readonly PostgresDataFolder _folder;
    private readonly PostgresServerOptions _options;
    private readonly UnprivilegedAccount? _account;

    private ProgramLauncher(PostgresPrograms programs, PostgresDataFolder folder,
        PostgresServerOptions options, UnprivilegedAccount? account)
    {
        _programs = programs;
        _folder = folder;
        _options = options;
        _account = account;
    }

    public string Description =>
        $"PostgreSQL {_programs.Version} ({(_programs.Source == PostgresSource.Npm ? "npm package" : _programs.Folder)}{(_account is null ? "" : $", account {_account.Name}")})";

    /// <summary>Chooses the account and makes the data folder if it is new.</summary>
    public static async Task<ProgramLauncher> PrepareAsync(
        PostgresPrograms programs, PostgresDataFolder folder, bool isNew, PostgresServerOptions options,
        CancellationToken cancellationToken)
    {
        var account = await AccountAsync(programs, folder, cancellationToken);
        if (isNew)
        {
            await folder.CreateAsync(programs, account, cancellationToken);
        }
        else
        {
            await folder.ReleaseAsync(cancellationToken);
            account?.TakeOver(folder.Path);
        }

        return new ProgramLauncher(programs, folder, options, account);
    }

    public async Task<ChildProcessSpec> SpecAsync(int port, Action<string, bool> output, CancellationToken cancellationToken)
    {
        await _folder.ReleaseAsync(cancellationToken);
        var settings = PostgresSettings.Defaults(
            GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, new DriveInfo(_folder.Path).AvailableFreeSpace, _programs.HasLibrary);
        foreach (var (name, value) in _options.Settings)
        {
            settings[name] = value;
        }

        settings["port"] = port.ToString(CultureInfo.InvariantCulture);
        return new ChildProcessSpec(_programs.Server, ["-D", _folder.Path, .. PostgresSettings.Arguments(settings)])
        {
            WorkingDirectory = _folder.Path,
            Account = _account?.Name,
            Environment = PostgresEnvironment.Clean,
            StopSignal = UnixSignal.Interrupt,
            Output = output,
        };
    }

    public async Task RequestStopAsync(ChildProcess server)
    {
        if (!OperatingSystem.IsWindows())
        {
            server.Signal(UnixSignal.Interrupt);
            return;
        }

        var control = Path.Combine(_programs.Folder, "pg_ctl.exe");
        await Command.RunAsync(new(control, ["stop", "-D", _folder.Path, "-m", "fast", "-W"]), CancellationToken.None);
    }

    /// <summary>
    /// PostgreSQL refuses to run as root, so root gives the server to another account, which must be able to reach its files.
    /// </summary>
    private static async Task<UnprivilegedAccount?> AccountAsync(
        PostgresPrograms programs, PostgresDataFolder folder, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess)
        {
            return null;
        }

        var account = await UnprivilegedAccount.FindAsync(cancellationToken)
            ?? throw new PostgresStartException(
                "PostgreSQL does not run as root, and there is no account 'postgres' or 'nobody' to run it under.");
        foreach (var path in new[] { folder.Path, programs.Server })
        {
            if (!UnprivilegedAccount.CanReach(path))
            {
                throw new PostgresStartException($"PostgreSQL does not run as root, and the account '{account.Name}' cannot reach {path}: a folder above it is closed to other accounts.");
            }
        }

        return account;
    }
}

/// <summary>Runs the official image in the foreground, so that the runtime's command stands for the server and passes signals on.</summary>
internal sealed class ContainerLauncher(string runtime, int? dataMajor, PostgresDataFolder folder,
    PostgresServerOptions options) : IPostgresLauncher
{
    private const string DefaultTag = "18.3";
    private const string DataPath = "/data";

    public string Description => $"PostgreSQL in {runtime} ({Image})";

    private string Image => $"docker.io/library/postgres:{dataMajor?.ToString(CultureInfo.InvariantCulture) ?? DefaultTag}";

    public Task<ChildProcessSpec> SpecAsync(int port, Action<string, bool> output, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder.Path);
        var settings = PostgresSettings.Defaults(
            GC.GetGCMemoryInfo().TotalAvailableMemoryBytes, new DriveInfo(folder.Path).AvailableFreeSpace, hasLibrary: static _ => true);
        settings["listen_addresses"] = "*"; // Inside the container; the published port is on loopback only.
        foreach (var (name, value) in options.Settings)
        {
            settings[name] = value;
        }

        string[] arguments =
        [
            "run", "--rm", "--stop-signal", "SIGINT", "--publish", $"127.0.0.1:{port.ToString(CultureInfo.InvariantCulture)}:5432",
            "--volume", $"{folder.Path}:{DataPath}", "--env", $"PGDATA={DataPath}", "--env", "POSTGRES_USER", "--env", "POSTGRES_PASSWORD",
            "--env", "POSTGRES_HOST_AUTH_METHOD=scram-sha-256",
            "--env",
            "POSTGRES_INITDB_ARGS=--auth-host=scram-sha-256 --auth-local=scram-sha-256 --encoding=UTF8 --locale=C --data-checksums",
            Image, .. PostgresSettings.Arguments(settings),
        ];
        return Task.FromResult(new ChildProcessSpec(runtime, arguments)
        {
            Environment = new Dictionary<string, string?>
            {
                ["POSTGRES_USER"] = options.UserName,
                ["POSTGRES_PASSWORD"] = options.Password,
            },
            StopSignal = UnixSignal.Interrupt,
            Output = output,
        });
    }

    public Task RequestStopAsync(ChildProcess server)
    {
        server.Signal(UnixSignal.Interrupt);
        return Task.CompletedTask;
    }
}
