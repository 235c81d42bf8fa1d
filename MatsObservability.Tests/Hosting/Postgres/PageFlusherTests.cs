using System.Runtime.Versioning;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Hosting.Postgres;

/// <summary>What a managed server's files grow by goes to the disk as it comes.</summary>
[Trait("Req", "B081")]
[SupportedOSPlatform("linux")]
public sealed class PageFlusherTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Data => Path.Combine(_folder.Path, "data");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Flush_TableThatGrows_SendsExactlyItsNewPages()
    {
        await using var server = await StartAsync(("fsync", "off"), ("autovacuum", "off"));
        var grows = await CreateDatabaseAsync(server);
        await ExecuteAsync(grows, "CREATE TABLE numbers (value int); INSERT INTO numbers SELECT generate_series(1, 1000)");
        await using var flusher = new PageFlusher(Data);

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
        var database = Path.Combine(Data, "base", "16384");
        Directory.CreateDirectory(database);
        await using var flusher = new PageFlusher(Data);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385.1"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "16385_fsm"), new byte[8192]);
        await File.WriteAllBytesAsync(Path.Combine(database, "1259"), new byte[8192]);
        Directory.CreateDirectory(Path.Combine(Data, "base", "pgsql_tmp"));

        Assert.Equal(2 * 8192, flusher.Flush());
        Directory.Delete(Data, recursive: true);
        Assert.Equal(0, flusher.Flush());
    }

    [DirtyPagesFact]
    public async Task StartAsync_TableThatGrows_IsOnTheDiskBeforeTheSystemWouldWriteIt()
    {
        await using var server = await StartAsync(("autovacuum", "off"));
        var grows = await CreateDatabaseAsync(server);
        await ExecuteAsync(grows, "CREATE TABLE numbers AS SELECT generate_series(1, 300000) AS value");
        await using var source = NpgsqlDataSource.Create(grows);
        await using var where = source.CreateCommand("SELECT pg_relation_filepath('numbers')");
        var file = Path.Combine(Data, (string)(await where.ExecuteScalarAsync())!);

        // Linux itself keeps them for 30 s.
        await Eventually.TrueAsync(() => DirtyPages.Of(file) == 0, TimeSpan.FromSeconds(15));
    }

    private static async Task<string> CreateDatabaseAsync(PostgresServer server)
    {
        await ExecuteAsync(server.ConnectionString("postgres"), "CREATE DATABASE grows");
        return server.ConnectionString("grows");
    }

    private static async Task<long> ExecuteAsync(string connectionString, string sql)
    {
        await using var source = NpgsqlDataSource.Create(connectionString);
        await using var command = source.CreateCommand(sql);
        return await command.ExecuteScalarAsync() as long? ?? 0;
    }

    private Task<PostgresServer> StartAsync(params (string Name, string Value)[] settings) => PostgresServer.StartAsync(
        new PostgresServerOptions
        {
            DataDirectory = Data, Password = "p",
            Settings = settings.ToDictionary(static setting => setting.Name, static setting => setting.Value, StringComparer.Ordinal),
        });
}
