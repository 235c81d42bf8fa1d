using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Hosting.Run;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Orchestrator.Recovery;

/// <summary>A stop of the real process ends by itself within the grace of its supervisor, whoever else is away.</summary>
public sealed class ShutdownTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    /// <summary>How long a slow machine may take; a process that is killed then has another exit code than 0.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    [Fact, Trait("Req", "M02")]
    public void Limit_OfAStop_IsBelowTheGraceOfTheAppHost() =>
        Assert.True(global::Orchestrator.Agent.Program.LongestStop < ApplicationRunner.LongestGrace);

    [Theory, Trait("Req", "M02")]
    [InlineData(Away.No)]
    [InlineData(Away.Refusing)]
    [InlineData(Away.Silent)]
    public async Task Stop_InTheMiddleOfAJob_EndsInTime(Away away)
    {
        await using var orchestrator = await GatedOrchestrator.StartAsync(system, await system.NewDatabaseAsync());

        // The job waits for its telemetry, a caller for the job, and another follows its events.
        var job = await orchestrator.BeginJobAsync();
        var waiting = orchestrator.Client.PostAsJsonAsync("/troubleshoot?wait=60", new { user_request = "why is it slow" });
        using var stream = await orchestrator.FollowAsync(job);
        foreach (var gate in away == Away.No ? [] : orchestrator.Gates)
        {
            if (away == Away.Silent)
            {
                gate.Silence();
            }
            else
            {
                gate.Close();
            }
        }

        Assert.True(await orchestrator.Service.StopAsync(s_patience) == 0, orchestrator.Service.Output);

        // Its caller is left alone: answered, or cut off.
        await Task.WhenAny(waiting);
    }

    /// <summary>The database must be asked to cancel the statement, and that waits for its answer on the thread that asks.</summary>
    [Fact, Trait("Req", "M02")]
    public async Task Stop_StatementInASilentDatabase_EndsInTime()
    {
        var connection = await system.NewDatabaseAsync();
        await using var blocker = new NpgsqlConnection(connection);
        await blocker.OpenAsync();
        await using var orchestrator = await GatedOrchestrator.StartAsync(system, connection);
        var job = await orchestrator.BeginJobAsync();

        await using var transaction = await blocker.BeginTransactionAsync();
        await ExecuteAsync(blocker, "LOCK TABLE mats.events IN ACCESS EXCLUSIVE MODE");
        using var stream = await orchestrator.FollowAsync(job);
        await Eventually.TrueAsync(async () => await ExecuteAsync(blocker, """
            SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock' AND relation = 'mats.events'::regclass
            """) is > 0L);
        orchestrator.Database.Silence();

        var clock = Stopwatch.StartNew();
        var exitCode = await orchestrator.Service.StopAsync(s_patience);

        // Soon, or else by the limit, which says so: without it the answer would be waited for.
        var (took, output) = (clock.Elapsed, orchestrator.Service.Output);
        Assert.True(exitCode == 0, output);
        Assert.True(
            took < ApplicationRunner.LongestGrace || output.Contains("The stop took longer than 3 s", StringComparison.Ordinal),
            $"it took {took}: {output}");
    }

    private static async Task<object?> ExecuteAsync(NpgsqlConnection connection, string sql)
    {
        await using var command = new NpgsqlCommand(sql, connection);
        return await command.ExecuteScalarAsync();
    }

    public enum Away
    {
        No,
        Refusing,
        Silent,
    }

    /// <summary>The orchestrator as a process, with a gate before each system it needs; its Phoenix.Service is silent.</summary>
    private sealed class GatedOrchestrator : IAsyncDisposable
    {
        private GatedOrchestrator(EmptySystem system, NpgsqlConnectionStringBuilder connection)
        {
            Gates = [TcpGate.To(connection.Port), TcpGate.To(system.Phoenix.HttpUrl), TcpGate.To(system.Phoenix.GrpcUrl)];
            connection.Port = Database.Port;
            Service = new ServiceProcess("Orchestrator.Agent", new Dictionary<string, string?>
            {
                ["ConnectionStrings__phoenixdb"] = connection.ConnectionString, ["Mats__PhoenixUrl"] = Gates[1].Url,
                ["OTEL_EXPORTER_OTLP_ENDPOINT"] = Gates[2].Url, ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc",
            }, "/health");
            Client = new HttpClient { BaseAddress = new Uri(Service.Url) };
        }

        /// <summary>Before the database, Phoenix.Service and the receiver of its spans.</summary>
        public TcpGate[] Gates { get; }

        public TcpGate Database => Gates[0];

        public ServiceProcess Service { get; }

        public HttpClient Client { get; }

        public static async Task<GatedOrchestrator> StartAsync(EmptySystem system, string connection)
        {
            var orchestrator = new GatedOrchestrator(system, new NpgsqlConnectionStringBuilder(connection));
            await orchestrator.Service.StartAsync(CancellationToken.None);
            orchestrator.Gates[1].Silence();
            return orchestrator;
        }

        /// <summary>A job that waits for its telemetry.</summary>
        public async Task<string?> BeginJobAsync()
        {
            using var accepted = await Client.PostAsJsonAsync("/troubleshoot", new { user_request = "why is it slow" });
            var job = (await accepted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("job_id").GetString();
            await Eventually.TrueAsync(async () =>
                (await Client.GetFromJsonAsync<JsonElement>($"/jobs/{job}")).GetProperty("phase").GetString() == "triage");
            return job;
        }

        /// <summary>The stream of a job's events, open.</summary>
        public Task<HttpResponseMessage> FollowAsync(string? job) => Client.SendAsync(
            new(HttpMethod.Get, $"/jobs/{job}/events") { Headers = { { "Accept", "text/event-stream" } } },
            HttpCompletionOption.ResponseHeadersRead);

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Service.DisposeAsync();
            foreach (var gate in Gates)
            {
                await gate.DisposeAsync();
            }
        }
    }
}
