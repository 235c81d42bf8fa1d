using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Which log records of a project a list shows; null and empty mean any.</summary>
internal sealed record LogFilter
{
    /// <summary>Earliest time, Unix ns, inclusive.</summary>
    public long StartNanos { get; init; } = long.MinValue;

    /// <summary>Latest time, Unix ns, exclusive.</summary>
    public long EndNanos { get; init; } = long.MaxValue;

    /// <summary>Records of this trace only.</summary>
    public Guid? TraceId { get; init; }

    /// <summary>Records of this span only.</summary>
    public long? SpanId { get; init; }

    /// <summary>Least severity (OTLP SeverityNumber).</summary>
    public short MinSeverity { get; init; }

    /// <summary>Case-insensitive part of the body.</summary>
    public string? BodyContains { get; init; }

    /// <summary>Records of this event name only, given as a field of the record or as its attribute <c>event.name</c>.</summary>
    public string? EventName { get; init; }

    /// <summary>Whether a record may be far from the next one that passes, with no index that leads from one to the other.</summary>
    public bool IsSelective => TraceId is null && (SpanId is not null || MinSeverity > 0 || BodyContains is not null || EventName is not null);
}

/// <summary>
/// A page of log records, which may be short before the last. <see cref="Next"/> is where the next page starts (inclusive); null on the
/// last one.
/// </summary>
internal readonly record struct LogPage(List<LogRow> Logs, LogKey? Next);

/// <summary>Reads <c>logs</c>.</summary>
internal sealed class LogReader(NpgsqlDataSource dataSource, ReadLimits limits, TimeProvider time)
{
    /// <summary>Rows a selective filter looks through in one statement.</summary>
    private const int ScanStep = 50_000;

    private const string Columns =
        "id, project_id, time_ns, observed_ns, trace_id, span_id, severity, severity_text, event_name, body, body_is_json, resource_id, scope_id, attributes, flags";

    /// <summary>
    /// One page of a project's records ascending by time then id, after <paramref name="after"/>. The page ends early at the byte limit, so
    /// only an empty page means the end.
    /// </summary>
    public async Task<List<LogRow>> ReadAscendingAsync(
        int projectId, LogFilter filter, LogKey? after, int limit, CancellationToken cancellationToken) =>
        (await ReadAsync(
            projectId, filter, after, floor: null, descending: false, limit, limits.MaxPageBytes, cancellationToken)).Logs;

    /// <summary>
    /// One page of a project's records, newest first, from <paramref name="from"/> (inclusive) on; ends early at the byte limit. With a
    /// selective filter the index is walked in steps until the page is full or the scan budget is spent; the cursor then goes on where the
    /// walk stopped.
    /// </summary>
    public async Task<LogPage> ReadDescendingAsync(
        int projectId, LogFilter filter, LogKey? from, int limit, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        var rows = new List<LogRow>();
        long left = limits.MaxPageBytes;
        while (true)
        {
            var floor = filter.IsSelective ? await FindFloorAsync(projectId, filter, from, cancellationToken) : null;
            var page = await ReadAsync(projectId, filter, from, floor, descending: true, limit - rows.Count, left, cancellationToken);
            rows.AddRange(page.Logs);
            left -= page.Logs.Sum(BytesOf);
            if (page.Next is not null || floor is null)
            {
                return new LogPage(rows, page.Next);
            }

            from = floor;
            if (rows.Count == limit || time.GetElapsedTime(started) > limits.ScanBudget)
            {
                return new LogPage(rows, from);
            }
        }
    }

    /// <summary>
    /// The project's records with these ids, in no order; ids not stored are left out. There is a next page where the records hold more
    /// bytes than a page may; one alone never does.
    /// </summary>
    public async Task<LogPage> FindAsync(int projectId, long[] ids, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"SELECT {Columns} FROM logs WHERE project_id = $1 AND id = ANY($2)");
        command.Bind(projectId);
        command.Bind(ids);
        return await ReadRowsAsync(command, int.MaxValue, limits.MaxPageBytes, cancellationToken);
    }

    /// <summary>
    /// The key after the next <see cref="ScanStep"/> rows in time range, from the index alone; null when fewer are left.
    /// </summary>
    private async Task<LogKey?> FindFloorAsync(int projectId, LogFilter filter, LogKey? from, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT time_ns, id FROM logs WHERE project_id = {command.Bind(projectId)}{InTime(command, filter, from, descending: true)}";
        command.CommandText = $"{text} ORDER BY time_ns DESC, id DESC OFFSET {ScanStep} LIMIT 1";
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new LogKey(reader.GetInt64(0), reader.GetInt64(1)) : null;
    }

    private static string InTime(NpgsqlCommand command, LogFilter filter, LogKey? key, bool descending)
    {
        var (start, end, text) = (filter.StartNanos, filter.EndNanos, string.Empty);
        if (key is { } at)
        {
            // The row comparison alone does not prune partitions; the bound on the time does.
            text = $" AND (time_ns, id) {(descending ? "<=" : ">")} ({command.Bind(at.TimeNanos)}, {command.Bind(at.Id)})";
            (start, end) = descending ? (start, Math.Min(end, Bounds.After(at.TimeNanos))) : (Math.Max(start, at.TimeNanos), end);
        }

        return $"{text} AND time_ns >= {command.Bind(start)} AND time_ns < {command.Bind(end)}";
    }

    private async Task<LogPage> ReadAsync(
        int projectId, LogFilter filter, LogKey? key, LogKey? floor, bool descending, int limit, long maxBytes,
        CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {Columns} FROM logs WHERE project_id = {command.Bind(projectId)}{InTime(command, filter, key, descending)}";
        if (floor is { } low)
        {
            text += $" AND time_ns >= {command.Bind(low.TimeNanos)} AND (time_ns, id) > ({command.Bind(low.TimeNanos)}, {command.Bind(low.Id)})";
        }

        if (filter.TraceId is { } traceId)
        {
            text += $" AND trace_id = {command.Bind(traceId)}";
        }

        if (filter.SpanId is { } spanId)
        {
            text += $" AND span_id = {command.Bind(spanId)}";
        }

        if (filter.EventName is { } eventName)
        {
            // Attributes are stored as this service writes JSON: without spaces.
            var attribute = $"\"event.name\":\"{TextCondition.InJson(eventName)}\"";
            text += $" AND (event_name = {command.Bind(eventName)} OR strpos(attributes, {command.Bind(attribute)}) > 0)";
        }

        if (filter.MinSeverity > 0)
        {
            text += $" AND severity >= {command.Bind(filter.MinSeverity)}";
        }

        if (filter.BodyContains is { } part)
        {
            text += $" AND {new TextCondition(command, part).HeldBy("body")}";
        }

        var order = descending ? "time_ns DESC, id DESC" : "time_ns, id";
        command.CommandText = $"{text} ORDER BY {order} LIMIT {command.Bind(limit + 1)}";
        return await ReadRowsAsync(command, limit, maxBytes, cancellationToken);
    }

    private static async Task<LogPage> ReadRowsAsync(
        NpgsqlCommand command, int maxRows, long maxBytes, CancellationToken cancellationToken)
    {
        var rows = new List<LogRow>();
        long bytes = 0;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var row = ToRow(reader);
            if (rows.Count == maxRows || bytes >= maxBytes)
            {
                return new LogPage(rows, row.Key);
            }

            rows.Add(row);
            bytes += BytesOf(row);
        }

        return new LogPage(rows, null);
    }

    /// <summary>About how much memory a row takes, for the byte limit of a page.</summary>
    private static long BytesOf(LogRow row) => row.Attributes.Length + (row.Body?.Length ?? 0) + 200;

    private static LogRow ToRow(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt32(1), reader.GetInt64(2), reader.LongOrNull(3), reader.GuidOrNull(4),
        reader.LongOrNull(5), reader.GetInt16(6), reader.TextOrNull(7), reader.TextOrNull(8), reader.TextOrNull(9), reader.GetBoolean(10),
        reader.GetInt64(11), reader.GetInt64(12), reader.GetString(13), reader.GetInt32(14));
}
