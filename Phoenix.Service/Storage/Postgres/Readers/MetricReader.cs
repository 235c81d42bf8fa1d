using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>Reads <c>metric_series</c> and <c>metric_points</c>.</summary>
internal sealed class MetricReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    private const string SeriesColumns =
        "id, project_id, name, description, unit, type, temporality, monotonic, resource_id, scope_id, attributes";
    private const string PointColumns = "series_id, time_ns, start_ns, value, int_value, count, payload, flags";
    private const string ValueColumns = "series_id, time_ns, start_ns, value, int_value, count, NULL, flags";

    /// <summary>
    /// One page of a project's series by name then id, after (<paramref name="afterName"/>, <paramref name="afterId"/>), and whether others
    /// follow. Ends early at the byte limit.
    /// </summary>
    /// <param name="name">Exact metric name; null = all.</param>
    public async Task<(List<MetricSeriesRow> Series, bool HasMore)> ListSeriesAsync(
        int projectId, string? name, string? afterName, long afterId, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"SELECT {SeriesColumns} FROM metric_series WHERE project_id = {command.Bind(projectId)}";
        if (name is not null)
        {
            text += $" AND name = {command.Bind(name)}";
        }

        if (afterName is not null)
        {
            text += $" AND (name, id) > ({command.Bind(afterName)}, {command.Bind(afterId)})";
        }

        command.CommandText = $"{text} ORDER BY name, id LIMIT {command.Bind(limit + 1)}";
        return await ReadSeriesAsync(command, limit, cancellationToken);
    }

    /// <summary>
    /// The project's series with these ids, in no order; <c>Cut</c> where they hold more bytes than a page may; one alone never does.
    /// </summary>
    public async Task<(List<MetricSeriesRow> Series, bool Cut)> FindSeriesAsync(
        int projectId, long[] ids, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(
            limits, $"SELECT {SeriesColumns} FROM metric_series WHERE id = ANY($1) AND project_id = $2");
        command.Bind(ids);
        command.Bind(projectId);
        return await ReadSeriesAsync(command, int.MaxValue, cancellationToken);
    }

    /// <summary>
    /// One page of the points of <paramref name="seriesIds"/> in [start, end), by series id then time, after <paramref name="after"/>. The
    /// page ends early at the byte limit, so only an empty page means the end.
    /// </summary>
    public async Task<List<MetricPointRow>> ReadPointsAsync(
        long[] seriesIds, long startNanos, long endNanos, (long SeriesId, long TimeNanos)? after, int limit,
        CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var text = $"""
            SELECT {PointColumns} FROM metric_points WHERE series_id = ANY({command.Bind(seriesIds)})
            AND time_ns >= {command.Bind(startNanos)} AND time_ns < {command.Bind(endNanos)}
            """;
        if (after is { } at)
        {
            text += $" AND (series_id, time_ns) > ({command.Bind(at.SeriesId)}, {command.Bind(at.TimeNanos)})";
        }

        command.CommandText = $"{text} ORDER BY series_id, time_ns LIMIT {command.Bind(limit)}";
        var points = new List<MetricPointRow>();
        long bytes = 0;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (bytes < limits.MaxPageBytes && await reader.ReadAsync(cancellationToken))
        {
            var point = ToPoint(reader);
            points.Add(point);
            bytes += point.Bytes;
        }

        return points;
    }

    /// <summary>
    /// The first <paramref name="limit"/> points of <paramref name="seriesIds"/> in [start, end), by series id then time, without their
    /// payloads.
    /// </summary>
    public async Task<List<MetricPointRow>> ReadValuesAsync(
        long[] seriesIds, long startNanos, long endNanos, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"""
            SELECT {ValueColumns} FROM metric_points WHERE series_id = ANY($1) AND time_ns >= $2 AND time_ns < $3
            ORDER BY series_id, time_ns LIMIT $4
            """);
        command.Bind(seriesIds);
        command.Bind(startNanos);
        command.Bind(endNanos);
        command.Bind(limit);
        return await ReadValuesAsync(command, cancellationToken);
    }

    /// <summary>
    /// The points at exactly these (series, time) pairs, in no order and without their payloads; pairs not stored are left out.
    /// </summary>
    public async Task<List<MetricPointRow>> FindPointsAsync(long[] seriesIds, long[] times, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, $"""
            SELECT {ValueColumns}
            FROM unnest($1, $2) AS wanted(wanted_series, wanted_time)
            JOIN metric_points ON series_id = wanted_series AND time_ns = wanted_time AND time_ns BETWEEN $3 AND $4
            """);
        command.Bind(seriesIds);
        command.Bind(times);
        command.Bind(times.Min());
        command.Bind(times.Max());
        return await ReadValuesAsync(command, cancellationToken);
    }

    private static async Task<List<MetricPointRow>> ReadValuesAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var points = new List<MetricPointRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            points.Add(ToPoint(reader));
        }

        return points;
    }

    private async Task<(List<MetricSeriesRow> Series, bool Cut)> ReadSeriesAsync(
        NpgsqlCommand command, int maxRows, CancellationToken cancellationToken)
    {
        var series = new List<MetricSeriesRow>();
        var left = limits.MaxPageBytes;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            if (series.Count == maxRows || left <= 0)
            {
                return (series, true);
            }

            var row = new MetricSeriesRow(
                reader.GetInt64(0), reader.GetInt32(1), reader.GetString(2), reader.TextOrNull(3), reader.TextOrNull(4), reader.GetInt16(5),
                reader.GetInt16(6), reader.GetBoolean(7), reader.GetInt64(8), reader.GetInt64(9), reader.GetString(10));
            series.Add(row);
            left -= row.Attributes.Length + (row.Description?.Length ?? 0) + 200;
        }

        return (series, false);
    }

    private static MetricPointRow ToPoint(NpgsqlDataReader reader) => new(
        reader.GetInt64(0), reader.GetInt64(1), reader.LongOrNull(2), reader.DoubleOrNull(3), reader.LongOrNull(4), reader.LongOrNull(5),
        reader.TextOrNull(6), reader.GetInt32(7));
}
