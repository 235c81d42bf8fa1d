using System.Net;
using System.Net.Http.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Orchestrator.Agent;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>What becomes of jobs and all that belongs to them when their time is over.</summary>
public sealed class JobRetentionTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    private const string User = "kim@example.com";

    /// <summary>The server's own runs of retention would come between.</summary>
    private static readonly (string, string)[] s_forEver = [("Mats:RetentionDays", "0")];

    [Fact]
    public async Task Run_JobsOlderThanKept_GoWithAllThatIsTheirsAndOthersStay()
    {
        var database = await system.NewDatabaseAsync();
        await using var server = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, s_forEver);
        await using var source = NpgsqlDataSource.Create(database);
        var (old, recent, held) = (await EndedAsync(server, "old"), await EndedAsync(server, "recent"), await EndedAsync(server, "held"));
        using var withoutJob = await server.Client.PostAsJsonAsync("/session/init", new { user_id = "anonymous", session_id = "old-too" });

        await ExecuteAsync(source, $"""
            insert into mats.proposals (job_id, command_hash, expires_at, state) select id, '', now(), 'null' from mats.jobs;
            update mats.jobs set status = 'RUNNING', lease_until = 'infinity' where id = '{held}';
            update mats.jobs set updated_at = now() - interval '91 days' where id <> '{recent}';
            update mats.events set time = now() - interval '91 days' where job_id is null or job_id <> '{recent}';
            update mats.sessions set updated_at = now() - interval '91 days' where session_id <> 'recent';
            update mats.proposals set expires_at = now() - interval '91 days' where job_id <> '{recent}';
            update mats.channels set used_at = now() - interval '91 days' where name not like '%recent'
            """);
        using var retention = Retention(source);

        Assert.Equal(1, await retention.RunAsync(default));
        Assert.Equal(0, await retention.RunAsync(default));

        using var gone = await server.Client.GetAsync($"/jobs/{old}");
        Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        var kept = new[] { held, recent }.Order(StringComparer.Ordinal);
        foreach (var table in new[] { "mats.jobs", "mats.events", "mats.objects", "mats.idempotency" })
        {
            var job = table == "mats.jobs" ? "id" : "job_id";
            Assert.Equal(kept, await TextsAsync(source, $"select distinct {job}::text from {table} order by 1"));
        }

        Assert.Equal([recent], await TextsAsync(source, "select job_id::text from mats.proposals"));
        Assert.Equal(["recent"], await TextsAsync(source, "select session_id from mats.sessions"));
        Assert.Equal(
            [EventLog.ChannelName(User, "held"), EventLog.ChannelName(User, "recent")],
            await TextsAsync(source, "select name from mats.channels order by name"));
        Assert.Equal(["retention: jobs removed 1"], await TextsAsync(
            source, "select actor || ': ' || action || ' ' || (detail ->> 'jobs') from mats.audit"));
    }

    [Fact]
    public async Task Run_JobAnsweredInThatMoment_Stays()
    {
        var database = await system.NewDatabaseAsync();
        await using var server = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, s_forEver);
        await using var source = NpgsqlDataSource.Create(database);
        var job = await EndedAsync(server, "s");
        await ExecuteAsync(source, "update mats.jobs set updated_at = now() - interval '91 days'");
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var answer = new NpgsqlCommand("update mats.jobs set updated_at = now()", connection, transaction);
        await answer.ExecuteNonQueryAsync();

        using var retention = Retention(source);
        Assert.Equal(0, await retention.RunAsync(default));
        await transaction.CommitAsync();

        Assert.Equal([job], await TextsAsync(source, "select id::text from mats.jobs"));
    }

    [Fact]
    public async Task Run_ChannelUsedInThatMoment_Stays()
    {
        var database = await system.NewDatabaseAsync();
        await using var server = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, s_forEver);
        await using var source = NpgsqlDataSource.Create(database);
        await ExecuteAsync(source, "insert into mats.channels (name, used_at) values ('c', now() - interval '91 days')");
        await using var connection = await source.OpenConnectionAsync();
        await using var transaction = await connection.BeginTransactionAsync();
        await using var use = new NpgsqlCommand("update mats.channels set used_at = now()", connection, transaction);
        await use.ExecuteNonQueryAsync();

        using var retention = Retention(source);
        var run = retention.RunAsync(default);
        await Eventually.TrueAsync(async () =>
        {
            await using var waiting = source.CreateCommand($"SELECT EXISTS (SELECT {LockWaits.From})");
            return (bool)(await waiting.ExecuteScalarAsync())!;
        });
        await transaction.CommitAsync();
        await run;

        Assert.Equal(["c"], await TextsAsync(source, "select name from mats.channels"));
    }

    [Fact]
    public async Task Start_RetentionOfZeroDays_RemovesNothing()
    {
        var database = await system.NewDatabaseAsync();
        string job;
        await using (var first = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, s_forEver))
        {
            job = await EndedAsync(first, "s");
        }

        await using var source = NpgsqlDataSource.Create(database);
        await ExecuteAsync(source, "update mats.jobs set updated_at = now() - interval '10 years'");

        await using (var forEver = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, s_forEver))
        {
            await forEver.Services.GetRequiredService<JobRetention>().ExecuteTask!.WaitAsync(TimeSpan.FromSeconds(30));
            Assert.Equal([job], await TextsAsync(source, "select id::text from mats.jobs"));
        }

        await using var usual = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl);
        await Eventually.TrueAsync(async () => (await TextsAsync(source, "select id::text from mats.jobs")).Count == 0);
    }

    private static JobRetention Retention(NpgsqlDataSource source) =>
        new(source, Options.Create(new MatsOptions()), TimeProvider.System, NullLogger<JobRetention>.Instance);

    private static async Task<string> EndedAsync(OrchestratorServer server, string session)
    {
        var id = await server.TroubleshootAsync(
            new { prompt = "why is it slow", hours_ago = 1 }, ("X-User-Email", User), ("X-Session-ID", session), ("Idempotency-Key", session));
        await server.EndAsync(id, User);
        return id;
    }

    private static async Task ExecuteAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await command.ExecuteNonQueryAsync();
    }

    private static async Task<List<string>> TextsAsync(NpgsqlDataSource source, string sql)
    {
        await using var command = source.CreateCommand(sql);
        await using var reader = await command.ExecuteReaderAsync();
        var texts = new List<string>();
        while (await reader.ReadAsync())
        {
            texts.Add(reader.GetString(0));
        }

        return texts;
    }
}
