using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>From which to which start a trace's spans lie, both inclusive, Unix ns.</summary>
internal readonly record struct TraceRange(int ProjectId, Guid TraceId, long FirstNanos, long LastNanos);

/// <summary>
/// Finds where in time a trace lies, so that reading it touches its partitions only. The roll-up and the deltas not yet added to it are
/// read in one snapshot: a committed span is in one of the two, however far the roll-up lags. What is left of removed projects is not
/// found.
/// </summary>
internal sealed class TraceRanges(NpgsqlDataSource dataSource, ReadLimits limits)
{
    private const string Text = """
        SELECT project_id, trace_id, min(start_ns), greatest(max(end_ns), max(start_ns)) FROM (
            SELECT project_id, trace_id, start_ns, end_ns FROM traces WHERE trace_id = ANY($1)
            UNION ALL
            SELECT project_id, trace_id, start_ns, end_ns FROM pending_trace_deltas WHERE trace_id = ANY($1)) AS seen
        WHERE EXISTS (SELECT FROM projects p WHERE p.id = seen.project_id)
        """;

    /// <summary>The ranges of these traces in one project; a trace without a span there is left out.</summary>
    public async Task<List<TraceRange>> FindAsync(int projectId, Guid[] traceIds, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, Text + " AND project_id = $2 GROUP BY project_id, trace_id");
        command.Bind(traceIds);
        command.Bind(projectId);
        return await ReadAsync(command, cancellationToken);
    }

    /// <summary>The ranges of one trace in every project that has it; the most recently started first.</summary>
    public async Task<List<TraceRange>> FindAsync(Guid traceId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, Text + " GROUP BY project_id, trace_id ORDER BY 3 DESC, 1");
        command.Bind(new[] { traceId });
        return await ReadAsync(command, cancellationToken);
    }

    private static async Task<List<TraceRange>> ReadAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var ranges = new List<TraceRange>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            ranges.Add(new TraceRange(reader.GetInt32(0), reader.GetGuid(1), reader.GetInt64(2), reader.GetInt64(3)));
        }

        return ranges;
    }
}
