using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Hosting.Run.Programs;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Hosting.Postgres;

/// <summary>The settings of a managed server, as the server itself shows them.</summary>
[Trait("Req", "B081")]
[Trait("Req", "B082")]
[Trait("Req", "B083")]
[Trait("Req", "B084")]
[Trait("Req", "B085")]
public sealed class PostgresSettingsTests : IDisposable
{
    private const long Gigabyte = 1024L * 1024 * 1024;

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task StartAsync_UsualMachine_ShowsTheSettings()
    {
        // A machine of 8 GB with 20 GB free, whatever this one has.
        var settings = PostgresSettings.Defaults(8 * Gigabyte, 20 * Gigabyte, static _ => false);
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions { DataDirectory = Path.Combine(_folder.Path, "data"), Password = "p", Settings = settings });
        await using var source = NpgsqlDataSource.Create(server.ConnectionString("postgres"));

        foreach (var (name, expected) in new[]
        {
            ("work_mem", "32MB"), ("maintenance_work_mem", "256MB"), ("effective_cache_size", "4GB"), ("max_connections", "300"),
            ("superuser_reserved_connections", "5"),
            ("wal_buffers", "32MB"), ("max_wal_size", "2GB"), ("min_wal_size", "512MB"), ("shared_buffers", "512MB"),
            ("checkpoint_completion_target", "0.9"), ("backend_flush_after", "512kB"),
        })
        {
            await using var command = source.CreateCommand($"SHOW {name}");
            Assert.Equal((name, expected), (name, (string)(await command.ExecuteScalarAsync())!));
        }

        // Given when the server starts, never by SQL.
        await using var sources = source.CreateCommand(
            "SELECT string_agg(DISTINCT source, ',') FROM pg_settings WHERE name IN ('max_connections', 'work_mem', 'wal_buffers', 'max_wal_size')");
        Assert.Equal("command line", await sources.ExecuteScalarAsync());
    }

    [Fact]
    public void Settings_Variables_WinOverWhatTheMachineSuggests()
    {
        var variables = new Dictionary<string, string>(StringComparer.Ordinal)
        {
            ["PHOENIX_POSTGRES_WORK_MEM"] = "48MB",
            ["PHOENIX_POSTGRES_MAX_CONNECTIONS"] = "77",
        };

        var settings = PostgresProgram.Settings(isTemporary: true, name => variables.GetValueOrDefault(name));

        Assert.Equal(
            [("fsync", "off"), ("max_connections", "77"), ("work_mem", "48MB")],
            settings.OrderBy(setting => setting.Key, StringComparer.Ordinal).Select(setting => (setting.Key, setting.Value)));
    }

    [Fact]
    public async Task Start_ForeignServerWithPoorSettings_IsUsedAndEachIsNamedOnce()
    {
        await using var server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataDirectory = Path.Combine(_folder.Path, "data"), Password = "p",
            Settings = new Dictionary<string, string>(StringComparer.Ordinal)
            {
                ["work_mem"] = "4MB",
                ["max_connections"] = "90",
                ["max_wal_size"] = "1GB",
                ["wal_buffers"] = "2MB",
                ["effective_cache_size"] = "2GB",
                ["backend_flush_after"] = "0",
                ["full_page_writes"] = "off",
                ["synchronous_commit"] = "off",
            },
        });
        var log = new RecordedLog<global::Phoenix.Service.Storage.Postgres.ServerSettings>();
        await using (var source = NpgsqlDataSource.Create(server.ConnectionString("postgres")))
        {
            await new global::Phoenix.Service.Storage.Postgres.ServerSettings(source, log).CheckAsync(CancellationToken.None);
        }

        Assert.Equal(
        [
            "The PostgreSQL server's full_page_writes is off: acknowledged telemetry can be lost when the server crashes (docs/operating.md).",
            "The PostgreSQL server's synchronous_commit is off: acknowledged telemetry can be lost when the server crashes (docs/operating.md).",
            "The PostgreSQL server's work_mem is 4MB; 32MB suits this service better (docs/operating.md).",
            "The PostgreSQL server's max_connections is 90; 300 suits this service better (docs/operating.md).",
            "The PostgreSQL server's wal_buffers is 2MB; 32MB suits this service better (docs/operating.md).",
            "The PostgreSQL server's backend_flush_after is 0kB; 512kB suits this service better (docs/operating.md).",
        ], log.Lines);
        await using var phoenix = await PhoenixServer.StartAsync(server.ConnectionString("postgres"));
        using var answer = await phoenix.Client.PostAsync(Otlp.Spans(1));
        answer.EnsureSuccessStatusCode();
    }
}
