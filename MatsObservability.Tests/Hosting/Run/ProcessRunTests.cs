using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace MatsObservability.Tests.Hosting.Run;

/// <summary>The run side over plain programs of the system: start order, environment, crashes, stop.</summary>
public sealed class ProcessRunTests : IDisposable
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(120);

    private readonly TemporaryFolder _folder = new();
    private readonly CancellationTokenSource _deadline = new(s_limit);

    public void Dispose()
    {
        _folder.Dispose();
        _deadline.Dispose();
    }

    [Fact]
    [Trait("Req", "B018")]
    public async Task Start_WaitFor_StartsTheDependencyFirstAndTheWaiterWhenItIsDone()
    {
        var order = _folder.File("order");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var first = builder.AddExecutable("first", "sh", _folder.Path, "-c", $"sleep 0.3; echo first >> {order}");
        builder.AddExecutable("second", "sh", _folder.Path, "-c", $"echo second >> {order}").WaitForCompletion(first);
        await using var app = await builder.BuildAsync();
        await app.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("second", KnownResourceStates.Finished, _deadline.Token);

        Assert.Equal(["first", "second"], await File.ReadAllLinesAsync(order));
    }

    [Fact]
    public async Task Start_DependencyFails_WaiterFailsToStart()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var first = builder.AddExecutable("first", "sh", _folder.Path, "-c", "exit 3");
        builder.AddExecutable("second", "sh", _folder.Path, "-c", "echo never").WaitForCompletion(first);
        await using var app = await builder.BuildAsync();
        await app.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("second", KnownResourceStates.FailedToStart, _deadline.Token);

        Assert.Contains(await LogOfAsync(app, "second"), line => line.Contains("exit code 3, expected 0", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_MissingProgram_FailsToStartAndSaysWhich()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("tool", "no-such-program", _folder.Path);
        await using var app = await builder.BuildAsync();
        await app.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("tool", KnownResourceStates.FailedToStart, _deadline.Token);

        Assert.Contains(await LogOfAsync(app, "tool"), line => line.Contains("'no-such-program' was not found", StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Req", "B019")]
    public async Task Crash_IsStartedAgainWithBackOffAndVisibleState()
    {
        var starts = _folder.File("starts");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("shaky", "sh", _folder.Path,
            "-c", $"echo up >> {starts}; test $(wc -l < {starts}) -ge 3 && exec sleep 100; exit 7");
        await using var app = await builder.BuildAsync();
        var states = new List<(string? State, int? ExitCode)>();
        var watching = WatchAsync(app, states);
        await app.StartAsync();

        await Eventually.TrueAsync(() => File.Exists(starts) && File.ReadAllLines(starts).Length == 3);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("shaky", _deadline.Token);
        await app.StopAsync();
        await watching;

        Assert.Contains(("Restarting", 7), states);
        Assert.Contains(await LogOfAsync(app, "shaky"), line => line.Contains("Starting again in 0.5 s", StringComparison.Ordinal));
        Assert.Contains(await LogOfAsync(app, "shaky"), line => line.Contains("Starting again in 1 s", StringComparison.Ordinal));
    }

    [Fact]
    public async Task End_BecauseOfWrongSettings_IsNotStartedAgain()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("misled", "sh", _folder.Path, "-c", "exit 78");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("misled", KnownResourceStates.Finished, _deadline.Token);

        var log = await LogOfAsync(app, "misled");
        Assert.Contains(log, line => line.Contains("Ended with exit code 78: what it was given cannot work", StringComparison.Ordinal));
        Assert.DoesNotContain(log, line => line.Contains("Starting again", StringComparison.Ordinal));
    }

    // Asked to stop by SIGINT, PostgreSQL ends with exit code 0: it is missed all the same.
    [Theory]
    [InlineData("KILL")]
    [InlineData("INT")]
    [Trait("Req", "B019")]
    public async Task End_OfTheDatabaseServer_IsRecoveredOnTheSamePort(string signal)
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddPostgres("postgres").AddDatabase("appdb");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceHealthyAsync("appdb", _deadline.Token);
        var first = ProcessIdOf(await app.ResourceNotifications.WaitForResourceHealthyAsync("postgres", _deadline.Token));
        var connectionString = await app.GetConnectionStringAsync("appdb", _deadline.Token) + ";Pooling=false";

        using (var kill = Process.Start("kill", ["-s", signal, first.ToString(CultureInfo.InvariantCulture)]))
        {
            await kill.WaitForExitAsync(_deadline.Token);
        }

        await app.ResourceNotifications.WaitForResourceAsync(
            "postgres", current => current.Snapshot.State?.Text == KnownResourceStates.Running && ProcessIdOf(current) != first,
            _deadline.Token);
        await using var connection = new Npgsql.NpgsqlConnection(connectionString);
        await connection.OpenAsync(_deadline.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("appdb", _deadline.Token);
    }

    [Fact]
    public async Task Stop_EndsWholeProcessTreesWithinTheLimit()
    {
        var pids = _folder.File("pids");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("family", "sh", _folder.Path,
            "-c", $"trap '' TERM; sleep 1000 & echo $! >> {pids}; (sleep 1000 & echo $! >> {pids}); echo $$ >> {pids}; while true; do sleep 1000; done");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        await Eventually.TrueAsync(() => File.Exists(pids) && File.ReadAllLines(pids).Length == 3);

        var started = Stopwatch.GetTimestamp();
        await app.StopAsync();

        Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromSeconds(20));
        await Eventually.TrueAsync(() => File.ReadAllLines(pids).All(pid => !IsAlive(pid)));
    }

    [Fact]
    public async Task Stop_DependentsEndBeforeWhatTheyDependOn()
    {
        var order = _folder.File("order");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var below = builder.AddExecutable("below", "sh", _folder.Path,
            "-c", $"trap 'echo below >> {order}; exit 0' TERM; touch {order}.below; while true; do sleep 0.05; done");
        builder.AddExecutable("above", "sh", _folder.Path,
            "-c", $"trap 'sleep 0.3; echo above >> {order}; exit 0' TERM; touch {order}.above; while true; do sleep 0.05; done")
            .WaitForStart(below);
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        await Eventually.TrueAsync(() => File.Exists($"{order}.below") && File.Exists($"{order}.above"));

        await app.StopAsync();

        Assert.Equal(["above", "below"], await File.ReadAllLinesAsync(order));
    }

    [Fact]
    public async Task Commands_StopThenStart_RunsANewProcess()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("worker", "sleep", _folder.Path, "1000");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        var first = ProcessIdOf(await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", _deadline.Token));

        Assert.True((await app.ResourceCommands.ExecuteCommandAsync("worker", KnownResourceCommands.StopCommand, _deadline.Token)).Success);
        await app.ResourceNotifications.WaitForResourceAsync("worker", KnownResourceStates.Finished, _deadline.Token);
        Assert.False(IsAlive($"{first}"));

        Assert.True(
            (await app.ResourceCommands.ExecuteCommandAsync("worker", KnownResourceCommands.StartCommand, _deadline.Token)).Success);
        var second = ProcessIdOf(await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", _deadline.Token));
        Assert.NotEqual(first, second);
    }

    [Fact]
    public async Task ExplicitStart_StaysDownUntilTheCommand()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("tool", "sleep", _folder.Path, "1000").WithExplicitStart();
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceAsync("tool", KnownResourceStates.NotStarted, _deadline.Token);

        await app.ResourceCommands.ExecuteCommandAsync("tool", KnownResourceCommands.StartCommand, _deadline.Token);

        await app.ResourceNotifications.WaitForResourceHealthyAsync("tool", _deadline.Token);
    }

    [Fact]
    public async Task Start_BusyPort_NamesThePortAndItsHolder()
    {
        using var holder = new TcpListener(System.Net.IPAddress.Loopback, 0);
        holder.Start();
        var port = ((System.Net.IPEndPoint)holder.LocalEndpoint).Port;
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("web", "sleep", _folder.Path, "1000").WithHttpEndpoint(port: port, isProxied: false);
        await using var app = await builder.BuildAsync();

        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(() => app.StartAsync());

        Assert.Contains($"Port {port} (web, endpoint http) is in use by process {Environment.ProcessId} (",
            failure.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', failure.Message);
    }

    [Fact]
    public async Task Container_WithoutRuntime_IsRuntimeUnhealthy()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddContainer("cache", "example/cache");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();

        await app.ResourceNotifications.WaitForResourceAsync("cache", KnownResourceStates.RuntimeUnhealthy, _deadline.Token);

        Assert.Contains(await LogOfAsync(app, "cache"), line => line.Contains("does not run here", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_MissingParameter_NamesItsKey()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddParameter("api-key", secret: true);
        await using var app = await builder.BuildAsync();

        var failure = await Assert.ThrowsAsync<MissingParameterValueException>(() => app.StartAsync());

        Assert.Contains("'Parameters:api-key'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Environment_SecretValues_ReachTheProcessButNoSnapshot()
    {
        var seen = _folder.File("seen");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var key = builder.AddParameter("api-key", "s3cr3t-value", secret: true);
        builder.AddExecutable("tool", "sh", _folder.Path, "-c", $"echo $API_KEY $COMBINED $PLAIN > {seen}; exec sleep 1000")
            .WithEnvironment("API_KEY", key)
            .WithEnvironment("COMBINED", $"key={key}")
            .WithEnvironment("PLAIN", "visible");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        var running = await app.ResourceNotifications.WaitForResourceHealthyAsync("tool", _deadline.Token);
        await Eventually.TrueAsync(() => File.Exists(seen) && File.ReadAllText(seen).Length > 0);

        Assert.Equal("s3cr3t-value key=s3cr3t-value visible\n", await File.ReadAllTextAsync(seen));
        Assert.DoesNotContain(running.Snapshot.EnvironmentVariables,
            variable => variable.Value?.Contains("s3cr3t", StringComparison.Ordinal) == true);
        Assert.Contains(running.Snapshot.EnvironmentVariables, variable => variable is { Name: "PLAIN", Value: "visible" });
    }

    [Fact]
    public async Task Environment_OfTheAppHostItself_IsNotHandedDown()
    {
        var seen = _folder.File("seen");
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("tool", "sh", _folder.Path, "-c", $"env > {seen}.part; mv {seen}.part {seen}");
        await using var app = await builder.BuildAsync();
        await app.StartAsync();
        await app.ResourceNotifications.WaitForResourceAsync("tool", KnownResourceStates.Finished, _deadline.Token);

        var variables = await File.ReadAllLinesAsync(seen);
        Assert.Contains(variables, line => line.StartsWith("PATH=", StringComparison.Ordinal));
        Assert.DoesNotContain(variables, line => line.StartsWith("ASPNETCORE_ENVIRONMENT=", StringComparison.Ordinal));
        Assert.DoesNotContain(variables, line => line.StartsWith("DOTNET_ENVIRONMENT=", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Dispose_WithoutStop_EndsEverythingAndDeletesTheTemporaryData()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        builder.AddExecutable("worker", "sleep", _folder.Path, "1000");
        var app = await builder.BuildAsync();
        await app.StartAsync();
        var processId = ProcessIdOf(await app.ResourceNotifications.WaitForResourceHealthyAsync("worker", _deadline.Token));
        var data = app.Services.GetRequiredService<MatsObservability.Hosting.Run.RunOptions>().DataDirectory;
        Assert.True(Directory.Exists(data));

        await app.DisposeAsync();

        Assert.False(IsAlive($"{processId}"));
        Assert.False(Directory.Exists(data));
    }

    private static int ProcessIdOf(ResourceEvent current) =>
        (int)current.Snapshot.Properties.Single(property => property.Name == "executable.pid").Value!;

    private static bool IsAlive(string processId)
    {
        try
        {
            using var process = Process.GetProcessById(int.Parse(processId));
            return !process.HasExited;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    private static async Task<List<string>> LogOfAsync(DistributedApplication app, string resource)
    {
        var lines = new List<string>();
        await foreach (var batch in app.Services.GetRequiredService<ResourceLoggerService>().GetAllAsync(resource))
        {
            lines.AddRange(batch.Select(line => line.Content));
        }

        return lines;
    }

    private static async Task WatchAsync(DistributedApplication app, List<(string?, int?)> states)
    {
        try
        {
            await foreach (var change in app.ResourceNotifications.WatchAsync())
            {
                states.Add((change.Snapshot.State?.Text, change.Snapshot.ExitCode));
            }
        }
        catch (OperationCanceledException)
        {
            // The application stopped.
        }
    }
}
