using System.Diagnostics;
using System.Net;
using System.Net.NetworkInformation;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Hosting.Postgres;

[Trait("Req", "B001")]
public sealed class PostgresServerTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task StartAsync_NewFolder_IsPrivateLoopbackServerWithChecksums()
    {
        await using var server = await PostgresServer.StartAsync(Options());
        await using var source = NpgsqlDataSource.Create(server.ConnectionString("postgres"));

        Assert.Equal("UTF8", await ScalarAsync(source, "SHOW server_encoding"));
        Assert.Equal("C", await ScalarAsync(source, "SELECT datcollate FROM pg_database WHERE datname = 'postgres'"));
        Assert.Equal("on", await ScalarAsync(source, "SHOW data_checksums"));
        Assert.Equal("scram-sha-256", await ScalarAsync(source, "SHOW password_encryption"));
        Assert.Equal("0", await ScalarAsync(source, "SELECT count(*)::text FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'"));
        Assert.Equal("1234", await ScalarAsync(source, "SHOW max_connections"));
        var listeners = IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners().Where(end => end.Port == server.Port).ToList();
        Assert.NotEmpty(listeners);
        Assert.All(listeners, end => Assert.True(IPAddress.IsLoopback(end.Address), end.ToString()));
    }

    [Fact]
    public async Task StartAsync_WrongPassword_IsRefusedByTheServer()
    {
        await using var server = await PostgresServer.StartAsync(Options());
        var wrong = new NpgsqlConnectionStringBuilder(server.ConnectionString("postgres")) { Password = "wrong", Pooling = false };
        await using var connection = new NpgsqlConnection(wrong.ConnectionString);

        var failure = await Assert.ThrowsAsync<PostgresException>(() => connection.OpenAsync());

        Assert.Equal(PostgresErrorCodes.InvalidPassword, failure.SqlState);
    }

    [Fact]
    public async Task StopAsync_ServerHangs_KillsItAfterTheLimit()
    {
        await using var server = await PostgresServer.StartAsync(Options());
        var exited = server.Exited;
        using var hang = Process.Start("kill", ["-STOP", $"{server.ProcessId}"]);
        await hang.WaitForExitAsync();

        await server.StopAsync(TimeSpan.FromMilliseconds(100));

        Assert.NotEqual(0, await exited);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task RestartAsync_CommittedRows_AreKept(bool immediate)
    {
        await using var server = await PostgresServer.StartAsync(Options());
        var port = server.Port;
        await ExecuteAsync(server, "CREATE TABLE kept AS SELECT 42 AS value");
        var first = server.ProcessId;

        await server.RestartAsync(immediate);

        Assert.Equal(port, server.Port);
        Assert.NotEqual(first, server.ProcessId);
        Assert.Equal("42", await ScalarAsync(server, "SELECT value::text FROM kept"));
    }

    [Fact]
    public async Task StartAsync_AfterDispose_FindsTheSameData()
    {
        int processId;
        await using (var first = await PostgresServer.StartAsync(Options()))
        {
            processId = first.ProcessId;
            await ExecuteAsync(first, "CREATE TABLE kept AS SELECT 42 AS value");
        }

        Assert.Throws<ArgumentException>(() => Process.GetProcessById(processId));
        await using var second = await PostgresServer.StartAsync(Options());
        Assert.Equal("42", await ScalarAsync(second, "SELECT value::text FROM kept"));
    }

    [Fact]
    public async Task StartAsync_LockFileOfADeadServer_IsCleared()
    {
        await using (await PostgresServer.StartAsync(Options()))
        {
        }

        // The id of a live process that is no server: what a reboot or a new container leaves behind.
        File.WriteAllText(Path.Combine(Data, "postmaster.pid"), $"{Environment.ProcessId}\n{Data}\n0\n5432\n\nlocalhost\n");

        await using var server = await PostgresServer.StartAsync(Options());
        Assert.Equal("1", await ScalarAsync(server, "SELECT '1'"));
    }

    [Fact]
    public async Task StartAsync_OtherPasswordThanTheFolderWasMadeWith_SaysSo()
    {
        await using (await PostgresServer.StartAsync(Options()))
        {
        }

        var failure = await Assert.ThrowsAsync<PostgresStartException>(() => PostgresServer.StartAsync(Options(password: "another")));

        Assert.Contains("made with another password", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("another\"", failure.Message, StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(Data, "postmaster.pid")), "the refused server must not stay behind");
    }

    [Fact]
    public async Task StartAsync_FolderWithOtherFiles_IsLeftAlone()
    {
        Directory.CreateDirectory(Data);
        File.WriteAllText(Path.Combine(Data, "thesis.txt"), "do not touch");

        var failure = await Assert.ThrowsAsync<PostgresStartException>(() => PostgresServer.StartAsync(Options()));

        Assert.Contains("holds no PostgreSQL data", failure.Message, StringComparison.Ordinal);
        Assert.Equal(["thesis.txt"], Directory.EnumerateFileSystemEntries(Data).Select(Path.GetFileName));
    }

    [Fact]
    public async Task StartAsync_DataOfAnotherVersion_NamesItAndTheFourWays()
    {
        Directory.CreateDirectory(Data);
        File.WriteAllText(Path.Combine(Data, "PG_VERSION"), "9\n");

        var failure = await Assert.ThrowsAsync<PostgresStartException>(() => PostgresServer.StartAsync(Options(PostgresSource.Local)));

        Assert.Contains($"PostgreSQL 9, which made the data folder {Data}, was not found", failure.Message, StringComparison.Ordinal);
        Assert.Contains("ConnectionStrings__phoenixdb", failure.Message, StringComparison.Ordinal);
        Assert.Contains("apt-get install postgresql", failure.Message, StringComparison.Ordinal);
        Assert.Contains("npm", failure.Message, StringComparison.Ordinal);
        Assert.Contains("Docker or Podman", failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Fact]
    public async Task StartAsync_WrongSetting_GivesTheServersReason()
    {
        var failure = await Assert.ThrowsAsync<PostgresStartException>(
            () => PostgresServer.StartAsync(Options(settings: new() { ["shared_buffers"] = "much" })));

        Assert.Contains("invalid value for parameter \"shared_buffers\"", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task StartAsync_LocalProgramsHidden_RunsTheNpmPackage()
    {
        var lines = new List<string>();
        await using var server = await PostgresServer.StartAsync(Options(PostgresSource.Npm, log: lines.Add));

        Assert.Contains("npm package", server.Description, StringComparison.Ordinal);
        Assert.StartsWith("18.", await ScalarAsync(server, "SHOW server_version"), StringComparison.Ordinal);
        Assert.Equal("on", await ScalarAsync(server, "SHOW data_checksums"));
    }

    [Fact]
    public async Task StartAsync_AsRoot_RunsUnderAnotherAccount()
    {
        await using var server = await PostgresServer.StartAsync(Options());

        // The server refuses uid 0 itself, so on any account this must hold.
        if (OperatingSystem.IsLinux())
        {
            var userIds = File.ReadLines($"/proc/{server.ProcessId}/status")
                .Single(line => line.StartsWith("Uid:", StringComparison.Ordinal));
            Assert.DoesNotContain("\t0", userIds, StringComparison.Ordinal);
        }
    }

    private string Data => _folder.File("data");

    private PostgresServerOptions Options(
        PostgresSource source = PostgresSource.Local, string password = "p@ss w'\"", Dictionary<string, string>? settings = null,
        Action<string>? log = null) => new()
        {
            DataDirectory = Data,
            Password = password,
            Source = source,
            Log = log,
            Settings = new Dictionary<string, string>(settings ?? []) { ["fsync"] = "off", ["max_connections"] = "1234" },
        };

    private static async Task<string?> ScalarAsync(PostgresServer server, string sql)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString("postgres"));
        return await ScalarAsync(source, sql);
    }

    private static async Task<string?> ScalarAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        return (string?)await command.ExecuteScalarAsync();
    }

    private static async Task ExecuteAsync(PostgresServer server, string sql)
    {
        await using var source = NpgsqlDataSource.Create(server.ConnectionString("postgres"));
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }
}
