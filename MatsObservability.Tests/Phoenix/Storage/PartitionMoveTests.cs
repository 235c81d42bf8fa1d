using System.Net;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>A day whose rows take long to move out of the default partition is written there until the upkeep has moved them.</summary>
[Trait("Req", "B086")]
public sealed class PartitionMoveTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const ulong DayNanos = 86_400_000_000_000;

    [Fact]
    public async Task Export_DayThatTakesLongToMove_IsStoredInTheDefaultPartitionAndMovedByTheUpkeep()
    {
        var database = await postgres.CreateDatabaseAsync();
        var start = Otlp.NowNanos - (40 * DayNanos);
        await FillDefaultAsync(database, start, ("Phoenix:Storage:PartitionsBackDays", "1"));
        await using var server = await PhoenixServer.StartAsync(database);
        var time = new TestTime(TimeProvider.System.GetUtcNow());
        using var partitions = new Partitions(
            server.Services.GetRequiredService<NpgsqlDataSource>(), server.Services.GetRequiredService<AttributeIndexes>(),
            server.Services.GetRequiredService<IOptions<StorageOptions>>(), time, NullLogger<Partitions>.Instance);

        await SendAsync(server.Client, start);

        Assert.Equal(8, await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
        var day = (int)(start / DayNanos);
        Assert.Equal("spans_default", await partitions.LeafAsync(Signal.Spans, day, CancellationToken.None));

        await server.ScalarAsync<bool>("DROP TRIGGER slow ON spans_default; SELECT true");
        time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal("spans_default", await partitions.LeafAsync(Signal.Spans, day, CancellationToken.None));
        await partitions.MakePostponedAsync(CancellationToken.None);
        await SendAsync(server.Client, start);

        Assert.NotEqual("spans_default", await partitions.LeafAsync(Signal.Spans, day, CancellationToken.None));
        Assert.Equal((0, 9), (await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"),
            await server.ScalarAsync<long>("SELECT count(*) FROM spans")));
    }

    [Fact]
    public async Task Start_DayAheadThatTakesLongToMove_IsReady()
    {
        var database = await postgres.CreateDatabaseAsync();
        var start = Otlp.NowNanos + (3 * DayNanos);
        await FillDefaultAsync(database, start, ("Phoenix:Storage:PartitionsAhead", "1"));

        await using var server = await PhoenixServer.StartAsync(database, ("Phoenix:Storage:PartitionsAhead", "4"));
        await SendAsync(server.Client, start);

        Assert.Equal(8, await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
    }

    /// <summary>Stores seven spans of a day that has no partition yet; to move them takes longer than a write may.</summary>
    private static async Task FillDefaultAsync(string database, ulong start, (string, string) setting)
    {
        await using var server = await PhoenixServer.StartAsync(database, setting);
        await SendAsync(server.Client, start, 7);
        Assert.Equal(7, await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
        await server.ScalarAsync<bool>("""
            CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN OLD; END';
            CREATE TRIGGER slow BEFORE DELETE ON spans_default FOR EACH ROW EXECUTE FUNCTION slow();
            SELECT true
            """);
    }

    private static async Task SendAsync(HttpClient client, ulong start, int spans = 1)
    {
        using var answer = await client.PostAsync(Otlp.Spans(Guid.NewGuid(), spans, startNanos: start));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
