using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>Rows of <c>projects</c>: ids by name.</summary>
internal sealed class ProjectTable(NpgsqlDataSource dataSource)
{
    /// <summary>All projects.</summary>
    public async Task<Dictionary<string, int>> ReadAllAsync(CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand("SELECT name, id FROM projects");
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>
    /// Creates the projects that do not exist; the ids of all <paramref name="names"/>. Idempotent, durable when it returns.
    /// </summary>
    public async Task<Dictionary<string, int>> EnsureAsync(string[] names, CancellationToken cancellationToken)
    {
        // The second SELECT is a statement of its own: it sees rows that another replica committed while the first one waited.
        await using var command = dataSource.CreateCommand(
            "INSERT INTO projects (name) SELECT DISTINCT unnest($1::text[]) ORDER BY 1 ON CONFLICT (name) DO NOTHING");
        command.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        await command.ExecuteNonQueryAsync(cancellationToken);

        await using var select = dataSource.CreateCommand("SELECT name, id FROM projects WHERE name = ANY($1)");
        select.Parameters.Add(new NpgsqlParameter<string[]> { TypedValue = names });
        return await ReadAsync(select, cancellationToken);
    }

    /// <summary>SQLSTATE of <c>hold_projects</c> when projects are gone; the message then lists their ids.</summary>
    public const string GoneState = "MT001";

    /// <summary>
    /// The statement that holds the projects of <paramref name="batches"/> until the transaction ends, or fails with
    /// <see cref="GoneState"/> (Schema/0052_hold_projects.sql). It comes last, because a deletion first takes the tables of the deltas and
    /// then the project.
    /// </summary>
    public static NpgsqlBatchCommand Hold(IEnumerable<TelemetryBatch> batches) => new("SELECT hold_projects($1)")
    {
        Parameters = { new NpgsqlParameter<int[]> { TypedValue = [.. batches.SelectMany(static batch => batch.Projects).Distinct()] } },
    };

    private static async Task<Dictionary<string, int>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var ids = new Dictionary<string, int>(StringComparer.Ordinal);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ids[reader.GetString(0)] = reader.GetInt32(1);
        }

        return ids;
    }
}

/// <summary>Rows belong to projects that have been deleted since they were decoded; nothing of their transaction is stored.</summary>
internal sealed class ProjectGoneException(IReadOnlySet<int> projects) : Exception("The project has been deleted meanwhile.")
{
    /// <summary>Their ids.</summary>
    public IReadOnlySet<int> Projects { get; } = projects;
}
