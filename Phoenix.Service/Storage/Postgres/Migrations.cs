using System.Globalization;
using System.Reflection;
using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Brings the service's schema up to date: every embedded <c>Schema/NNNN_name.sql</c> not yet recorded, in order, each in a transaction of
/// its own with its record. Forward only and idempotent; an advisory lock makes replicas take turns.
/// </summary>
internal sealed class Migrations(NpgsqlDataSource dataSource, string schema)
{
    /// <summary>The embedded scripts by version.</summary>
    public static IReadOnlyList<Script> Scripts { get; } = Load();

    /// <summary>Applies what is missing; the names of the scripts applied.</summary>
    /// <exception cref="SchemaTooNewException">A newer release has migrated this database.</exception>
    public async Task<IReadOnlyList<string>> ApplyAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await ExecuteAsync(connection, $"SELECT pg_advisory_lock(hashtextextended('mats.migrations.{schema}', 0))", cancellationToken);
        try
        {
            await ExecuteAsync(connection, $"CREATE SCHEMA IF NOT EXISTS {schema}", cancellationToken);
            await ExecuteAsync(connection, $"SET search_path TO {schema}", cancellationToken);
            await ExecuteAsync(connection,
                "CREATE TABLE IF NOT EXISTS schema_versions (version integer PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())", cancellationToken);
            var applied = await AppliedAsync(connection, cancellationToken);
            if (applied.Count > 0 && applied.Max() is var newest && newest > Scripts[^1].Version)
            {
                throw new SchemaTooNewException($"schema {schema} is at version {newest}, this release knows {Scripts[^1].Version}: run the newer release, or restore a backup");
            }

            var missing = Scripts.Where(script => !applied.Contains(script.Version)).ToList();
            foreach (var script in missing)
            {
                await ApplyAsync(connection, script, cancellationToken);
            }

            return [.. missing.Select(script => script.Name)];
        }
        finally
        {
            // A broken connection has lost its locks, and its own fault must be the one that is told.
            if (connection.FullState == System.Data.ConnectionState.Open)
            {
                await ExecuteAsync(connection, "SELECT pg_advisory_unlock_all()", CancellationToken.None);
            }
        }
    }

    private static async Task ApplyAsync(NpgsqlConnection connection, Script script, CancellationToken cancellationToken)
    {
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync(connection, script.Sql, cancellationToken);
        await ExecuteAsync(connection, $"INSERT INTO schema_versions (version, name) VALUES ({script.Version}, '{script.Name}')",
            cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    private static async Task<HashSet<int>> AppliedAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var versions = new HashSet<int>();
        await using var command = new NpgsqlCommand("SELECT version FROM schema_versions", connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            versions.Add(reader.GetInt32(0));
        }

        return versions;
    }

    private static async Task ExecuteAsync(NpgsqlConnection connection, string sql, CancellationToken cancellationToken)
    {
        // A migration of a large table may take long; only the caller's token ends it.
        await using var command = new NpgsqlCommand(sql, connection) { CommandTimeout = 0 };
        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static List<Script> Load()
    {
        const string Folder = ".Schema.";
        var assembly = Assembly.GetExecutingAssembly();
        var scripts = new List<Script>();
        foreach (var resource in assembly.GetManifestResourceNames()
            .Where(name => name.Contains(Folder, StringComparison.Ordinal) && name.EndsWith(".sql", StringComparison.Ordinal)))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            var name = resource[(resource.IndexOf(Folder, StringComparison.Ordinal) + Folder.Length)..^".sql".Length];
            scripts.Add(new Script(int.Parse(name.AsSpan(0, 4), CultureInfo.InvariantCulture), name, reader.ReadToEnd()));
        }

        scripts.Sort((left, right) => left.Version.CompareTo(right.Version));
        return scripts;
    }

    /// <summary>One embedded script; the version is the number its name starts with.</summary>
    public sealed record Script(int Version, string Name, string Sql);
}

/// <summary>The database holds a schema newer than this release.</summary>
internal sealed class SchemaTooNewException(string message) : Exception(message);
