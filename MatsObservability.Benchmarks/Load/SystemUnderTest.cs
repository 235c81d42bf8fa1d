using System.Globalization;
using System.Security.Cryptography;
using MatsObservability.Hosting.Run.Postgres;
using Npgsql;

namespace MatsObservability.Benchmarks.Load;

/// <summary>What a benchmark needs to run.</summary>
internal sealed class SystemOptions
{
    /// <summary>Whether Orchestrator.Agent runs as well.</summary>
    public bool WithOrchestrator { get; init; }

    /// <summary>PostgreSQL settings over the defaults of a local run.</summary>
    public IReadOnlyDictionary<string, string> Postgres { get; init; } = new Dictionary<string, string>();

    /// <summary>Environment variables of Phoenix.Service.</summary>
    public IReadOnlyDictionary<string, string?> Phoenix { get; init; } = new Dictionary<string, string?>();

    /// <summary>Environment variables of Orchestrator.Agent.</summary>
    public IReadOnlyDictionary<string, string?> Orchestrator { get; init; } = new Dictionary<string, string?>();
}

/// <summary>
/// PostgreSQL, Phoenix.Service and, when asked for, Orchestrator.Agent as child processes on free ports in a temporary folder. Disposing
/// ends them and removes the folder; they end with this process in any case.
/// </summary>
internal sealed class SystemUnderTest : IAsyncDisposable
{
    private const string Database = "phoenixdb";

    private readonly SystemOptions _options;
    private readonly List<PhoenixProcess> _replicas = [];
    private readonly List<ServiceProcess> _orchestrators = [];

    private SystemUnderTest(string folder, PostgresServer postgres, SystemOptions options) =>
        (Folder, Postgres, _options) = (folder, postgres, options);

    /// <summary>The temporary folder.</summary>
    public string Folder { get; }

    /// <summary>The database server.</summary>
    public PostgresServer Postgres { get; }

    /// <summary>Npgsql connection string of the service's database, with its schema in the search path.</summary>
    public string ConnectionString =>
        new NpgsqlConnectionStringBuilder(Postgres.ConnectionString(Database)) { SearchPath = "phoenix" }.ConnectionString;

    /// <summary>The first replica of Phoenix.Service.</summary>
    public PhoenixProcess Phoenix => _replicas[0];

    /// <summary>Base address of Orchestrator.Agent.</summary>
    public string OrchestratorUrl => _orchestrators.Count > 0
        ? _orchestrators[0].Url
        : throw new InvalidOperationException("The orchestrator was not asked for.");

    /// <summary>Starts everything and waits until it is ready.</summary>
    public static async Task<SystemUnderTest> StartAsync(SystemOptions options, CancellationToken cancellationToken)
    {
        var folder = Directory.CreateDirectory(Path.Combine(Path.GetTempPath(), $"mats-benchmark-{Guid.NewGuid():N}")).FullName;
        var postgres = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataDirectory = Path.Combine(folder, "postgres"),
            Password = RandomNumberGenerator.GetHexString(24),
            Settings = options.Postgres,
        }, cancellationToken);
        var system = new SystemUnderTest(folder, postgres, options);
        try
        {
            await ExecuteAsync(postgres.ConnectionString("postgres"), $"CREATE DATABASE {Database}", cancellationToken);
            await system.AddPhoenixAsync(cancellationToken);
            if (options.WithOrchestrator)
            {
                await system.AddOrchestratorAsync(cancellationToken);
            }

            return system;
        }
        catch
        {
            await system.DisposeAsync();
            throw;
        }
    }

    /// <summary>Starts another replica of Phoenix.Service over the same database.</summary>
    public async Task<PhoenixProcess> AddPhoenixAsync(CancellationToken cancellationToken)
    {
        var replica = new PhoenixProcess(new Dictionary<string, string?>(_options.Phoenix, StringComparer.Ordinal)
        {
            ["ConnectionStrings__phoenixdb"] = Postgres.ConnectionString(Database),
        });
        _replicas.Add(replica);
        await replica.StartAsync(cancellationToken);
        return replica;
    }

    /// <summary>Starts another replica of Orchestrator.Agent; its own spans go into Phoenix.Service.</summary>
    public async Task<ServiceProcess> AddOrchestratorAsync(CancellationToken cancellationToken)
    {
        var replica = new ServiceProcess("Orchestrator.Agent",
            new Dictionary<string, string?>(_options.Orchestrator, StringComparer.Ordinal)
            {
                ["ConnectionStrings__phoenixdb"] = Postgres.ConnectionString(Database),
                ["services__phoenix__http__0"] = Phoenix.HttpUrl,
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Phoenix.GrpcUrl,
            }, "/health");
        _orchestrators.Add(replica);
        await replica.StartAsync(cancellationToken);
        return replica;
    }

    /// <summary>The first column of the first row of <paramref name="sql"/>.</summary>
    public async Task<T> ScalarAsync<T>(string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        return (T)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Runs <paramref name="sql"/> in the service's database.</summary>
    public Task ExecuteAsync(string sql, CancellationToken cancellationToken) => ExecuteAsync(ConnectionString, sql, cancellationToken);

    /// <summary>Processor time PostgreSQL has used, all its processes together; zero where the system does not tell.</summary>
    public TimeSpan PostgresProcessorTime()
    {
        if (!OperatingSystem.IsLinux())
        {
            return TimeSpan.Zero;
        }

        var stats = Directory.EnumerateDirectories("/proc").Select(ReadStat).OfType<string[]>().ToList();
        var members = new HashSet<string>(StringComparer.Ordinal) { Postgres.ProcessId.ToString(CultureInfo.InvariantCulture) };
        for (var known = 0; known != members.Count;)
        {
            known = members.Count;
            members.UnionWith(stats.Where(stat => members.Contains(stat[2])).Select(stat => stat[0]));
        }

        // Own time and that of ended children, in hundredths of a second (proc(5), stat).
        var ticks = stats.Where(stat => members.Contains(stat[0]))
            .Sum(stat => stat[3..7].Sum(field => long.Parse(field, CultureInfo.InvariantCulture)));
        return TimeSpan.FromMilliseconds(ticks * 10);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        foreach (var replica in _orchestrators)
        {
            await replica.DisposeAsync();
        }

        foreach (var replica in _replicas)
        {
            await replica.DisposeAsync();
        }

        await Postgres.DisposeAsync();
        Directory.Delete(Folder, recursive: true);
    }

    private static async Task ExecuteAsync(string connectionString, string sql, CancellationToken cancellationToken)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    /// <summary>
    /// pid, name, parent, user, system, children's user and system time of one /proc entry; null when it is none or has ended.
    /// </summary>
    private static string[]? ReadStat(string directory)
    {
        try
        {
            if (!int.TryParse(Path.GetFileName(directory), CultureInfo.InvariantCulture, out _))
            {
                return null;
            }

            var text = File.ReadAllText(Path.Combine(directory, "stat"));
            var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
            return [Path.GetFileName(directory), "", fields[1], .. fields[11..15]];
        }
        catch (IOException)
        {
            return null;
        }
    }
}
