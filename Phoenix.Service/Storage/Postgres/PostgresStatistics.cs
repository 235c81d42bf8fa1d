using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>A row of <c>pg_stat_database</c> with the database's size.</summary>
internal sealed record DatabaseStatistics(string Name, long SizeBytes, long Commits, long Rollbacks, long BlocksHit, long BlocksRead);

/// <summary>
/// What the server says of itself at one moment; <see cref="Statements"/> is empty without the extension pg_stat_statements.
/// </summary>
internal sealed record PostgresStatisticsSnapshot(
    int MaxConnections, IReadOnlyList<(string Database, string State, long Count)> Connections, IReadOnlyList<DatabaseStatistics> Databases,
    IReadOnlyList<(string Database, string QueryId, double MeanMilliseconds)> Statements);

/// <summary>Reads the statistics views of the server that the service stores in.</summary>
internal sealed class PostgresStatistics(NpgsqlDataSource dataSource)
{
    private const int TimeoutSeconds = 5;

    /// <summary>Null when the database does not answer within 5 s, or refuses.</summary>
    public async Task<PostgresStatisticsSnapshot?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
            var maxConnections = await ReadAsync(
                connection, "SELECT current_setting('max_connections')::integer", static reader => reader.GetInt32(0), cancellationToken);
            var connections = await ReadAsync(
                connection,
                """
                SELECT coalesce(datname, ''), coalesce(state, 'background'), count(*) FROM pg_stat_activity GROUP BY 1, 2 ORDER BY 1, 2
                """,
                static reader => (reader.GetString(0), reader.GetString(1), reader.GetInt64(2)),
                cancellationToken);
            var databases = await ReadAsync(
                connection,
                """
                SELECT datname, CASE WHEN has_database_privilege(datid, 'CONNECT') THEN pg_database_size(datid) ELSE 0 END,
                    xact_commit, xact_rollback, blks_hit, blks_read
                FROM pg_stat_database WHERE datname = current_database()
                """,
                static reader => new DatabaseStatistics(
                    reader.GetString(0), reader.GetInt64(1), reader.GetInt64(2), reader.GetInt64(3),
                    reader.GetInt64(4), reader.GetInt64(5)),
                cancellationToken);
            return new PostgresStatisticsSnapshot(
                maxConnections[0], connections, databases, await ReadStatementsAsync(connection, cancellationToken));
        }
        catch (Exception failure) when (failure is NpgsqlException or TimeoutException)
        {
            return null;
        }
    }

    private static async Task<List<(string, string, double)>> ReadStatementsAsync(
        NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var schemas = await ReadAsync(
            connection,
            "SELECT quote_ident(nspname) FROM pg_extension JOIN pg_namespace ON pg_namespace.oid = extnamespace WHERE extname = 'pg_stat_statements'",
            static reader => reader.GetString(0),
            cancellationToken);
        if (schemas.Count == 0)
        {
            return [];
        }

        try
        {
            return await ReadAsync(
                connection,
                $"""
                SELECT datname, queryid::text, mean_exec_time FROM {schemas[0]}.pg_stat_statements
                JOIN pg_database ON oid = dbid AND datname = current_database() WHERE calls >= 5 AND queryid IS NOT NULL
                ORDER BY mean_exec_time DESC LIMIT 10
                """,
                static reader => (reader.GetString(0), reader.GetString(1), reader.GetDouble(2)),
                cancellationToken);
        }
        catch (PostgresException failure) when (failure.SqlState == PostgresErrorCodes.ObjectNotInPrerequisiteState)
        {
            // Created, but the server was not started with the library: the view refuses, the rest of the statistics stands.
            return [];
        }
    }

    private static async Task<List<T>> ReadAsync<T>(
        NpgsqlConnection connection, string text, Func<NpgsqlDataReader, T> read, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(text, connection) { CommandTimeout = TimeoutSeconds };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var rows = new List<T>();
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(read(reader));
        }

        return rows;
    }
}
