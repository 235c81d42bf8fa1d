using MatsObservability.Tests.Support;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

public sealed class EventSignalTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Watch_EventOfItsChannel_WakesEveryWatchOfItAlone()
    {
        await using var database = NpgsqlDataSource.Create(await postgres.CreateDatabaseAsync());
        using var signal = On(database);
        await signal.StartAsync(CancellationToken.None);
        using var other = signal.Begin(8);

        // Listening begins with a wake of everybody, who may have missed something before.
        Assert.True(await other.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None));
        using var after = signal.Begin(8);
        using var one = signal.Begin(7);
        using var two = signal.Begin(7);
        await using var notify = database.CreateCommand($"SELECT pg_notify('{EventLog.Notification}', '7')");
        await notify.ExecuteNonQueryAsync();

        Assert.True(await one.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None));
        Assert.True(await two.WaitAsync(TimeSpan.FromSeconds(30), CancellationToken.None));
        Assert.False(await after.WaitAsync(TimeSpan.Zero, CancellationToken.None));
        await signal.StopAsync(CancellationToken.None);
    }

    [Fact]
    public async Task Watch_ChannelThatNeverHasAnEvent_LeavesNothingBehind()
    {
        await using var database = NpgsqlDataSource.Create("Host=127.0.0.1");
        using var signal = On(database);
        for (var channel = 0; channel < 100; channel++)
        {
            using var watch = signal.Begin(channel);
            Assert.False(await watch.WaitAsync(TimeSpan.Zero, CancellationToken.None));
        }

        Assert.Equal(0, signal.WatchedChannels);
    }

    [Fact]
    public async Task Watch_OneOfTwoEnds_TheOtherGoesOn()
    {
        await using var database = NpgsqlDataSource.Create("Host=127.0.0.1");
        using var signal = On(database);
        var one = signal.Begin(7);
        using var other = signal.Begin(7);

        one.Dispose();
        one.Dispose();

        Assert.Equal(1, signal.WatchedChannels);
    }

    private static EventSignal On(NpgsqlDataSource database) => new(database, TimeProvider.System, NullLogger<EventSignal>.Instance);
}
