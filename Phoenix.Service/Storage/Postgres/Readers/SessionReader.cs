using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Reads the roll-up <c>sessions</c>, after it caught up with what was acknowledged.</summary>
internal sealed class SessionReader(NpgsqlDataSource dataSource, ReadLimits limits, RollupCatchUp catchUp)
{
    /// <summary>Roll-ups of a removed project go last.</summary>
    private const string InProject = "EXISTS (SELECT FROM projects p WHERE p.id = sessions.project_id)";

    /// <summary>The columns of a <see cref="SessionRow"/>, in its order.</summary>
    internal const string Columns =
        "id, project_id, session_id, user_id, start_ns, end_ns, trace_count, error_count, prompt_tokens, completion_tokens, cost_pico_usd";

    /// <summary>One page of a project's sessions by row id, from <paramref name="from"/> (inclusive) on; null = from the first.</summary>
    public async Task<List<SessionRow>> ListAsync(
        int projectId, bool descending, long? from, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Columns} FROM sessions WHERE project_id = {command.Bind(projectId)}";
        if (from is { } id)
        {
            text += $" AND id {(descending ? "<=" : ">=")} {command.Bind(id)}";
        }

        command.CommandText = $"{text} ORDER BY id {(descending ? "DESC" : "ASC")} LIMIT {command.Bind(limit)}";
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>The session with this row id, or null.</summary>
    public async Task<SessionRow?> FindAsync(long id, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"SELECT {Columns} FROM sessions WHERE id = $1 AND {InProject}");
        command.Bind(id);
        return (await ReadAsync(command, cancellationToken)).FirstOrDefault();
    }

    /// <summary>The session that the client named so; of several projects' the one active last. Null when there is none.</summary>
    public async Task<SessionRow?> FindAsync(string sessionId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(
            limits, $"SELECT {Columns} FROM sessions WHERE session_id = $1 AND {InProject} ORDER BY end_ns DESC, id DESC LIMIT 1");
        command.Bind(sessionId);
        return (await ReadAsync(command, cancellationToken)).FirstOrDefault();
    }

    private async Task<List<SessionRow>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await catchUp.RunAsync(cancellationToken);
        var sessions = new List<SessionRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            sessions.Add(ToRow(reader));
        }

        return sessions;
    }

    internal static SessionRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt32(1), reader.GetString(2), reader.TextOrNull(3), reader.GetInt64(4), reader.GetInt64(5),
        reader.GetInt64(6), reader.GetInt64(7), reader.GetInt64(8), reader.GetInt64(9), reader.GetInt64(10));
}
