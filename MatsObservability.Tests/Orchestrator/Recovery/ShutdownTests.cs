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
        await using var service = new ServiceProcess("Orchestrator.Agent", new Dictionary<string, string?>
        {
            ["ConnectionStrings__phoenixdb"] = connection.ConnectionString, ["Mats__PhoenixUrl"] = phoenix.Url,
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.Url, ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc",
        }, "/health");
        await service.StartAsync(CancellationToken.None);
        using var client = new HttpClient { BaseAddress = new Uri(service.Url) };

        // The job waits for its telemetry, a caller for the job, and another follows its events.
        phoenix.Silence();
        using var accepted = await client.PostAsJsonAsync("/troubleshoot", new { user_request = "why is it slow" });
        var job = (await accepted.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("job_id").GetString();
        await Eventually.TrueAsync(async () =>
            (await client.GetFromJsonAsync<JsonElement>($"/jobs/{job}")).GetProperty("phase").GetString() == "triage");
        var waiting = client.PostAsJsonAsync("/troubleshoot?wait=60", new { user_request = "why is it slow" });
        using var stream = await client.SendAsync(
            new(HttpMethod.Get, $"/jobs/{job}/events") { Headers = { { "Accept", "text/event-stream" } } },
            HttpCompletionOption.ResponseHeadersRead);
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

    public enum Away
    {
        No,
        Refusing,
        Silent,
    }
}
