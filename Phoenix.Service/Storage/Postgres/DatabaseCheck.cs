using System.Net.Sockets;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>What is wrong with the database, by a name that stays the same for the same fault; both null when all is well.</summary>
internal readonly record struct DatabaseFault(string? Code, string? Text);

/// <summary>Looks at a database from outside of a running service; writes nothing.</summary>
internal sealed class DatabaseCheck(string connectionString) : IAsyncDisposable
{
    private const int SecondsOfALook = 5;
    private readonly NpgsqlDataSource _source = NpgsqlDataSource.Create(connectionString);

    /// <summary>Whether the database answers and has exactly this release's schema.</summary>
    public async Task<DatabaseFault> ExamineAsync(CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _source.CreateCommand("SELECT max(version) FROM schema_versions");
            command.CommandTimeout = SecondsOfALook;
            var version = await command.ExecuteScalarAsync(cancellationToken) as int? ?? 0;
            var current = Migrations.Scripts[^1].Version;
            return version == current ? default
                : version < current ? new(
                    "migrations_missing", $"the schema is at version {version}, this release needs {current}: start the service, it migrates by itself")
                : new("schema_too_new", $"the schema is at version {version}, this release knows {current}: run the newer release");
        }
        catch (PostgresException fault)
        {
            return fault.SqlState switch
            {
                PostgresErrorCodes.UndefinedTable or PostgresErrorCodes.InvalidSchemaName =>
                    new("migrations_missing", "the database has no schema of this service yet: start the service, it migrates by itself"),
                PostgresErrorCodes.InvalidPassword or PostgresErrorCodes.InvalidAuthorizationSpecification =>
                    new("database_refused", $"the database refuses the credentials ({fault.SqlState}): check user and password"),
                PostgresErrorCodes.InvalidCatalogName => new("database_missing", "the server has no database of that name: create it"),
                _ => new("database_error", $"the database answers with an error ({fault.SqlState}: {fault.MessageText})"),
            };
        }
        catch (Exception fault) when (fault is NpgsqlException or SocketException or TimeoutException)
        {
            return new(
                "database_unreachable", $"the database does not answer ({fault.GetBaseException().Message}): check host, port, and whether it runs");
        }
    }

    /// <summary>The projects to which spans of these names were sent since then; null when that takes too long to find out.</summary>
    public async Task<IReadOnlyList<string>?> ProjectsOfAsync(string[] spanNames, long sinceNanos, CancellationToken cancellationToken)
    {
        try
        {
            await using var command = _source.CreateCommand(
                "SELECT p.name FROM projects p WHERE EXISTS (SELECT 1 FROM spans s WHERE s.project_id = p.id AND s.start_ns > $1 AND s.name = ANY($2)) ORDER BY 1");
            command.CommandTimeout = SecondsOfALook;
            command.Parameters.AddWithValue(sinceNanos);
            command.Parameters.AddWithValue(spanNames);
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            var names = new List<string>();
            while (await reader.ReadAsync(cancellationToken))
            {
                names.Add(reader.GetString(0));
            }

            return names;
        }
        catch (NpgsqlException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _source.DisposeAsync();
}
