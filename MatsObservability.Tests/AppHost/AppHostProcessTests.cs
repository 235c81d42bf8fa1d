using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using MatsObservability.Hosting.Run;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.AppHost;

/// <summary>The AppHost as people run it: in a process of its own, ended by signals, and told to run on things that are wrong.</summary>
public sealed class AppHostProcessTests : IDisposable
{
    private const int Kill = 9;
    private const int Terminate = 15;

    private static readonly TimeSpan s_startLimit = TimeSpan.FromSeconds(180);
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(60);

    private readonly TemporaryFolder _folder = new();

    private string Data => _folder.File("mats");

    public void Dispose() => _folder.Dispose();

    [Fact]
    [Trait("Req", "B017")]
    public async Task Run_ThenTerminate_AnswersAndLeavesNothingBehind()
    {
        await using var appHost = AppHostProcess.Start(Data);
        await appHost.WaitUntilReadyAsync(s_startLimit);
        using var client = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync($"{appHost.UrlOf("phoenix")}/healthz")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync($"{appHost.UrlOf("orchestrator")}/health")).StatusCode);
        Assert.Contains("phoenixdb", await client.GetStringAsync(appHost.UrlOf("resource page")), StringComparison.Ordinal);

        appHost.Signal(Terminate);
        var code = await appHost.WaitForExitAsync(s_stopLimit);

        Assert.True(code == 0, appHost.Output);
        Assert.True(ApplicationRunner.LongestStop < TimeSpan.FromSeconds(10));
        Assert.Equal(3, appHost.Children.Count);
        Assert.All(appHost.Children, child => Assert.False(IsAlive(child)));
        AssertOrder(appHost.Output, "[orchestrator] Ended", "[phoenix] Ended", "[postgres] Ended");
    }

    [Fact]
    public async Task Run_KilledHard_ChildrenNoticeAndTheNextRunFindsTheData()
    {
        var processes = new List<int>();
        await using (var first = AppHostProcess.Start(Data))
        {
            await first.WaitUntilReadyAsync(s_startLimit);
            processes.AddRange(first.Children);
            Assert.Equal(3, processes.Count);
            await ExecuteAsync(Connection(first), "CREATE TABLE kept AS SELECT 42 AS value");

            first.Signal(Kill);
            await first.WaitForExitAsync(s_stopLimit);
        }

        await Eventually.TrueAsync(() => !processes.Exists(IsAlive), s_stopLimit);

        await using var second = AppHostProcess.Start(Data);
        await second.WaitUntilReadyAsync(s_startLimit);
        await ExecuteAsync(Connection(second), "INSERT INTO kept VALUES (43)");
    }

    [Fact]
    public async Task Run_DotNetRunAboveItIsKilledHard_StopsByItself()
    {
        await using var appHost = AppHostProcess.Start(Data, byDotNetRun: true);
        await appHost.WaitUntilReadyAsync(s_startLimit);
        var processes = appHost.Children;

        appHost.Signal(Kill);

        await Eventually.TrueAsync(() => !processes.Any(IsAlive), s_stopLimit);
    }

    [Fact]
    public async Task Run_AsOrdinaryUserWithTheNpmPackage_IsReady()
    {
        // As root this is another account; on any other account it is already the ordinary user.
        var account = Environment.IsPrivilegedProcess ? "nobody" : null;
        Directory.CreateDirectory(Data);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(Data, (UnixFileMode)0b111_111_111);
        }

        var environment = new Dictionary<string, string>
        {
            ["HOME"] = Data,
            [PostgresServerOptions.SourceVariable] = "npm",
            [PostgresServerOptions.CacheVariable] = await SharedCacheAsync(),
        };
        await using var appHost = AppHostProcess.Start(Data, environment, account);
        await appHost.WaitUntilReadyAsync(s_startLimit);

        Assert.Contains("(npm package)", appHost.Output, StringComparison.Ordinal);
        appHost.Signal(Terminate);
        Assert.Equal(0, await appHost.WaitForExitAsync(s_stopLimit));
        Assert.All(appHost.Children, child => Assert.False(IsAlive(child)));
    }

    [Fact]
    public async Task Run_ExistingServer_IsUsedAndNoneIsStarted()
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions { DataDirectory = _folder.File("existing"), Password = "p@ss w" });
        await using var appHost = AppHostProcess.Start(
            Data, new Dictionary<string, string> { ["ConnectionStrings__phoenixdb"] = server.ConnectionString("telemetry") });
        await appHost.WaitUntilReadyAsync(s_startLimit);

        Assert.Equal(2, appHost.Children.Count);
        Assert.False(Directory.Exists(Data), "no data folder of its own");
        await ExecuteAsync(server.ConnectionString("telemetry"),
            "DO $$ BEGIN ASSERT EXISTS (SELECT FROM pg_class WHERE relname = 'spans'); END $$");
        appHost.Signal(Terminate);
        Assert.Equal(0, await appHost.WaitForExitAsync(s_stopLimit));
        await ExecuteAsync(server.ConnectionString("telemetry"), "SELECT 1");
    }

    [Fact]
    public async Task Run_BusyPort_EndsWithOneLineThatNamesTheHolder()
    {
        using var holder = new TcpListener(IPAddress.Loopback, 0);
        holder.Start();
        var port = ((IPEndPoint)holder.LocalEndpoint).Port;
        await using var appHost = AppHostProcess.Start(Data, arguments: $"Ports:phoenix-http={port}");

        await AssertFailsWithOneLineAsync(appHost, $"Port {port} (phoenix, endpoint http) is in use by process {Environment.ProcessId} (");
    }

    [Fact]
    public async Task Run_WrongWordsAndSettings_EndsWithALineEach()
    {
        await using var appHost = AppHostProcess.Start(Data, arguments:
            ["demoo", "Ports:phoenix-htp=7000", "Ports:phoenix-http=http", "Ports:orchestrator-http=65536", "Collector:Enabled=maybe",
                "--environment", "Development"]);

        foreach (var message in new[] { "'demoo' means nothing here", "Ports:phoenix-htp is no port of this system",
            "Ports:phoenix-http must be a port number (0 to 65535), got 'http'", "Ports:orchestrator-http must be a port number",
            "Collector:Enabled must be true or false, got 'maybe'" })
        {
            await AssertFailsWithOneLineAsync(appHost, message);
        }

        Assert.Equal(5, appHost.Output.Split('\n').Length);
    }

    [Theory]
    [InlineData("Host=127.0.0.1;Port=1;Username=postgres;Password=hush-hush", "ConnectionStrings__phoenixdb cannot be used: ")]
    [InlineData("Hust=127.0.0.1;Password=hush-hush", "ConnectionStrings__phoenixdb cannot be used: ")]
    [InlineData("Username=postgres;Password=hush-hush", "ConnectionStrings__phoenixdb names no Host.")]
    public async Task Run_BadConnectionString_EndsWithOneLineWithoutThePassword(string connectionString, string message)
    {
        await using var appHost = AppHostProcess.Start(
            Data, new Dictionary<string, string> { ["ConnectionStrings__phoenixdb"] = connectionString });

        await AssertFailsWithOneLineAsync(appHost, message);
        Assert.DoesNotContain("hush-hush", appHost.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_DataFolderHoldsSomethingElse_EndsWithOneLine()
    {
        Directory.CreateDirectory(Path.Combine(Data, "phoenix-pgdata"));
        File.WriteAllText(Path.Combine(Data, "phoenix-pgdata", "thesis.txt"), "do not touch");
        await using var appHost = AppHostProcess.Start(Data);

        await AssertFailsWithOneLineAsync(
            appHost, $"The data folder {Path.Combine(Data, "phoenix-pgdata")} is not empty and holds no PostgreSQL data");
        Assert.Equal("do not touch", File.ReadAllText(Path.Combine(Data, "phoenix-pgdata", "thesis.txt")));
    }

    [Fact]
    public async Task Run_NoPostgresAnywhere_NamesTheFourWays()
    {
        // Only one source is allowed, and the data are of a version that it does not have.
        Directory.CreateDirectory(Path.Combine(Data, "phoenix-pgdata"));
        File.WriteAllText(Path.Combine(Data, "phoenix-pgdata", "PG_VERSION"), "9\n");
        await using var appHost = AppHostProcess.Start(
            Data, new Dictionary<string, string> { [PostgresServerOptions.SourceVariable] = "npm" });

        await AssertFailsWithOneLineAsync(appHost, "Four ways to give it: (1) an existing server");
    }

    /// <summary>The message is the last thing on the output, the exit code says failure, and nothing that was started is left.</summary>
    private static async Task AssertFailsWithOneLineAsync(AppHostProcess appHost, string message)
    {
        Assert.Equal(1, await appHost.WaitForExitAsync(s_startLimit));
        Assert.Single(appHost.Output.Split('\n'), line => line.Contains(message, StringComparison.Ordinal) && !line.StartsWith('['));
        Assert.DoesNotContain("   at ", appHost.Output, StringComparison.Ordinal);
        Assert.All(appHost.Children, child => Assert.False(IsAlive(child)));
    }

    private static void AssertOrder(string output, params string[] texts)
    {
        var positions = texts.Select(text => output.IndexOf(text, StringComparison.Ordinal)).ToArray();
        Assert.DoesNotContain(-1, positions);
        Assert.Equal(positions.Order(), positions);
    }

    /// <summary>The download is shared with the other tests of the npm package, in a folder that every account can read.</summary>
    private async Task<string> SharedCacheAsync()
    {
        await using var server = await PostgresServer.StartAsync(
            new PostgresServerOptions { DataDirectory = _folder.File("warm"), Password = "x", Source = PostgresSource.Npm });
        return NpmPostgres.CacheFolder();
    }

    private static string Connection(AppHostProcess appHost)
    {
        var port = new Uri(appHost.UrlOf("postgres")).Port;
        var secrets = Microsoft.Extensions.Configuration.UserSecrets.PathHelper.GetSecretsPathFromSecretsId("mats-observability-apphost");
        var password =
            System.Text.Json.Nodes.JsonNode.Parse(File.ReadAllText(secrets))!["Parameters:postgres-password"]!.GetValue<string>();
        return new NpgsqlConnectionStringBuilder
        {
            Host = "127.0.0.1",
            Port = port,
            Username = "postgres",
            Password = password,
            Database = "phoenixdb",
            Pooling = false,
        }.ConnectionString;
    }

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(connectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }

    private static bool IsAlive(int processId)
    {
        try
        {
            using var process = Process.GetProcessById(processId);
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
