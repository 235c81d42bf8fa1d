using Npgsql;

namespace MatsObservability.Tests.Support;

/// <summary>
/// Fresh databases on a real PostgreSQL: the one that the environment variable MATS_TEST_POSTGRES names, else one started for the test run.
/// Use as a class fixture; its databases are dropped with it.
/// </summary>
public sealed class PostgresFixture : IAsyncLifetime
{
    private static readonly Lazy<Task<string>> s_server = new(TestPostgres.ConnectionStringAsync);
    private readonly List<string> _databases = [];

    /// <summary>Creates an empty database; its connection string.</summary>
    public async Task<string> CreateDatabaseAsync()
    {
        var server = await s_server.Value;
        var name = $"test_{Guid.NewGuid():N}";
        await ExecuteAsync(server, $"CREATE DATABASE {name}");
        lock (_databases)
        {
            _databases.Add(name);
        }

        return new NpgsqlConnectionStringBuilder(server) { Database = name }.ConnectionString;
    }

    /// <inheritdoc/>
    public Task InitializeAsync() => Task.CompletedTask;

    /// <inheritdoc/>
    public async Task DisposeAsync()
    {
        foreach (var database in _databases)
        {
            await ExecuteAsync(await s_server.Value, $"DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        }
    }

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
