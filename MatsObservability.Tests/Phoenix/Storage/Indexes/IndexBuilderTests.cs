using System.Net;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace MatsObservability.Tests.Phoenix.Storage.Indexes;

/// <summary>Indexes come to tables that hold data while writes go on, whatever happens to the build.</summary>
[Trait("Req", "B090")]
public sealed class IndexBuilderTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Invalid =
        "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid WHERE NOT indisvalid AND relkind = 'i' AND relnamespace = current_schema()::regnamespace";
    private const string Building =
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'CREATE INDEX CONCURRENTLY%'";

    private readonly ulong _now = Otlp.NowNanos;

    [Fact]
    public async Task Build_HeldUpByALongTransaction_LetsWritesThroughAndEndsValid()
    {
        await using var server = await StartAsync();
        var builder = server.Services.GetRequiredService<IndexBuilder>();
        Task<bool> build;
        await using (await WriteAndHoldAsync(server))
        {
            build = builder.RunAsync(CancellationToken.None);
            await Eventually.TrueAsync(async () => await server.ScalarAsync<long>(Building) == 1);
            for (var request = 0; request < 50; request++)
            {
                await PostAsync(server, 200);
            }

            Assert.False(build.IsCompleted);
            Assert.Equal(1, await server.ScalarAsync<long>(Invalid));
        }

        Assert.True(await build.WaitAsync(TimeSpan.FromSeconds(60)));

        Assert.Equal(0, await server.ScalarAsync<long>(Invalid));
        Assert.Equal(
            1, await server.ScalarAsync<long>($"SELECT count(*) FROM pg_class WHERE relname = '{Index(await LeafAsync(server))}'"));
        Assert.Equal(10_001, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Theory]
    [InlineData("pg_cancel_backend")]
    [InlineData("pg_terminate_backend")]
    public async Task Build_KilledInTheMiddle_LeavesNoInvalidIndexAfterTheNextPass(string kill)
    {
        await using var server = await StartAsync();
        var builder = server.Services.GetRequiredService<IndexBuilder>();
        await using (await WriteAndHoldAsync(server))
        {
            var build = builder.RunAsync(CancellationToken.None);
            await Eventually.TrueAsync(async () => await server.ScalarAsync<long>(Building) == 1);
            await server.ScalarAsync<bool>($"SELECT bool_and({kill}(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%'");
            if (kill == "pg_terminate_backend")
            {
                await Assert.ThrowsAnyAsync<NpgsqlException>(() => build);
                Assert.Equal(1, await server.ScalarAsync<long>(Invalid));
            }
            else
            {
                // It drops what it left at once, as soon as the transaction that holds it up ends.
                await Eventually.TrueAsync(async () => await server.ScalarAsync<long>(Building) == 0);
            }
        }

        await Eventually.TrueAsync(() => builder.RunAsync(CancellationToken.None));
        Assert.Equal(0, await server.ScalarAsync<long>(Invalid));
        Assert.True(server.Services.GetRequiredService<AttributeIndexes>().IsReady("user.id"));
    }

    [Fact]
    public async Task Build_TwoReplicas_OneBuildsAndTheOtherGoesOn()
    {
        await using var one = await StartAsync();
        await using var two = await PhoenixServer.StartAsync(one.ConnectionString, ("PHOENIX_INDEXED_ATTRIBUTES", "user.id"));
        var indexes = two.Services.GetRequiredService<AttributeIndexes>();
        await Eventually.TrueAsync(() => indexes.IsReady("user.id"));
        await one.ScalarAsync<int>($"DROP INDEX {Index(await LeafAsync(one))}; SELECT 1");
        Task<bool> build;
        await using (await WriteAndHoldAsync(one))
        {
            build = one.Services.GetRequiredService<IndexBuilder>().RunAsync(CancellationToken.None);
            await Eventually.TrueAsync(async () => await one.ScalarAsync<long>(Building) == 1);

            Assert.False(await two.Services.GetRequiredService<IndexBuilder>().RunAsync(CancellationToken.None));
            Assert.False(indexes.IsReady("user.id"));
            Assert.Equal(1, await one.ScalarAsync<long>(Building));
        }

        Assert.True(await build);
        await two.Services.GetRequiredService<IndexBuilder>().RunAsync(CancellationToken.None);
        Assert.True(indexes.IsReady("user.id"));
    }

    [Fact]
    public async Task DeclaredIndex_PopulatedPartitions_IsBuiltInEachAttachedAndInheritedByNewOnes()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await PostAsync(server, 100);
        await server.ScalarAsync<int>(
            "CREATE UNIQUE INDEX declared ON ONLY spans (project_id, start_ns, span_id, trace_id) WHERE status = 2; SELECT 1");
        var builder = server.Services.GetRequiredService<IndexBuilder>();

        await PassAsync(builder);

        const string Parts =
            "SELECT count(*) FROM pg_inherits JOIN pg_index ON indexrelid = inhrelid WHERE inhparent = 'declared'::regclass AND indisvalid AND indisunique AND indpred IS NOT NULL";
        var leaves = await server.ScalarAsync<long>("SELECT count(*) FROM pg_inherits WHERE inhparent = 'spans'::regclass");
        Assert.True(await server.ScalarAsync<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'declared'::regclass"));
        Assert.Equal(leaves, await server.ScalarAsync<long>(Parts));
        await PostAsync(server, 5, _now - (50UL * 86_400_000_000_000));
        Assert.Equal(leaves + 1, await server.ScalarAsync<long>(Parts));
    }

    [Fact]
    public async Task Attach_PartitionIsRead_GivesUpSoonWithoutHoldingWritersAndGoesOnLater()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await PostAsync(server, 100);
        var leaf = await LeafAsync(server);
        var part = WantedIndex.NameOn(leaf, "part", "declared");
        var builder = server.Services.GetRequiredService<IndexBuilder>();
        await PassAsync(builder);
        await server.ScalarAsync<int>($"CREATE INDEX declared ON ONLY spans (user_id); CREATE INDEX {part} ON {leaf} (user_id); SELECT 1");
        await using (var reader = await server.OpenAsync())
        {
            // It keeps its locks, and no snapshot that the builds in other partitions would wait for.
            await using var held =
                new NpgsqlCommand($"BEGIN; SELECT count(*) FROM {leaf} WHERE user_id = 'x'; SET LOCAL application_name = 'reader'", reader);
            await held.ExecuteNonQueryAsync();
            var pass = PassAsync(builder);
            while (!pass.IsCompleted)
            {
                await PostAsync(server, 10);
            }

            await pass;
            Assert.False(await server.ScalarAsync<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'declared'::regclass"));
        }

        await PassAsync(builder);
        Assert.True(await server.ScalarAsync<bool>("SELECT indisvalid FROM pg_index WHERE indexrelid = 'declared'::regclass"));
        Assert.Equal(0, await server.ScalarAsync<long>(Invalid));
    }

    /// <summary>A server that lacks the index on user.id in the partition of <see cref="_now"/>, as if the setting were new.</summary>
    private async Task<PhoenixServer> StartAsync()
    {
        var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_INDEXED_ATTRIBUTES", "user.id"));
        var indexes = server.Services.GetRequiredService<AttributeIndexes>();
        await Eventually.TrueAsync(() => indexes.IsReady("user.id"));
        await PostAsync(server, 1);
        await server.ScalarAsync<int>($"DROP INDEX {Index(await LeafAsync(server))}; SELECT 1");
        return server;
    }

    /// <summary>One pass of this builder, once the service's own one is through.</summary>
    private static Task PassAsync(IndexBuilder builder) => Eventually.TrueAsync(() => builder.RunAsync(CancellationToken.None));

    private static Task<string> LeafAsync(PhoenixServer server) =>
        server.ScalarAsync<string>("SELECT max(tableoid::regclass::text) FROM spans");

    private static string Index(string leaf) => AttributeIndexes.On(leaf, "user.id").Name;

    /// <summary>A transaction that wrote to that partition and does not end: every build there waits for it.</summary>
    private static async Task<IAsyncDisposable> WriteAndHoldAsync(PhoenixServer server)
    {
        var connection = await server.OpenAsync();
        await using var command = new NpgsqlCommand($"BEGIN; DELETE FROM {await LeafAsync(server)} WHERE name = 'nothing'", connection);
        await command.ExecuteNonQueryAsync();
        return connection;
    }

    private async Task PostAsync(PhoenixServer server, int spans, ulong? startNanos = null)
    {
        using var answer = await server.Client.PostAsync(Otlp.Spans(spans, startNanos: startNanos ?? _now));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }
}
