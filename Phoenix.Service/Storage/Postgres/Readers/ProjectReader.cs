using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Reads <c>projects</c>.</summary>
internal sealed class ProjectReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    private const string Columns = "id, name, description, created_at, updated_at";

    /// <summary>The project with this row id, or null.</summary>
    public async Task<ProjectRow?> FindAsync(int id, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"SELECT {Columns} FROM projects WHERE id = $1");
        command.Bind(id);
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>The project with exactly this name, or null.</summary>
    public async Task<ProjectRow?> FindAsync(string name, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"SELECT {Columns} FROM projects WHERE name = $1");
        command.Bind(name);
        return await ReadOneAsync(command, cancellationToken);
    }

    /// <summary>Projects by row id descending, at most <paramref name="limit"/>, from <paramref name="atOrBelow"/> on.</summary>
    /// <param name="nameContains">Case-insensitive part of the name; null = any.</param>
    public async Task<List<ProjectRow>> ListAsync(int atOrBelow, string? nameContains, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Columns} FROM projects WHERE id <= {command.Bind(atOrBelow)}";
        if (nameContains is not null)
        {
            text += $" AND strpos(lower(name), lower({command.Bind(nameContains)})) > 0";
        }

        command.CommandText = $"{text} ORDER BY id DESC LIMIT {command.Bind(limit)}";
        var projects = new List<ProjectRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            projects.Add(ToRow(reader));
        }

        return projects;
    }

    private static async Task<ProjectRow?> ReadOneAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ToRow(reader) : null;
    }

    internal static ProjectRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt32(0), reader.GetString(1), reader.TextOrNull(2), reader.GetFieldValue<DateTimeOffset>(3),
        reader.GetFieldValue<DateTimeOffset>(4));
}
