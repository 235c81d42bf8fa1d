using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// A session of a list: its roll-up, its first and last trace, and over its traces the median duration in ns and the share without an
/// error, null without traces.
/// </summary>
internal sealed record SessionListRow(
    SessionRow Session, Guid? FirstTraceId, long? FirstRootId, Guid? LastTraceId, long? LastRootId, double? P50Nanos,
    double? SuccessShare);

/// <summary>Lists the sessions of a project by their roll-up.</summary>
internal sealed class SessionListReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    private const string Text = $"""
        SELECT {SessionReader.Columns},
            first.trace_id, first.root_span_id, last.trace_id, last.root_span_id, whole.nanos, whole.success
        FROM sessions s
        LEFT JOIN LATERAL (SELECT trace_id, root_span_id FROM traces WHERE project_id = s.project_id AND session_id = s.session_id
            ORDER BY start_ns LIMIT 1) AS first ON true
        LEFT JOIN LATERAL (SELECT trace_id, root_span_id FROM traces WHERE project_id = s.project_id AND session_id = s.session_id
            ORDER BY start_ns DESC LIMIT 1) AS last ON true
        LEFT JOIN LATERAL (SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY greatest(0, end_ns - start_ns)::double precision) AS nanos,
                avg((error_count = 0)::int)::double precision AS success
            FROM traces WHERE project_id = s.project_id AND session_id = s.session_id) AS whole ON true
        """;

    /// <summary>
    /// One page, by start, newest first, after <paramref name="after"/>; <paramref name="text"/> is a part of session or user id.
    /// </summary>
    public async Task<(List<SessionListRow> Sessions, TraceListKey? Next)> ListAsync(
        int projectId, long startNanos, long endNanos, string? text, TraceListKey? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var where = $"WHERE s.project_id = {command.Bind(projectId)} AND s.start_ns >= {command.Bind(startNanos)} AND s.start_ns < {command.Bind(endNanos)}";
        if (after is { } key)
        {
            where += $" AND (s.start_ns, s.id) < ({command.Bind(key.StartNanos)}, {command.Bind(key.Id)})";
        }

        if (text is not null)
        {
            var part = command.Bind(text);
            where += $" AND (strpos(lower(s.session_id), lower({part})) > 0 OR strpos(lower(s.user_id), lower({part})) > 0)";
        }

        command.CommandText = $"{Text} {where} ORDER BY s.start_ns DESC, s.id DESC LIMIT {command.Bind(limit + 1)}";
        var rows = await ReadAsync(command, cancellationToken);
        if (rows.Count <= limit)
        {
            return (rows, null);
        }

        rows.RemoveAt(limit);
        return (rows, new TraceListKey(rows[^1].Session.StartNanos, rows[^1].Session.Id));
    }

    /// <summary>The session of this id in the project, or null.</summary>
    public async Task<SessionListRow?> FindAsync(int projectId, string sessionId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        command.CommandText = $"{Text} WHERE s.project_id = {command.Bind(projectId)} AND s.session_id = {command.Bind(sessionId)}";
        return (await ReadAsync(command, cancellationToken)).FirstOrDefault();
    }

    private static async Task<List<SessionListRow>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var rows = new List<SessionListRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new SessionListRow(
                SessionReader.ToRow(reader), reader.GuidOrNull(11), reader.LongOrNull(12), reader.GuidOrNull(13), reader.LongOrNull(14),
                reader.DoubleOrNull(15), reader.DoubleOrNull(16)));
        }

        return rows;
    }
}
