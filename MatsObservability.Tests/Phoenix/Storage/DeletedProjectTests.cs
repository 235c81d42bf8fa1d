using System.Net;
using Google.Protobuf;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>What is acknowledged lies in a project that exists, however late a replica learns that another one has deleted it.</summary>
[Trait("Req", "B003")]
[Trait("Req", "B079")]
public sealed class DeletedProjectTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Orphans = """
        SELECT (SELECT count(*) FROM spans s WHERE NOT EXISTS (SELECT FROM projects p WHERE p.id = s.project_id))
            + (SELECT count(*) FROM logs l WHERE NOT EXISTS (SELECT FROM projects p WHERE p.id = l.project_id))
            + (SELECT count(*) FROM metric_points m WHERE NOT EXISTS (SELECT FROM metric_series s JOIN projects p ON p.id = s.project_id WHERE s.id = m.series_id))
            + (SELECT count(*) FROM traces t WHERE NOT EXISTS (SELECT FROM projects p WHERE p.id = t.project_id))
            + (SELECT count(*) FROM sessions s WHERE NOT EXISTS (SELECT FROM projects p WHERE p.id = s.project_id))
            + (SELECT count(*) FROM span_minutes m WHERE NOT EXISTS (SELECT FROM projects p WHERE p.id = m.project_id))
        """;

    [Theory]
    [InlineData("spans")]
    [InlineData("logs")]
    [InlineData("metrics")]
    public async Task Export_ProjectDeletedByAnotherReplica_IsRefusedRetryableOnceAndThenStoredInANewOne(string signal)
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var one = await PhoenixServer.StartAsync(database);
        await using var two = await PhoenixServer.StartAsync(database);
        (await one.Client.PostAsync(Request(signal))).EnsureSuccessStatusCode();
        var old = await one.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'shared'");
        using var deleted = await two.Client.DeleteAsync("/v1/projects/shared");
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);

        using var first = await one.Client.PostAsync(Request(signal));
        using var again = await one.Client.PostAsync(Request(signal));

        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.OK), (first.StatusCode, again.StatusCode));
        Assert.Equal(TimeSpan.FromSeconds(1), first.Headers.RetryAfter!.Delta);
        Assert.NotEqual(old, await one.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'shared'"));
        Assert.Equal(
            3, await one.ScalarAsync<long>(
                "SELECT (SELECT count(*) FROM spans) + (SELECT count(*) FROM logs) + (SELECT count(*) FROM metric_points)"));
        Assert.Equal(0, await one.ScalarAsync<long>(Orphans));
    }

    [Fact]
    public async Task Export_WhileReplicasDeleteTheProject_LeavesNothingWithoutAProjectAndOthersUntouched()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var one = await PhoenixServer.StartAsync(database);
        await using var two = await PhoenixServer.StartAsync(database);
        using var stop = new CancellationTokenSource();
        var senders = Enumerable.Range(0, 4).Select(index => Task.Run(async () =>
        {
            var (client, kept, acknowledged) = ((index % 2 == 0 ? one : two).Client, 0, 0);
            while (!stop.IsCancellationRequested || acknowledged == 0)
            {
                using var stays = await client.PostAsync(Otlp.Spans(5, "stays"));
                kept += stays.StatusCode == HttpStatusCode.OK ? 5 : 0;
                foreach (var signal in (string[])["spans", "logs", "metrics"])
                {
                    using var answer = await client.PostAsync(Request(signal));
                    acknowledged += answer.StatusCode == HttpStatusCode.OK ? 1 : 0;
                }
            }

            return kept;
        })).ToList();
        for (var round = 0; round < 6; round++)
        {
            await Eventually.TrueAsync(
                () => one.ScalarAsync<bool>(
                    "SELECT EXISTS (SELECT FROM spans s JOIN projects p ON p.id = s.project_id WHERE p.name = 'shared')"));
            using var deleted = await (round % 2 == 0 ? one : two).Client.DeleteAsync("/v1/projects/shared");
            Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        }

        await stop.CancelAsync();
        var kept = (await Task.WhenAll(senders)).Sum();
        await QueryServer.RolledUpAsync(one);

        Assert.Equal(0, await one.ScalarAsync<long>(Orphans));
        Assert.Equal(kept,
            await one.ScalarAsync<long>("SELECT count(*) FROM spans s JOIN projects p ON p.id = s.project_id WHERE p.name = 'stays'"));
    }

    [Fact]
    public async Task Delete_KilledBetweenItsSteps_IsFinishedByTheUpkeep()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        foreach (var signal in (string[])["spans", "logs", "metrics"])
        {
            (await server.Client.PostAsync(Request(signal))).EnsureSuccessStatusCode();
        }

        (await server.Client.PostAsync(Otlp.Spans(2, "stays"))).EnsureSuccessStatusCode();
        await using (var blocker = await server.OpenAsync())
        {
            await using var hold = new NpgsqlCommand("BEGIN; SELECT count(*) FROM (SELECT FROM logs FOR UPDATE) AS held", blocker);
            await hold.ExecuteScalarAsync();
            var deleting = server.Client.DeleteAsync("/v1/projects/shared");
            const string Blocked = $"{LockWaits.From} AND query LIKE 'DELETE FROM logs%'";
            await Eventually.TrueAsync(() => server.ScalarAsync<bool>($"SELECT EXISTS (SELECT {Blocked})"));
            await server.ScalarAsync<bool>($"SELECT bool_and(pg_terminate_backend(pid)) {Blocked}");
            using var answer = await deleting;
            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        }

        Assert.True(await server.ScalarAsync<long>(Orphans) >= 6);
        var (time, services) = (new TestTime(TimeProvider.System.GetUtcNow()), server.Services);
        using var upkeep = new StorageUpkeep(
            services.GetRequiredService<Partitions>(), services.GetRequiredService<ProjectDirectory>(),
            services.GetRequiredService<TelemetryRemover>(),
            services.GetRequiredService<DatabaseState>(), time, NullLogger<StorageUpkeep>.Instance);
        await upkeep.StartAsync(CancellationToken.None);
        await Eventually.TrueAsync(() => time.TimerCount > 0);
        time.Advance(TimeSpan.FromSeconds(15));

        await Eventually.TrueAsync(async () => await server.ScalarAsync<long>("SELECT count(*) FROM removed_projects") == 0);
        Assert.Equal(0, await server.ScalarAsync<long>(Orphans));
        Assert.Equal(2, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
        await upkeep.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Delete_RollupsTakeLong_OthersWriteOnAndNothingOfTheProjectIsSeen()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await QueryServer.SendAsync(server.Client, "shared", TestSpan.Of(1, 1, session: "chat"));
        await QueryServer.RolledUpAsync(server);
        var old = await server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'shared'");
        await using var blocker = await server.OpenAsync();
        await using var hold = new NpgsqlCommand("BEGIN; SELECT count(*) FROM (SELECT FROM traces FOR UPDATE) AS held", blocker);
        await hold.ExecuteScalarAsync();
        var deleting = server.Client.DeleteAsync("/v1/projects/shared");
        await Eventually.TrueAsync(
            () => server.ScalarAsync<bool>($"SELECT EXISTS (SELECT {LockWaits.From} AND query LIKE 'DELETE FROM traces%')"));

        using var other = await server.Client.PostAsync(Otlp.Spans(2, "stays")).WaitAsync(TimeSpan.FromSeconds(20));
        using var session = await server.Client.GetAsync("/v1/sessions/chat");
        using var trace = await server.Client.DeleteAsync($"/v1/traces/{TestSpan.Hex(1)}");
        using var anew = await server.Client.PostAsync(Otlp.Spans(3, "shared")).WaitAsync(TimeSpan.FromSeconds(20));
        await blocker.CloseAsync();
        using var answer = await deleting;

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (other.StatusCode, anew.StatusCode));
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (session.StatusCode, trace.StatusCode));
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        Assert.NotEqual(old, await server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'shared'"));
        Assert.Equal(0, await server.ScalarAsync<long>(Orphans));
        Assert.Equal(5, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    public async Task FinishAsync_SeveralStepsLeft_DoesOneAndSaysWhetherThereWasAny()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        foreach (var signal in (string[])["spans", "logs"])
        {
            (await server.Client.PostAsync(Request(signal))).EnsureSuccessStatusCode();
        }

        await QueryServer.RolledUpAsync(server);
        await server.ScalarAsync<int>("""
            WITH gone AS (DELETE FROM projects WHERE name = 'shared' RETURNING id)
            INSERT INTO removed_projects SELECT id FROM gone RETURNING project_id
            """);
        var remover = server.Services.GetRequiredService<TelemetryRemover>();

        Assert.True(await remover.FinishAsync(CancellationToken.None));
        Assert.Equal("0|3", await server.ScalarAsync<string>(
            "SELECT concat_ws('|', (SELECT count(*) FROM spans), (SELECT count(*) FROM logs))"));

        while (await remover.FinishAsync(CancellationToken.None))
        {
        }

        Assert.Equal(0, await server.ScalarAsync<long>("SELECT count(*) FROM removed_projects"));
        Assert.Equal(0, await server.ScalarAsync<long>(Orphans));
    }

    private static IMessage Request(string signal)
    {
        if (signal == "spans")
        {
            return Otlp.Spans(3, "shared");
        }

        if (signal == "logs")
        {
            var logs = Otlp.Log("l", "shared");
            var records = logs.ResourceLogs[0].ScopeLogs[0].LogRecords;
            records.AddRange([records[0].Clone(), records[0].Clone()]);
            return logs;
        }

        var gauge = Otlp.Gauge("g", 1, Otlp.NowNanos);
        gauge.ResourceMetrics[0].Resource.Attributes.Add(Otlp.Text("openinference.project.name", "shared"));
        var points = gauge.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints;
        foreach (var ahead in (ulong[])[1, 2])
        {
            var point = points[0].Clone();
            point.TimeUnixNano += ahead;
            points.Add(point);
        }

        return gauge;
    }
}
