using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Which traces of a project a list shows; null means any.</summary>
internal sealed record TraceListFilter
{
    /// <summary>Earliest start, Unix ns, inclusive.</summary>
    public long StartNanos { get; init; } = long.MinValue;

    /// <summary>Latest start, Unix ns, exclusive.</summary>
    public long EndNanos { get; init; } = long.MaxValue;

    /// <summary>Traces with (true) or without (false) a span in error.</summary>
    public bool? HasErrors { get; init; }

    /// <summary>Conditions that one and the same span of the trace meets; times and trace ids in it are ignored.</summary>
    public SpanFilter? AnySpan { get; init; }
}

/// <summary>Where a trace stands in its project's list, newest first.</summary>
internal readonly record struct TraceListKey(long StartNanos, long Id);

/// <summary>Lists the traces of a project, with conditions on their spans as well.</summary>
internal sealed class TraceListReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    /// <summary>Traces a condition on spans is tried on for one page.</summary>
    private const int MostCandidates = 500;

    /// <summary>
    /// One page, newest first, after <paramref name="after"/>, and where the next starts (null on the last). With a condition on spans a
    /// page looks at a bounded number of traces: it may be short, even empty, before the last.
    /// </summary>
    public async Task<(List<TraceRow> Traces, TraceListKey? Next)> ListAsync(
        int projectId, TraceListFilter filter, TraceListKey? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var candidates = filter.AnySpan is null ? limit + 1 : MostCandidates;
        command.CommandText = $"""
            SELECT {TraceReader.Columns}, {Passes(command, filter.AnySpan)}
            FROM traces t WHERE t.project_id = {command.Bind(projectId)}{Conditions(command, filter, after)}
            ORDER BY t.start_ns DESC, t.id DESC LIMIT {command.Bind(candidates)}
            """;
        var traces = new List<TraceRow>();
        var (seen, last) = (0, default(TraceListKey));
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (traces.Count == limit)
            {
                return (traces, last);
            }

            var row = TraceReader.ToRow(reader);
            last = new TraceListKey(row.StartNanos, row.Id);
            seen++;
            if (reader.GetBoolean(17))
            {
                traces.Add(row);
            }
        }

        return (traces, seen == candidates ? last : null);
    }

    private static string Conditions(NpgsqlCommand command, TraceListFilter filter, TraceListKey? after)
    {
        var text = $" AND t.start_ns >= {command.Bind(filter.StartNanos)} AND t.start_ns < {command.Bind(filter.EndNanos)}";
        if (after is { } key)
        {
            text += $" AND (t.start_ns, t.id) < ({command.Bind(key.StartNanos)}, {command.Bind(key.Id)})";
        }

        if (filter.HasErrors is { } errors)
        {
            text += errors ? " AND t.error_count > 0" : " AND t.error_count = 0";
        }

        return text;
    }

    // The trace's own stretch of the spans' index.
    private static string Passes(NpgsqlCommand command, SpanFilter? filter) => filter is null
        ? "true"
        : $"""
            EXISTS (SELECT 1 FROM spans WHERE spans.project_id = t.project_id AND spans.start_ns >= t.start_ns AND spans.start_ns <= greatest(t.start_ns, t.end_ns)
                AND spans.trace_id = t.trace_id{SpanConditions.Text(command, filter)})
            """;
}
