using System.Globalization;
using System.Security.Cryptography;
using MatsObservability.Hosting.Run.Postgres;

namespace MatsObservability.Tests.Support;

/// <summary>A PostgreSQL server of the tests' own in a temporary folder, which goes with it.</summary>
internal sealed class TestPostgres : IAsyncDisposable
{
    private const string FolderPrefix = "mats-test-postgres-";

    private readonly PostgresServer _server;
    private readonly string _folder;

    private TestPostgres(PostgresServer server, string folder) => (_server, _folder) = (server, folder);

    /// <summary>
    /// A superuser's connection string: of the server that MATS_TEST_POSTGRES names, else of one started here, which ends with this
    /// process.
    /// </summary>
    public static async Task<string> ConnectionStringAsync()
    {
        if (Environment.GetEnvironmentVariable("MATS_TEST_POSTGRES") is { Length: > 0 } given)
        {
            return given;
        }

        RemoveDeadFolders();
        var server = await StartAsync();
        AppDomain.CurrentDomain.ProcessExit += (_, _) => server.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return server.ConnectionString("postgres");
    }

    /// <summary>Starts one, on any free port unless one is given.</summary>
    public static async Task<TestPostgres> StartAsync(int port = 0, string? password = null)
    {
        var folder = Path.Combine(Path.GetTempPath(), FolderPrefix + Guid.NewGuid().ToString("N"));
        return new TestPostgres(await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataDirectory = folder,
            Port = port,
            Password = password ?? RandomNumberGenerator.GetHexString(24),
            // Servers are killed here, the machine never is: no write waits for the disk. Each core runs tests with pools of their own.
            Settings = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["fsync"] = "off", ["full_page_writes"] = "off", ["max_connections"] = "1000",
            },
        }), folder);
    }

    /// <inheritdoc cref="PostgresServer.ConnectionString"/>
    public string ConnectionString(string database) => _server.ConnectionString(database);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        Directory.Delete(_folder, recursive: true);
    }

    /// <summary>Removes what runs that were killed left behind: folders whose server does not live any more.</summary>
    private static void RemoveDeadFolders()
    {
        foreach (var folder in Directory.EnumerateDirectories(Path.GetTempPath(), FolderPrefix + "*"))
        {
            try
            {
                var lockFile = Path.Combine(folder, "postmaster.pid");
                var process = File.Exists(lockFile) ? File.ReadLines(lockFile).FirstOrDefault() : null;
                var isAlive = int.TryParse(process, CultureInfo.InvariantCulture, out var id)
                    && Array.Exists(System.Diagnostics.Process.GetProcesses(), running => running.Id == id);
                if (!isAlive && Directory.GetLastWriteTimeUtc(folder) < TimeProvider.System.GetUtcNow().UtcDateTime - TimeSpan.FromHours(1))
                {
                    Directory.Delete(folder, recursive: true);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                // Another account's, or another run is just removing it.
            }
        }
    }
}
