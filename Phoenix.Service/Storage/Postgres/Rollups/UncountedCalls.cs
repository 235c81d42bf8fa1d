using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Takes LLM spans that repeat the calls below them out of the sums of traces, sessions and minutes, and puts them back. Only traces on the
/// list of suspects are read, and none of more than <see cref="MostSpans"/> spans, which stays as it is from then on. What was taken out is
/// kept with the trace, so each span is taken out once, whenever and by whomever the list is worked on. Every method runs in a
/// transaction that owns the roll-ups.
/// </summary>
internal static class UncountedCalls
{
    /// <summary>
    /// Spans of the largest trace that is looked at: each time it grows, all of them are read, the calls with their attributes.
    /// </summary>
    public const int MostSpans = 5_000;

    private const string Usage = "coalesce(s.prompt_tokens, 0) + coalesce(s.completion_tokens, 0) > 0";

    /// <summary>Condition of the roll-up's row <paramref name="row"/>: an LLM span of the trace may lie above another one.</summary>
    public static string Suspect(string row) => $"{row}.llm_calls > 1 AND ({row}.llm_mask & {row}.open_mask) <> 0";

    /// <summary>Condition of the span <c>s</c>: an LLM span with usage.</summary>
    public static string IsCall => $"s.span_kind = 1 AND {Usage}";

    /// <summary>Puts the traces in table <c>touched_traces</c> that are suspect on the list.</summary>
    public static string SuspectTouched { get; } = $"""
        INSERT INTO nested_suspects SELECT t.trace_id, t.project_id FROM traces t JOIN touched_traces USING (trace_id, project_id) WHERE {Suspect("t")}
            ON CONFLICT DO NOTHING
        """;

    /// <summary>
    /// Puts what was taken out for the traces in table <c>touched_traces</c> back into the minutes; traces and sessions must be recomputed.
    /// </summary>
    public static string PutBackTouched { get; } = $"""
        WITH back AS (DELETE FROM uncounted_calls u USING touched_traces d WHERE u.trace_id = d.trace_id AND u.project_id = d.project_id RETURNING u.*)
        {AddToMinutes("back", 1)}
        """;

    /// <summary>
    /// Forgets what was taken out for the traces in table <c>touched_traces</c>, which go as a whole while the minutes stay, and takes them
    /// off the list.
    /// </summary>
    public const string ForgetTouched = """
        DELETE FROM nested_suspects n USING touched_traces d WHERE n.trace_id = d.trace_id AND n.project_id = d.project_id;
        DELETE FROM uncounted_calls u USING touched_traces d WHERE u.trace_id = d.trace_id AND u.project_id = d.project_id
        """;

    /// <summary>Whether the list holds anything.</summary>
    public static async Task<bool> HasSuspectsAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("SELECT EXISTS (SELECT FROM nested_suspects)", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>Looks at the whole list; what was taken out of the sums is taken from <paramref name="found"/>.</summary>
    public static async Task SettleAllAsync(NpgsqlConnection connection, RollupFindings found, CancellationToken cancellationToken)
    {
        while (await SettleAsync(connection, RollupStore.SettleTraces, found, cancellationToken) > 0)
        {
        }
    }

    /// <summary>
    /// Looks at up to <paramref name="traces"/> traces of the list and takes them off it; how many there were. What was taken out of the
    /// sums is taken from
    /// <paramref name="found"/>.
    /// </summary>
    public static async Task<int> SettleAsync(
        NpgsqlConnection connection, int traces, RollupFindings found, CancellationToken cancellationToken)
    {
        var spans = await ReadSuspectsAsync(connection, traces, cancellationToken);
        var uncounted =
            spans.SelectMany(trace => NestedCalls.Find(trace.Value).Select(span => (trace.Key.ProjectId, trace.Key.TraceId, SpanId: span)))
                .ToList();
        if (uncounted.Count == 0)
        {
            return spans.Count;
        }

        await using var command = new NpgsqlCommand(TakeOut, connection) { CommandTimeout = 0 };
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. uncounted.Select(static span => span.ProjectId)] });
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. uncounted.Select(static span => span.TraceId)] });
        command.Parameters.Add(new NpgsqlParameter<long[]> { TypedValue = [.. uncounted.Select(static span => span.SpanId)] });
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            found.AddUsage(reader.GetString(0), reader.GetString(1),
                -new ModelUsage(reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4)));
        }

        return spans.Count;
    }

    /// <summary>Takes traces off the list, each with its spans; with none when it is gone or too large.</summary>
    private static async Task<Dictionary<(int ProjectId, Guid TraceId), List<CallSpan>>> ReadSuspectsAsync(
        NpgsqlConnection connection, int traces, CancellationToken cancellationToken)
    {
        var spans = new Dictionary<(int, Guid), List<CallSpan>>();
        await using var command = new NpgsqlCommand($"""
            WITH taken AS MATERIALIZED (
                DELETE FROM nested_suspects WHERE ctid = ANY(ARRAY(SELECT ctid FROM nested_suspects LIMIT {traces})) RETURNING trace_id, project_id)
            SELECT taken.project_id, taken.trace_id, s.span_id, s.parent_id, {IsCall},
                CASE WHEN {IsCall} THEN left(s.attributes::json ->> 'gen_ai.response.id', 256) END
            FROM taken LEFT JOIN traces t ON t.trace_id = taken.trace_id AND t.project_id = taken.project_id AND t.span_count <= {MostSpans}
                LEFT JOIN spans s ON s.trace_id = t.trace_id AND s.project_id = t.project_id AND s.start_ns BETWEEN t.start_ns AND t.end_ns
            """, connection) { CommandTimeout = 0 };
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            var key = (reader.GetInt32(0), reader.GetGuid(1));
            if (!spans.TryGetValue(key, out var trace))
            {
                spans.Add(key, trace = []);
            }

            if (!reader.IsDBNull(2))
            {
                trace.Add(
                    new CallSpan(reader.GetInt64(2), reader.IsDBNull(3) ? null : reader.GetInt64(3), reader.GetBoolean(4),
                        reader.IsDBNull(5) ? null : reader.GetString(5)));
            }
        }

        return spans;
    }

    private static string TakeOut { get; } = $"""
        WITH added AS (
            INSERT INTO uncounted_calls
            SELECT s.trace_id, s.project_id, s.span_id, s.start_ns, coalesce(s.llm_model, ''), coalesce(s.llm_provider, ''), s.status,
                coalesce(s.prompt_tokens, 0), coalesce(s.completion_tokens, 0), coalesce(s.cost_pico_usd, 0)
            FROM unnest($1, $2, $3) AS found (project_id, trace_id, span_id) JOIN traces t USING (trace_id, project_id)
                JOIN spans s ON s.trace_id = t.trace_id AND s.project_id = t.project_id AND s.span_id = found.span_id AND s.start_ns BETWEEN t.start_ns AND t.end_ns
            WHERE {IsCall}
            ON CONFLICT DO NOTHING RETURNING *),
        less AS (
            SELECT trace_id, project_id, {RollupSql.Whole("sum(prompt_tokens)")} AS prompt_tokens, {RollupSql.Whole("sum(completion_tokens)")} AS completion_tokens,
                {RollupSql.Whole("sum(cost_pico_usd)")} AS cost_pico_usd
            FROM added GROUP BY trace_id, project_id),
        of_traces AS (
            UPDATE traces t SET prompt_tokens = {RollupSql.Left("t.prompt_tokens", "less.prompt_tokens")},
                completion_tokens = {RollupSql.Left("t.completion_tokens", "less.completion_tokens")},
                cost_pico_usd = {RollupSql.Left("t.cost_pico_usd", "less.cost_pico_usd")}
            FROM less WHERE t.trace_id = less.trace_id AND t.project_id = less.project_id
            RETURNING t.project_id, t.session_id, less.prompt_tokens, less.completion_tokens, less.cost_pico_usd),
        of_sessions AS (
            UPDATE sessions s SET prompt_tokens = {RollupSql.Left("s.prompt_tokens", "l.prompt")},
                completion_tokens = {RollupSql.Left("s.completion_tokens", "l.completion")}, cost_pico_usd = {RollupSql.Left("s.cost_pico_usd", "l.cost")}
            FROM (SELECT project_id, session_id, {RollupSql.Whole("sum(prompt_tokens)")} AS prompt, {RollupSql.Whole("sum(completion_tokens)")} AS completion,
                    {RollupSql.Whole("sum(cost_pico_usd)")} AS cost
                FROM of_traces WHERE session_id IS NOT NULL GROUP BY project_id, session_id) AS l
            WHERE s.project_id = l.project_id AND s.session_id = l.session_id),
        of_minutes AS ({AddToMinutes("added", -1)})
        {RollupSql.Usage("added")}
        """;

    /// <summary>Adds the usage, and no span, of rows of <c>uncounted_calls</c> to the minutes, times <paramref name="sign"/>.</summary>
    private static string AddToMinutes(string calls, int sign) => RollupSql.AddMinutes($"""
        (SELECT project_id, start_ns / 60000000000, llm_model, llm_provider, 1::smallint, status, 0::bigint, {sign} * prompt_tokens,
            {sign} * completion_tokens, {sign} * cost_pico_usd, 0::bigint, array_fill(0::bigint, ARRAY[{MinuteDelta.DurationBounds.Length + 1}]) FROM {calls})
        """);
}
