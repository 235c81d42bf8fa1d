using System.Diagnostics;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>A stop of the real process ends by itself, whatever the database does.</summary>
public sealed class StopTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    /// <summary>How long a slow machine may take; a process that is killed then has another exit code than 0.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>A drain time-out of a second, two for the answers, three for the rest, and some for a busy machine.</summary>
    private static readonly TimeSpan s_soon = TimeSpan.FromSeconds(9);

    /// <summary>A statement under way must be cancelled, and that waits for the database's answer on the thread that asks.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stop_DatabaseIsSilent_EndsSoonAfterTheDrainTimeout(bool underWay)
    {
        var connection = new NpgsqlConnectionStringBuilder(await postgres.CreateDatabaseAsync());
        await using var database = NpgsqlDataSource.Create(connection.ConnectionString);
        await using var blocker = await database.OpenConnectionAsync();
        await using var gate = TcpGate.To(connection.Port);
        connection.Port = gate.Port;
        await using var phoenix = new PhoenixProcess(new Dictionary<string, string?>
        {
            ["ConnectionStrings__phoenixdb"] = connection.ConnectionString, ["Phoenix__Storage__DrainTimeout"] = "00:00:01",
        });
        await phoenix.StartAsync(CancellationToken.None);
        using var client = new HttpClient { BaseAddress = new Uri(phoenix.HttpUrl) };
        using (var stored = await client.PostAsync(Otlp.Spans(10)))
        {
            stored.EnsureSuccessStatusCode();
        }

        await using var transaction = await blocker.BeginTransactionAsync();
        var waiting = Task.CompletedTask;
        if (underWay)
        {
            await using var block = new NpgsqlCommand("LOCK TABLE phoenix.spans, phoenix.traces IN ACCESS EXCLUSIVE MODE", blocker);
            await block.ExecuteNonQueryAsync();
            waiting = Task.WhenAll(client.PostAsync(Otlp.Spans(10)), client.GetAsync("/v1/projects"));
            await using var waiters = database.CreateCommand($"SELECT count(DISTINCT query LIKE 'COPY%') {LockWaits.From}");
            await Eventually.TrueAsync(async () => await waiters.ExecuteScalarAsync() is 2L);
        }

        gate.Silence();
        var clock = Stopwatch.StartNew();
        var exitCode = await phoenix.StopAsync(s_patience);

        var (took, output) = (clock.Elapsed, phoenix.Output);
        Assert.True(exitCode == 0, output);
        Assert.DoesNotContain("nhandled exception", output, StringComparison.Ordinal);

        // Soon, or else by the limit, which says so: without it the database's answer would be waited for.
        Assert.True(
            !underWay || took < s_soon || output.Contains("The stop took longer than 6 s", StringComparison.Ordinal),
            $"it took {took}: {output}");

        // Its callers are left alone: answered, or cut off.
        await Task.WhenAny(waiting);
    }
}
