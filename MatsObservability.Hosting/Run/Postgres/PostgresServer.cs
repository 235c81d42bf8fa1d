using System.Globalization;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Hosting.Run.Processes;
using Npgsql;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>
/// A real PostgreSQL server as a child process: on loopback only, with passwords, stopped when this process ends in any way.
/// </summary>
/// <remarks>
/// Steps of a start: 1 read what the data folder is; 2 find programs that can run it; 3 as root, choose the account; 4 make the folder if
/// it is new; 5 clear a dead server's lock; 6 start; 7 wait until it answers.
/// </remarks>
public sealed class PostgresServer : IAsyncDisposable
{
    private const int PortAttempts = 5;

    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(6);
    private static readonly TimeSpan s_answerInterval = TimeSpan.FromMilliseconds(25);

    private readonly PostgresServerOptions _options;
    private readonly IPostgresLauncher _launcher;
    private readonly PostgresLog _log;
    private ChildProcess? _process;
    private IAsyncDisposable? _flusher;

    private PostgresServer(PostgresServerOptions options, IPostgresLauncher launcher)
    {
        _options = options;
        _launcher = launcher;
        _log = new PostgresLog(options.Log);
    }

    /// <summary>The TCP port on the loopback interface.</summary>
    public int Port { get; private set; }

    /// <summary>Process id of the running server (of the runtime's command when it runs in a container).</summary>
    public int ProcessId => _process?.Id ?? throw new InvalidOperationException("The server is stopped.");

    /// <summary>What runs: version and origin, for people.</summary>
    public string Description => _launcher.Description;

    /// <summary>Completes with the exit code when the server ends by itself or is stopped.</summary>
    public Task<int> Exited => _process?.Exited ?? throw new InvalidOperationException("The server is stopped.");

    /// <summary>Starts a server and waits until it answers.</summary>
    /// <exception cref="PostgresStartException">It cannot run; the message is one line for people.</exception>
    public static async Task<PostgresServer> StartAsync(PostgresServerOptions options, CancellationToken cancellationToken = default)
    {
        var folder = new PostgresDataFolder(options.DataDirectory, options);
        var major = folder.ReadMajor();
        var choice = await PostgresFinder.FindAsync(options, major, cancellationToken);
        IPostgresLauncher launcher = choice.Programs is { } programs
            ? await ProgramLauncher.PrepareAsync(programs, folder, isNew: major is null, options, cancellationToken)
            : new ContainerLauncher(choice.ContainerRuntime!, major, folder, options);
        var server = new PostgresServer(options, launcher);
        try
        {
            await server.LaunchAsync(cancellationToken);
            server.FlushPages();
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    /// <summary>Npgsql connection string of a database of this server.</summary>
    public string ConnectionString(string database) => new NpgsqlConnectionStringBuilder
    {
        Host = "127.0.0.1",
        Port = Port,
        Username = _options.UserName,
        Password = _options.Password,
        Database = database,
    }.ConnectionString;

    /// <summary>Stops the server and starts it again on the same port and data.</summary>
    /// <param name="immediate">Stop as a crash would, so that the start recovers from the write-ahead log.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task RestartAsync(bool immediate, CancellationToken cancellationToken = default)
    {
        await StopAsync(immediate, s_stopLimit);
        await LaunchAsync(cancellationToken);
    }

    /// <summary>
    /// Stops the server: open transactions are rolled back, committed data stay. After <paramref name="limit"/> it is killed.
    /// </summary>
    public Task StopAsync(TimeSpan limit) => StopAsync(immediate: false, limit);

    /// <summary>As <see cref="StopAsync(TimeSpan)"/> after six seconds.</summary>
    public async ValueTask DisposeAsync()
    {
        await StopAsync(s_stopLimit);
        if (_flusher is not null)
        {
            await _flusher.DisposeAsync();
        }
    }

    private void FlushPages()
    {
        if (OperatingSystem.IsLinux() && _options.Settings.GetValueOrDefault("fsync") != "off")
        {
            var flusher = new PageFlusher(_options.DataDirectory);
            flusher.Start();
            _flusher = flusher;
        }
    }

    private async Task LaunchAsync(CancellationToken cancellationToken)
    {
        for (var attempt = 1; ; attempt++)
        {
            var port = Port != 0 ? Port : _options.Port != 0 ? _options.Port : FreePort.Next();
            _log.Clear();
            _process = ChildProcess.Start(await _launcher.SpecAsync(port, _log.Write, cancellationToken));
            if (await WaitUntilAnsweringAsync(port, cancellationToken))
            {
                Port = port;
                return;
            }

            await StopAsync(immediate: true, s_stopLimit);
            var fixedPort = Port != 0 || _options.Port != 0;
            if (!_log.SaysPortIsTaken || fixedPort || attempt == PortAttempts)
            {
                throw new PostgresStartException($"PostgreSQL did not start: {_log.Reason ?? "it ended without a message"} (data folder {_options.DataDirectory}, port {port.ToString(CultureInfo.InvariantCulture)})");
            }
        }
    }

    /// <summary>False when the server ended instead.</summary>
    private async Task<bool> WaitUntilAnsweringAsync(int port, CancellationToken cancellationToken)
    {
        var connectionString = new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = port,
            Username = _options.UserName,
            Password = _options.Password,
            Database = "postgres",
            Pooling = false,
            Timeout = 5,
        }.ConnectionString;
        while (!_process!.Exited.IsCompleted)
        {
            try
            {
                await using var connection = new NpgsqlConnection(connectionString);
                await connection.OpenAsync(cancellationToken);
                return !_process.Exited.IsCompleted;
            }
            catch (PostgresException wrong) when (wrong.SqlState is PostgresErrorCodes.InvalidPassword
                or PostgresErrorCodes.InvalidAuthorizationSpecification)
            {
                throw new PostgresStartException($"The data folder {_options.DataDirectory} was made with another password or user than the one given for '{_options.UserName}'; give that one, or choose another folder.", wrong);
            }
            catch (Exception notYet) when (notYet is NpgsqlException or TimeoutException)
            {
                // Not listening yet, or still recovering after a crash, which takes as long as it takes.
                await Task.WhenAny(_process.Exited, Task.Delay(s_answerInterval, cancellationToken));
                cancellationToken.ThrowIfCancellationRequested();
            }
        }

        return false;
    }

    private async Task StopAsync(bool immediate, TimeSpan limit)
    {
        if (_process is not { } process)
        {
            return;
        }

        if (immediate && !OperatingSystem.IsWindows())
        {
            process.Signal(UnixSignal.Quit);
        }
        else
        {
            await _launcher.RequestStopAsync(process);
        }

        // What a slow shutdown checkpoint leaves undone, the next start recovers from the log.
        await Task.WhenAny(process.Exited, Task.Delay(limit));
        await process.DisposeAsync();
        _process = null;
    }
}
