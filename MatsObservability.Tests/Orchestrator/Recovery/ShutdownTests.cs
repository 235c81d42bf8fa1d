using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Orchestrator.Recovery;

/// <summary>A stop of the real process ends by itself within the grace of its supervisor, whoever else is away.</summary>
public sealed class ShutdownTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    /// <summary>After this the AppHost kills a process.</summary>
    private static readonly TimeSpan s_grace = TimeSpan.FromSeconds(4);

    [Theory, Trait("Req", "M02")]
    [InlineData(Away.No)]
    [InlineData(Away.Refusing)]
    [InlineData(Away.Silent)]
    public async Task Stop_InTheMiddleOfAJob_EndsInTime(Away away)
    {
        var connection = new NpgsqlConnectionStringBuilder(await system.NewDatabaseAsync());
        await using var database = TcpGate.To(connection.Port);
        await using var phoenix = TcpGate.To(system.Phoenix.HttpUrl);
        await using var receiver = TcpGate.To(system.Phoenix.GrpcUrl);
        connection.Port = database.Port;
        await using var service = await StartAsync(connection, phoenix, receiver);
        using var client = new HttpClient { BaseAddress = new Uri(service.Url) };

        // The job waits for its telemetry, a caller for the job, and another follows its events.
        phoenix.Silence();
        var job = await BeginJobAsync(client);
        var waiting = client.PostAsJsonAsync("/troubleshoot?wait=60", new { user_request = "why is it slow" });
        using var stream = await FollowAsync(client, job);
        foreach (var gate in away == Away.No ? [] : new[] { database, phoenix, receiver })
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

        var clock = Stopwatch.StartNew();
        await service.StopAsync();

        Assert.True(clock.Elapsed < s_grace, $"it took {clock.Elapsed}: {service.Output}");

        // Its caller is left alone: answered, or cut off.
        await Task.WhenAny(waiting);
    }

    /// <summary>The database must be asked to cancel the statement, and that waits for its answer on the thread that asks.</summary>
    [Fact, Trait("Req", "M02")]
    public async Task Stop_StatementInASilentDatabase_EndsInTime()
    {
        var connection = new NpgsqlConnectionStringBuilder(await system.NewDatabaseAsync());
        await using var blocker = new NpgsqlConnection(connection.ConnectionString);
        await blocker.OpenAsync();
        await using var database = TcpGate.To(connection.Port);
        await using var phoenix = TcpGate.To(system.Phoenix.HttpUrl);
        await using var receiver = TcpGate.To(system.Phoenix.GrpcUrl);
        connection.Port = database.Port;
        await using var service = await StartAsync(connection, phoenix, receiver);
        using var client = new HttpClient { BaseAddress = new Uri(service.Url) };
        phoenix.Silence();
        var job = await BeginJobAsync(client);

        await using var transaction = await blocker.BeginTransactionAsync();
        await ExecuteAsync(blocker, "LOCK TABLE mats.events IN ACCESS EXCLUSIVE MODE");
        using var stream = await FollowAsync(client, job);
        await Eventually.TrueAsync(async () => await ExecuteAsync(blocker, """
            SELECT count(*) FROM pg_locks WHERE NOT granted AND mode = 'AccessShareLock' AND relation = 'mats.events'::regclass
            """) is > 0L);
        database.Silence();
        var clock = Stopwatch.StartNew();
        await service.StopAsync();

        Assert.True(clock.Elapsed < s_grace, $"it took {clock.Elapsed}: {service.Output}");
    }

    private static async Task<ServiceProcess> StartAsync(NpgsqlConnectionStringBuilder database, TcpGate phoenix, TcpGate receiver)
    {
        var service = new ServiceProcess("Orchestrator.Agent", new Dictionary<string, string?>
        {
            ["ConnectionStrings__phoenixdb"] = database.ConnectionString, ["Mats__PhoenixUrl"] = phoenix.Url,
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Url, ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc",
        }, "/health");
        await service.StartAsync(CancellationToken.None);
        return service;
    }

    private static async Task<string?> BeginJobAsync(HttpClient client)
    {
        using var accepted = await client.PostAsJsonAsync("/troubleshoot", new { user_request = "why is it slow" });
        var job = (await accepted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("job_id").GetString();
        await Eventually.TrueAsync(async () =>
            (await client.GetFromJsonAsync<JsonElement>($"/jobs/{job}")).GetProperty("phase").GetString() == "triage");
        return job;
    }

    private static Task<HttpResponseMessage> FollowAsync(HttpClient client, string? job) => client.SendAsync(
        new(HttpMethod.Get, $"/jobs/{job}/events") { Headers = { { "Accept", "text/event-stream" } } },
        HttpCompletionOption.ResponseHeadersRead);

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
}
