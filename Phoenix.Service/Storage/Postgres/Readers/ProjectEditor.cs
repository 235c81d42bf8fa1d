using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Creates and describes projects for people; those that telemetry names are created by <see cref="ProjectDirectory"/>.</summary>
internal sealed class ProjectEditor(NpgsqlDataSource dataSource)
{
    private const string Returning = "RETURNING id, name, description, created_at, updated_at";

    /// <summary>The new project, or null when the name is taken.</summary>
    public Task<ProjectRow?> CreateAsync(string name, string? description, CancellationToken cancellationToken) => WriteAsync(
        $"INSERT INTO projects (name, description) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING {Returning}", name,
        description, cancellationToken);

    /// <summary>The project with its new description, or null when there is no such project.</summary>
    public Task<ProjectRow?> DescribeAsync(int id, string? description, CancellationToken cancellationToken) => WriteAsync(
        $"UPDATE projects SET description = $2, updated_at = now() WHERE id = $1 {Returning}", id, description, cancellationToken);

    private async Task<ProjectRow?> WriteAsync<T>(string text, T key, string? description, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateCommand(text);
        command.Bind(key);
        command.BindNullable(description, NpgsqlTypes.NpgsqlDbType.Text);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? ProjectReader.ToRow(reader) : null;
    }
}
