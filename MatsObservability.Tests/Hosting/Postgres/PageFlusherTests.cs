using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Hosting.Postgres;

/// <summary>What a managed server's files grow by goes to the disk as it comes.</summary>
[Trait("Req", "B081")]
public sealed class PageFlusherTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Flush_TableThatGrows_SendsExactlyItsNewPages()
    {
        var data = Path.Combine(_folder.Path, "data");
        await using var server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataDirectory = data, Password = "p", Settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["fsync"] = "off",
                ["autovacuum"] = "off" },
        });
        await ExecuteAsync(server.ConnectionString("postgres"), "CREATE DATABASE grows");
        var grows = server.ConnectionString("grows");
        await ExecuteAsync(grows, "CREATE TABLE numbers (value int); INSERT INTO numbers SELECT generate_series(1, 1000)");
        await using var flusher = new PageFlusher(data);

        Assert.Equal(0, flusher.Flush());
        var before = await ExecuteAsync(grows, "SELECT pg_relation_size('numbers')");
        await ExecuteAsync(grows, "INSERT INTO numbers SELECT generate_series(1, 100000)");
        var after = await ExecuteAsync(grows, "SELECT pg_relation_size('numbers')");
        Assert.Equal(after - before, flusher.Flush());
        Assert.Equal(0, flusher.Flush());

        await ExecuteAsync(grows, "CREATE TABLE more AS SELECT generate_series(1, 50000) AS value; DROP TABLE numbers");
        Assert.Equal(await ExecuteAsync(grows, "SELECT pg_relation_size('more')"), flusher.Flush());

        await ExecuteAsync(server.ConnectionString("postgres"), "DROP DATABASE grows WITH (FORCE)");
        Assert.Equal(0, flusher.Flush());
    }

    [Fact]
    public async Task Flush_OtherFilesAndFoldersThatVanish_AreLeftAlone()
    {
        var data = Path.Combine(_folder.Path, "data");
        var database = Path.Combine(data, "base", "16384");
        Directory.CreateDirectory(database);
        await using var flusher = new PageFlusher(data);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385.1"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385_fsm"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "1259"), new byte[8192]);
        Directory.CreateDirectory(Path.Combine(data, "base", "pgsql_tmp"));

        Assert.Equal(2 * 8192, flusher.Flush());
        Directory.Delete(data, recursive: true);
        Assert.Equal(0, flusher.Flush());
    }

    private static async Task<long> ExecuteAsync(string connectionString, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync() as long? ?? 0;
    }
}
