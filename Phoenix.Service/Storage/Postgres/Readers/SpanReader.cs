using System.Runtime.CompilerServices;
using Npgsql;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// A page of spans. <see cref="Next"/> is where the next page starts (exclusive); null on the last one. A page may be short, even empty,
/// before the last.
/// </summary>
internal readonly record struct SpanPage(List<SpanRow> Spans, SpanKey? Next);

/// <summary>
/// Reads <c>spans</c>. Everything walks the unique index (project, start, trace, span) or a trace's own range of it; nothing sorts a whole
/// project. Whole rows come with the messages that their log records carry.
/// </summary>
internal sealed class SpanReader(
    NpgsqlDataSource dataSource, ReadLimits limits, TraceRanges ranges, LoggedMessages messages,
    AttributeIndexes attributes, TimeProvider time)
{
    /// <summary>Rows a selective filter looks through in one statement.</summary>
    private const int ScanStep = 50_000;

    private const string FirstColumns =
        "project_id, trace_id, span_id, parent_id, start_ns, end_ns, name, kind, span_kind, status, status_message, resource_id, scope_id, session_id, "
        + "user_id, llm_model, llm_provider, prompt_tokens, completion_tokens, cost_pico_usd, attributes";

    /// <summary>The columns of a <see cref="SpanRow"/>, in its order.</summary>
    internal const string Columns = $"{FirstColumns}, derived, events, links, trace_state, extra";

    private const string Order = "start_ns, trace_id, span_id";

    /// <summary>
    /// One page of a project's spans with start in [start, end), ascending by (start, trace, span), after <paramref name="after"/>. The
    /// page ends early at the byte limit, so only an empty page means the end.
    /// </summary>
    public async Task<List<SpanRow>> ReadAscendingAsync(
        int projectId, long startNanos, long endNanos, SpanKey? after, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Columns} FROM spans WHERE project_id = {command.Bind(projectId)}";
        if (after is { } key)
        {
            // The row comparison alone does not prune partitions; the bound on the time does.
            startNanos = Math.Max(startNanos, key.StartNanos);
            text += $" AND ({Order}) > ({command.Bind(key.StartNanos)}, {command.Bind(key.TraceId)}, {command.Bind(key.SpanId)})";
        }

        command.CommandText =
            $"{text} AND start_ns >= {command.Bind(startNanos)} AND start_ns < {command.Bind(endNanos)} ORDER BY {Order} LIMIT {command.Bind(limit)}";
        return (await ReadRowsAsync(command, cancellationToken)).Rows;
    }

    /// <summary>
    /// All spans of a trace by start, at most <paramref name="limit"/>; empty when the project has no such trace. Each is held as
    /// <paramref name="trim"/> leaves it, because together they may be larger than the memory, and without derived attributes, events,
    /// links, trace state and extras.
    /// </summary>
    public async Task<List<SpanRow>> ReadTraceAsync(
        int projectId, Guid traceId, int limit, Func<SpanRow, SpanRow> trim, CancellationToken cancellationToken)
    {
        var rows = new List<SpanRow>();
        var found = await ranges.FindAsync(projectId, [traceId], cancellationToken);
        if (found.Count == 0)
        {
            return rows;
        }

        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {FirstColumns}, NULL, NULL, NULL, NULL, NULL FROM spans"
            + $" WHERE project_id = {command.Bind(projectId)}{InRanges(command, found)}";
        command.CommandText = $"{text} ORDER BY {Order} LIMIT {command.Bind(limit)}";
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(trim(ToRow(reader)));
        }

        return rows;
    }

    /// <summary>The spans of the traces in these ranges by start, without their attributes; at most <paramref name="limit"/>.</summary>
    public async Task<List<SpanHeadRow>> ReadHeadsAsync(
        int projectId, IReadOnlyList<TraceRange> traces, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = "SELECT trace_id, span_id, parent_id, start_ns, end_ns, name, kind, span_kind, status, resource_id"
            + $" FROM spans WHERE project_id = {command.Bind(projectId)}{InRanges(command, traces)}";
        command.CommandText = $"{text} ORDER BY {Order} LIMIT {command.Bind(limit)}";
        var heads = new List<SpanHeadRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            heads.Add(new SpanHeadRow(
                reader.GetGuid(0), reader.GetInt64(1), reader.LongOrNull(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetString(5),
                reader.GetInt16(6), reader.GetInt16(7), reader.GetInt16(8), reader.GetInt64(9)));
        }

        return heads;
    }

    /// <summary>
    /// The newest span with this id in any project, or null. No index has span ids alone, so this walks the spans' key index back in time,
    /// within the statement timeout; give the trace id wherever it is known.
    /// </summary>
    public async Task<(int ProjectId, SpanKey Key)?> FindNewestAsync(long spanId, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(
            limits, "SELECT project_id, start_ns, trace_id, span_id FROM spans WHERE span_id = $1 ORDER BY start_ns DESC LIMIT 1");
        command.Bind(spanId);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? (reader.GetInt32(0), new SpanKey(reader.GetInt64(1), reader.GetGuid(2), reader.GetInt64(3)))
            : null;
    }

    /// <summary>
    /// The spans with these ids that the project has, in no order; of an id sent with several starts the earliest span. <c>Cut</c> where they
    /// hold more bytes than a page may; one alone never does.
    /// </summary>
    public async Task<(List<SpanRow> Rows, bool Cut)> FindAsync(
        int projectId, IReadOnlyList<(Guid TraceId, long SpanId)> ids, CancellationToken cancellationToken)
    {
        var rows = new List<SpanRow>();
        var wanted = ids.ToHashSet();
        long left = limits.MaxPageBytes;
        await foreach (var command in FindCommandsAsync(projectId, ids, Columns, cancellationToken))
        {
            var (found, cut) = await ReadRowsAsync(command, cancellationToken, left);
            rows.AddRange(found.Where(row => wanted.Contains((row.TraceId, row.SpanId))));
            if (cut)
            {
                return (rows, true);
            }

            left -= found.Sum(BytesOf);
        }

        return (rows, false);
    }

    /// <summary>Those of these ids that the project has a span of.</summary>
    public async Task<HashSet<(Guid TraceId, long SpanId)>> FindIdsAsync(
        int projectId, IReadOnlyList<(Guid TraceId, long SpanId)> ids, CancellationToken cancellationToken)
    {
        var stored = new HashSet<(Guid TraceId, long SpanId)>();
        await foreach (var command in FindCommandsAsync(projectId, ids, "trace_id, span_id", cancellationToken))
        {
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                stored.Add((reader.GetGuid(0), reader.GetInt64(1)));
            }
        }

        stored.IntersectWith(ids);
        return stored;
    }

    /// <summary>
    /// One page of a project's spans that pass the filter, newest first, after <paramref name="after"/>. With a selective filter the index
    /// is walked in steps until the page is full or the scan budget is spent; then the page is short and its cursor goes on where the walk
    /// stopped. A condition on an indexed attribute leads straight to its rows instead.
    /// </summary>
    public async Task<SpanPage> ListAsync(int projectId, SpanFilter filter, SpanKey? after, int limit, CancellationToken cancellationToken)
    {
        List<TraceRange>? traces = null;
        if (filter.TraceIds is { } traceIds)
        {
            traces = await ranges.FindAsync(projectId, traceIds, cancellationToken);
            if (traces.Count == 0)
            {
                return new SpanPage([], null);
            }
        }

        var started = time.GetTimestamp();
        var spans = new List<SpanRow>();
        long left = limits.MaxPageBytes;
        var stepwise = traces is null && filter.IsSelective && IndexedOf(filter) is null;
        while (true)
        {
            SpanKey? floor = stepwise ? await FindFloorAsync(projectId, filter, after, cancellationToken) : null;
            while (true)
            {
                var wanted = limit + 1 - spans.Count;
                await using var command = ListCommand(projectId, filter, traces, after, floor, wanted);
                var (candidates, cut) = await ReadRowsAsync(command, cancellationToken, left);
                var kept = filter.Attributes.Count == 0
                    ? candidates
                    : candidates.FindAll(row => filter.Attributes.All(condition => condition.Matches(row.Attributes, row.Derived)));
                spans.AddRange(kept);
                left -= kept.Sum(BytesOf);
                if (spans.Count > limit)
                {
                    spans.RemoveRange(limit, spans.Count - limit);
                    return new SpanPage(spans, spans[^1].Key);
                }

                if (cut || left <= 0)
                {
                    return new SpanPage(spans, candidates[^1].Key);
                }

                if (candidates.Count < wanted)
                {
                    break;
                }

                after = candidates[^1].Key;
                if (time.GetElapsedTime(started) > limits.ScanBudget)
                {
                    return new SpanPage(spans, after);
                }
            }

            if (floor is null)
            {
                return new SpanPage(spans, null);
            }

            after = floor;
            if (time.GetElapsedTime(started) > limits.ScanBudget)
            {
                return new SpanPage(spans, after);
            }
        }
    }

    /// <summary>
    /// The lowest key of the next <see cref="ScanStep"/> rows in time range, from the index alone; null when fewer are left.
    /// </summary>
    private async Task<SpanKey?> FindFloorAsync(int projectId, SpanFilter filter, SpanKey? after, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Order} FROM spans WHERE project_id = {command.Bind(projectId)}{InTime(command, filter, after)}";
        command.CommandText = $"{text} ORDER BY start_ns DESC, trace_id DESC, span_id DESC OFFSET {ScanStep - 1} LIMIT 1";
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new SpanKey(reader.GetInt64(0), reader.GetGuid(1), reader.GetInt64(2)) : null;
    }

    private AttributeCondition? IndexedOf(SpanFilter filter) =>
        filter.Attributes.FirstOrDefault(condition => condition.IndexTexts is not null && attributes.IsReady(condition.Path));

    /// <summary>The statement that reads one page's candidates.</summary>
    internal NpgsqlCommand ListCommand(
        int projectId, SpanFilter filter, IReadOnlyList<TraceRange>? traces, SpanKey? after, SpanKey? floor, int limit)
    {
        var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Columns} FROM spans WHERE project_id = {command.Bind(projectId)}{InTime(command, filter, after)}";
        if (traces is not null)
        {
            text += InRanges(command, traces);
        }

        if (floor is { } low)
        {
            text += $" AND start_ns >= {command.Bind(low.StartNanos)}"
                + $" AND ({Order}) >= ({command.Bind(low.StartNanos)}, {command.Bind(low.TraceId)}, {command.Bind(low.SpanId)})";
        }

        text += SpanConditions.Text(command, filter);
        var order = $"ORDER BY start_ns DESC, trace_id DESC, span_id DESC LIMIT {command.Bind(limit)}";
        if (traces is null && IndexedOf(filter) is { } indexed)
        {
            // One branch a text, because only of one text the index gives the rows in order of time.
            var branches = AttributeIndexes.Conditions(indexed.Path, indexed.IndexTexts!.Select(command.Bind));
            command.CommandText = $"{string.Join(" UNION ALL ", branches.Select(branch => $"({text}{branch} {order})"))} {order}";
            return command;
        }

        command.CommandText = $"{text} {order}";
        return command;
    }

    private static string InTime(NpgsqlCommand command, SpanFilter filter, SpanKey? after)
    {
        var (end, text) = (filter.EndNanos, string.Empty);
        if (after is { } key)
        {
            end = Math.Min(end, Bounds.After(key.StartNanos));
            text = $" AND ({Order}) < ({command.Bind(key.StartNanos)}, {command.Bind(key.TraceId)}, {command.Bind(key.SpanId)})";
        }

        return $"{text} AND start_ns >= {command.Bind(filter.StartNanos)} AND start_ns < {command.Bind(end)}";
    }

    private static string InRanges(NpgsqlCommand command, IReadOnlyList<TraceRange> traces) =>
        " AND (" + string.Join(" OR ", traces.Select(trace =>
            $"(trace_id = {command.Bind(trace.TraceId)} AND start_ns >= {command.Bind(trace.FirstNanos)} AND start_ns <= {command.Bind(trace.LastNanos)})")) + ")";

    /// <summary>
    /// The statements that read <paramref name="columns"/> of the earliest span of each of these ids, and of some ids beside them: any of
    /// these span ids in any of these traces.
    /// </summary>
    private async IAsyncEnumerable<NpgsqlCommand> FindCommandsAsync(
        int projectId, IReadOnlyList<(Guid TraceId, long SpanId)> ids, string columns,
        [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        foreach (var chunk in ids.GroupBy(id => id.TraceId).Chunk(100))
        {
            var found = await ranges.FindAsync(projectId, [.. chunk.Select(trace => trace.Key)], cancellationToken);
            if (found.Count == 0)
            {
                continue;
            }

            await using var command = dataSource.CreateRead(limits, string.Empty);
            command.CommandText = $"""
                SELECT DISTINCT ON (trace_id, span_id) {columns} FROM spans WHERE project_id = {command.Bind(projectId)}{InRanges(command, found)}
                AND span_id = ANY({command.Bind(chunk.SelectMany(trace => trace.Select(id => id.SpanId)).Distinct().ToArray())})
                ORDER BY trace_id, span_id, start_ns
                """;
            yield return command;
        }
    }

    private async Task<(List<SpanRow> Rows, bool Cut)> ReadRowsAsync(
        NpgsqlCommand command, CancellationToken cancellationToken, long? maxBytes = null)
    {
        var rows = new List<SpanRow>();
        var left = maxBytes ?? limits.MaxPageBytes;
        var cut = false;
        await using (var reader = await command.ExecuteReaderAsync(cancellationToken))
        {
            while (!cut && await reader.ReadAsync(cancellationToken))
            {
                cut = left <= 0;
                if (!cut)
                {
                    var row = ToRow(reader);
                    rows.Add(row);
                    left -= BytesOf(row);
                }
            }
        }

        await messages.AddAsync(rows, cancellationToken);
        return (rows, cut);
    }

    /// <summary>About how much memory a row takes, for the byte limit of a page.</summary>
    private static long BytesOf(SpanRow row) =>
        row.Attributes.Length + (row.Derived?.Length ?? 0) + (row.Events?.Length ?? 0) + (row.Links?.Length ?? 0) + 400;

    internal static SpanRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt32(0), reader.GetGuid(1), reader.GetInt64(2), reader.LongOrNull(3), reader.GetInt64(4),
        reader.GetInt64(5), reader.GetString(6),
        reader.GetInt16(7), reader.GetInt16(8), reader.GetInt16(9), reader.TextOrNull(10), reader.GetInt64(11), reader.GetInt64(12),
        reader.TextOrNull(13), reader.TextOrNull(14), reader.TextOrNull(15), reader.TextOrNull(16),
        reader.LongOrNull(17), reader.LongOrNull(18),
        reader.LongOrNull(19), reader.GetString(20), reader.TextOrNull(21), reader.TextOrNull(22),
        reader.TextOrNull(23), reader.TextOrNull(24),
        reader.TextOrNull(25));
}
