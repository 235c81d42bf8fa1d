using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>What a list of traces is sorted by.</summary>
internal enum TraceSort
{
    /// <summary>Start of the first span.</summary>
    StartTime,

    /// <summary>End minus start.</summary>
    Latency,
}

/// <summary>Where a trace stands in a list: the value it is sorted by, and its row id.</summary>
internal readonly record struct TraceKey(long Value, long Id);

/// <summary>Which traces of a project a list shows, and in which order.</summary>
internal sealed record TraceFilter
{
    /// <summary>Earliest start, Unix ns, inclusive.</summary>
    public long StartNanos { get; init; } = long.MinValue;

    /// <summary>Latest start, Unix ns, exclusive.</summary>
    public long EndNanos { get; init; } = long.MaxValue;

    /// <summary>Traces of one of these sessions; null = any.</summary>
    public string[]? SessionIds { get; init; }

    /// <summary>Sort key.</summary>
    public TraceSort Sort { get; init; }

    /// <summary>Largest first.</summary>
    public bool Descending { get; init; } = true;
}

/// <summary>Reads the roll-up <c>traces</c>, after it caught up with what was acknowledged.</summary>
internal sealed class TraceReader(NpgsqlDataSource dataSource, ReadLimits limits, RollupCatchUp catchUp)
{
    /// <summary>The columns of a <see cref="TraceRow"/>, in its order.</summary>
    internal const string Columns =
        "id, project_id, trace_id, start_ns, end_ns, root_span_id, root_name, root_service, root_span_kind, root_status, session_id, user_id, span_count, "
        + "error_count, prompt_tokens, completion_tokens, cost_pico_usd";

    /// <summary>The key of <paramref name="trace"/> under <paramref name="sort"/>.</summary>
    public static TraceKey KeyOf(TraceRow trace, TraceSort sort) =>
        new(sort == TraceSort.Latency ? trace.EndNanos - trace.StartNanos : trace.StartNanos, trace.Id);

    /// <summary>One page of a project's traces behind <paramref name="after"/> (exclusive), walking an index in order.</summary>
    public async Task<List<TraceRow>> ListAsync(
        int projectId, TraceFilter filter, TraceKey? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var value = filter.Sort == TraceSort.Latency ? "(end_ns - start_ns)" : "start_ns";
        var (direction, comparison) = filter.Descending ? ("DESC", "<") : ("ASC", ">");
        var text = $"SELECT {Columns} FROM traces WHERE project_id = {command.Bind(projectId)}";
        if (filter.StartNanos != long.MinValue)
        {
            text += $" AND start_ns >= {command.Bind(filter.StartNanos)}";
        }

        if (filter.EndNanos != long.MaxValue)
        {
            text += $" AND start_ns < {command.Bind(filter.EndNanos)}";
        }

        if (filter.SessionIds is { } sessions)
        {
            text += $" AND session_id = ANY({command.Bind(sessions)})";
        }

        if (after is { } key)
        {
            text += $" AND ({value}, id) {comparison} ({command.Bind(key.Value)}, {command.Bind(key.Id)})";
        }

        command.CommandText = $"{text} ORDER BY {value} {direction}, id {direction} LIMIT {command.Bind(limit)}";
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>The trace with this OTLP id in a project, or null.</summary>
    public Task<TraceRow?> FindAsync(int projectId, Guid traceId, CancellationToken cancellationToken) =>
        FindOneAsync("trace_id = $1 AND project_id = $2", [traceId, projectId], cancellationToken);

    /// <summary>The trace with this row id, or null; none of a removed project, whose roll-ups go last.</summary>
    public Task<TraceRow?> FindAsync(long id, CancellationToken cancellationToken) => FindOneAsync(
        "id = $1 AND EXISTS (SELECT FROM projects p WHERE p.id = traces.project_id)", [id], cancellationToken);

    /// <summary>The traces of these sessions of a project, by start; at most <paramref name="limit"/>.</summary>
    public async Task<List<TraceRow>> OfSessionsAsync(int projectId, string[] sessionIds, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(
            limits, $"SELECT {Columns} FROM traces WHERE project_id = $1 AND session_id = ANY($2) ORDER BY start_ns, id LIMIT $3");
        command.Bind(projectId);
        command.Bind(sessionIds);
        command.Bind(limit);
        return await ReadAsync(command, cancellationToken);
    }

    private async Task<TraceRow?> FindOneAsync(string condition, object[] values, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"SELECT {Columns} FROM traces WHERE {condition}");
        foreach (var value in values)
        {
            command.Parameters.AddWithValue(value);
        }

        return (await ReadAsync(command, cancellationToken)).FirstOrDefault();
    }

    private async Task<List<TraceRow>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await catchUp.RunAsync(cancellationToken);
        var traces = new List<TraceRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            traces.Add(ToRow(reader));
        }

        return traces;
    }

    internal static TraceRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt32(1), reader.GetGuid(2), reader.GetInt64(3), reader.GetInt64(4), reader.LongOrNull(5),
        reader.TextOrNull(6), reader.TextOrNull(7), reader.ShortOrNull(8), reader.ShortOrNull(9),
        reader.TextOrNull(10), reader.TextOrNull(11),
        reader.GetInt64(12), reader.GetInt64(13), reader.GetInt64(14), reader.GetInt64(15), reader.GetInt64(16));
}
