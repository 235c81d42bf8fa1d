using Npgsql;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// A project in one line. Spans, errors, tokens and cost are exact over the time range; the latencies are trace durations in ns over at
/// most the newest <see cref="OverviewReader.LatencySample"/> traces of it, null without traces, which are counted up to one more than
/// <see cref="OverviewReader.MostTraces"/>.
/// </summary>
internal sealed record ProjectOverviewRow(
    ProjectRow Project, long Traces, long Spans, long Errors, long PromptTokens, long CompletionTokens, long CostPicoUsd,
    long? LastNanos, double? P50Nanos,
    double? P99Nanos);

/// <summary>
/// Sums of one slice of time starting at <see cref="StartMinute"/> (Unix minutes); the buckets as in
/// <see cref="MinuteDelta.DurationBounds"/>.
/// </summary>
internal sealed record ActivityRow(
    long StartMinute, long Spans, long Errors, long PromptTokens, long CompletionTokens, long CostPicoUsd,
    long LlmCalls, long[] LlmBuckets);

/// <summary>What one model was used for; the durations are a histogram by <see cref="MinuteDelta.DurationBounds"/>.</summary>
internal sealed record ModelUsageRow(
    string Model, string Provider, long Calls, long Errors, long PromptTokens, long CompletionTokens, long CostPicoUsd, long[] Buckets);

/// <summary>Reads the roll-ups for overviews. Everything follows the roll-up's lag, a second or so behind the ingest.</summary>
internal sealed class OverviewReader(NpgsqlDataSource dataSource, ReadLimits limits)
{
    /// <summary>Newest traces that a latency percentile looks at.</summary>
    public const int LatencySample = 5000;

    /// <summary>A project's traces are counted up to one more than this: counting millions would take the page's time.</summary>
    public const int MostTraces = 100_000;

    private const long NanosPerMinute = 60_000_000_000;
    private const int MostProjects = 500;

    /// <summary>Projects, the one active last first, those without telemetry at the end; at most 500.</summary>
    public async Task<List<ProjectOverviewRow>> ListProjectsAsync(
        long startNanos, long endNanos, string? nameContains, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var where = nameContains is null ? "" : $"WHERE strpos(lower(p.name), lower({command.Bind(nameContains)})) > 0";
        command.CommandText = $"{OverviewText(command, startNanos, endNanos)} {where} ORDER BY n.last_ns DESC NULLS LAST, p.name LIMIT {command.Bind(MostProjects)}";
        return await ReadOverviewsAsync(command, cancellationToken);
    }

    /// <summary>One project's line, or null when it is gone.</summary>
    public async Task<ProjectOverviewRow?> FindProjectAsync(
        int projectId, long startNanos, long endNanos, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        command.CommandText = $"{OverviewText(command, startNanos, endNanos)} WHERE p.id = {command.Bind(projectId)}";
        return (await ReadOverviewsAsync(command, cancellationToken)).FirstOrDefault();
    }

    /// <summary>
    /// A project's activity in at most <paramref name="slices"/> equal slices between its first and last minute in [start, end), ascending;
    /// slices without spans are left out. Also how many minutes a slice has.
    /// </summary>
    public async Task<(List<ActivityRow> Rows, long SliceMinutes)> ReadActivityAsync(
        int projectId, long startNanos, long endNanos, int slices, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        var (from, to) = (command.Bind(FloorMinute(startNanos)), command.Bind(LastMinute(endNanos)));
        var project = command.Bind(projectId);
        command.CommandText = $"""
            WITH extent AS (
                SELECT min(minute) AS first, greatest(1, ceil((max(minute) - min(minute) + 1) / {command.Bind((double)slices)}))::bigint AS size
                FROM span_minutes WHERE project_id = {project} AND minute >= {from} AND minute <= {to}),
            sliced AS (
                SELECT first + (minute - first) / size * size AS slice, size, span_minutes.*
                FROM span_minutes, extent WHERE project_id = {project} AND minute >= {from} AND minute <= {to})
            SELECT slice, size, sum(span_count)::bigint, sum(span_count) FILTER (WHERE status = 2)::bigint, {RollupSql.Whole("sum(prompt_tokens)")},
                {RollupSql.Whole("sum(completion_tokens)")}, {RollupSql.Whole("sum(cost_pico_usd)")}, sum(span_count) FILTER (WHERE span_kind = 1)::bigint,
                {BucketSums("span_kind = 1")}
            FROM sliced GROUP BY slice, size ORDER BY slice
            """;
        var rows = new List<ActivityRow>();
        var sliceMinutes = 1L;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            sliceMinutes = reader.GetInt64(1);
            rows.Add(new ActivityRow(
                reader.GetInt64(0), reader.GetInt64(2), Sum(reader, 3), reader.GetInt64(4), reader.GetInt64(5), reader.GetInt64(6),
                Sum(reader, 7), reader.GetFieldValue<long[]>(8)));
        }

        return (rows, sliceMinutes);
    }

    /// <summary>Models of a project's LLM and EMBEDDING spans, the costliest first, at most 100.</summary>
    public async Task<List<ModelUsageRow>> ReadModelsAsync(
        int projectId, long startNanos, long endNanos, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        command.CommandText = $"""
            SELECT llm_model, llm_provider, sum(span_count)::bigint, sum(span_count) FILTER (WHERE status = 2)::bigint, {RollupSql.Whole("sum(prompt_tokens)")},
                {RollupSql.Whole("sum(completion_tokens)")}, {RollupSql.Whole("sum(cost_pico_usd)")}, {BucketSums("true")}
            FROM span_minutes
            WHERE project_id = {command.Bind(projectId)} AND minute >= {command.Bind(FloorMinute(startNanos))}
                AND minute <= {command.Bind(LastMinute(endNanos))} AND span_kind IN (1, 2) AND llm_model <> ''
            GROUP BY llm_model, llm_provider ORDER BY 7 DESC, 3 DESC, 1, 2 LIMIT 100
            """;
        var rows = new List<ModelUsageRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new ModelUsageRow(
                reader.GetString(0), reader.GetString(1), reader.GetInt64(2), Sum(reader, 3), reader.GetInt64(4), reader.GetInt64(5),
                reader.GetInt64(6), reader.GetFieldValue<long[]>(7)));
        }

        return rows;
    }

    /// <summary>Names of a project's metrics in order, at most <paramref name="limit"/>.</summary>
    public async Task<List<string>> ListMetricNamesAsync(int projectId, int limit, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        command.CommandText = $"SELECT DISTINCT name FROM metric_series WHERE project_id = {command.Bind(projectId)} ORDER BY name LIMIT {command.Bind(limit)}";
        var names = new List<string>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            names.Add(reader.GetString(0));
        }

        return names;
    }

    private static string OverviewText(NpgsqlCommand command, long startNanos, long endNanos)
    {
        var traces = $"traces WHERE project_id = p.id AND start_ns >= {command.Bind(startNanos)} AND start_ns < {command.Bind(endNanos)}";
        return $"""
            SELECT p.id, p.name, p.description, p.created_at, p.updated_at, t.traces, m.spans, m.errors, m.prompt, m.completion, m.cost, n.last_ns,
                l.quantiles[1], l.quantiles[2]
            FROM projects p
            LEFT JOIN LATERAL (
                SELECT sum(span_count)::bigint AS spans, sum(span_count) FILTER (WHERE status = 2)::bigint AS errors,
                    {RollupSql.Whole("sum(prompt_tokens)")} AS prompt, {RollupSql.Whole("sum(completion_tokens)")} AS completion, {RollupSql.Whole("sum(cost_pico_usd)")} AS cost
                FROM span_minutes WHERE project_id = p.id AND minute >= {command.Bind(FloorMinute(startNanos))}
                    AND minute <= {command.Bind(LastMinute(endNanos))}) AS m ON true
            LEFT JOIN LATERAL (SELECT count(*) AS traces FROM (SELECT FROM {traces} ORDER BY start_ns DESC LIMIT {MostTraces + 1}) AS counted) AS t ON true
            LEFT JOIN LATERAL (SELECT max(start_ns) AS last_ns FROM {traces}) AS n ON true
            LEFT JOIN LATERAL (
                SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY duration) AS quantiles
                FROM (SELECT greatest(0, end_ns - start_ns)::double precision AS duration FROM {traces}
                    ORDER BY start_ns DESC LIMIT {LatencySample}) AS newest) AS l ON true
            """;
    }

    // Adds up arrays of equal length, position by position.
    private static string BucketSums(string filter)
    {
        var sums = Enumerable.Range(1, MinuteDelta.DurationBounds.Length + 1)
            .Select(bucket => $"coalesce(sum(duration_buckets[{bucket}]) FILTER (WHERE {filter}), 0)::bigint");
        return $"ARRAY[{string.Join(", ", sums)}]";
    }

    private static async Task<List<ProjectOverviewRow>> ReadOverviewsAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        var rows = new List<ProjectOverviewRow>();
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            rows.Add(new ProjectOverviewRow(
                ProjectReader.ToRow(reader), reader.GetInt64(5), Sum(reader, 6), Sum(reader, 7), Sum(reader, 8), Sum(reader, 9),
                Sum(reader, 10), reader.LongOrNull(11), reader.DoubleOrNull(12), reader.DoubleOrNull(13)));
        }

        return rows;
    }

    // A sum over no rows is null in SQL.
    private static long Sum(NpgsqlDataReader reader, int ordinal) => reader.LongOrNull(ordinal) ?? 0;

    // span_minutes keeps whole minutes: a range that starts inside one includes it.
    private static long FloorMinute(long nanos) =>
        Math.DivRem(nanos, NanosPerMinute) is var (minute, rest) && rest < 0 ? minute - 1 : minute;

    // The end is exclusive: a range that ends where a minute begins does not include it.
    private static long LastMinute(long endNanos) => FloorMinute(endNanos == long.MinValue ? endNanos : endNanos - 1);
}
