using System.Globalization;
using Phoenix.Service.Ingest.Normalize;

namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// The arithmetic of the roll-ups, once: what a set of spans adds up to, how deltas are added to what is there. The rules equal those of
/// the decoder's own sums (Ingest/Decode/DeltaCollector.cs); a test compares the two.
/// </summary>
internal static class RollupSql
{
    /// <summary>The columns of a trace's sums.</summary>
    public const string TraceColumns =
        "project_id, trace_id, start_ns, end_ns, root_span_id, root_ns, root_name, root_service, root_span_kind, root_status, session_id, session_ns, "
        + "user_id, user_ns, span_count, error_count, prompt_tokens, completion_tokens, cost_pico_usd, llm_calls, llm_mask, open_mask";

    private static readonly int s_buckets = MinuteDelta.DurationBounds.Length + 1;

    /// <summary>Rows of them, out of one array parameter a column.</summary>
    public static string TraceRows { get; } = $"SELECT * FROM unnest({Parameters(22)})";

    /// <summary>The columns of a minute's sums.</summary>
    public const string MinuteColumns =
        "project_id, minute, llm_model, llm_provider, span_kind, status, span_count, prompt_tokens, completion_tokens, cost_pico_usd, duration_ns, "
        + "duration_buckets";

    /// <summary>Rows of them, out of one array parameter a column; the last one has the buckets of all rows one after another.</summary>
    public static string MinuteRows { get; } = $"""
        SELECT d.c1, d.c2, d.c3, d.c4, d.c5, d.c6, d.c7, d.c8, d.c9, d.c10, d.c11, ($12)[(d.row - 1) * {s_buckets} + 1 : d.row * {s_buckets}]
        FROM unnest({Parameters(11)}) WITH ORDINALITY AS d (c1, c2, c3, c4, c5, c6, c7, c8, c9, c10, c11, row)
        """;

    /// <summary>
    /// <see cref="TraceDelta.RankOf"/> of the span <c>s</c>, the values of <c>session_ns</c>: made of the user's address is a session that
    /// is named like it.
    /// </summary>
    private static string SessionRank { get; } = $"""
        CASE WHEN starts_with(s.session_id, '{UserSession}') AND s.session_id = '{UserSession}' || (s.attributes::json ->> 'user.email')
            THEN s.start_ns ELSE s.start_ns - {long.MaxValue} END
        """;

    /// <summary>As DeltaCollector counts a minute's tokens.</summary>
    private static string HasCountedTokens { get; } = $"span_kind IN ({SpanKinds.Llm}, {SpanKinds.Embedding})";

    // IdentityMapping makes them.
    private const string UserSession = "user:";

    /// <summary>What a session sums up of its traces.</summary>
    private static readonly string[] s_summed = ["error_count", "prompt_tokens", "completion_tokens", "cost_pico_usd"];

    /// <summary>What a minute measures of its spans.</summary>
    private static readonly string[] s_measured = ["prompt_tokens", "completion_tokens", "cost_pico_usd", "duration_ns"];

    /// <summary>
    /// One row a trace for the spans in <paramref name="spans"/>: a table with the columns of <c>spans</c>, or a query in parentheses.
    /// </summary>
    public static string TraceSums(string spans) => $"""
        SELECT s.project_id, s.trace_id, min(s.start_ns), max(s.end_ns),
            {FirstRoot("s.span_id")}, min(s.start_ns) FILTER (WHERE s.parent_id IS NULL), {FirstRoot("s.name")}, {FirstRoot("coalesce(r.service_name, '')")},
            {FirstRoot("s.span_kind")}, {FirstRoot("s.status")},
            {First("s.session_id", SessionRank)}, min({SessionRank}) FILTER (WHERE s.session_id IS NOT NULL),
            {First("s.user_id", "s.start_ns")}, min(s.start_ns) FILTER (WHERE s.user_id IS NOT NULL),
            count(*), count(*) FILTER (WHERE s.status = 2),
            {Whole("sum(s.prompt_tokens) FILTER (WHERE s.span_kind = 1)")},
            {Whole("sum(s.completion_tokens) FILTER (WHERE s.span_kind = 1)")},
            {Whole("sum(s.cost_pico_usd)")},
            count(*) FILTER (WHERE {UncountedCalls.IsCall}), coalesce(bit_or(1::bigint << (s.span_id & 63)::integer) FILTER (WHERE {UncountedCalls.IsCall}), 0),
            coalesce(bit_or(1::bigint << (s.parent_id & 63)::integer) FILTER (WHERE s.parent_id IS NOT NULL), 0)
        FROM {spans} AS s LEFT JOIN resources r ON r.id = s.resource_id GROUP BY s.project_id, s.trace_id
        """;

    /// <summary>
    /// One row a minute and key for the spans in <paramref name="spans"/>, times <paramref name="sign"/>: -1 takes them away. With
    /// <paramref name="apart"/>, names of further columns of them, as many rows as those have values; the values come last.
    /// </summary>
    public static string MinuteSums(string spans, int sign, params string[] apart) => $"""
        SELECT project_id, start_ns / 60000000000, coalesce(llm_model, ''), coalesce(llm_provider, ''), span_kind, status,
            {sign} * count(*), {sign} * {Whole($"sum(prompt_tokens) FILTER (WHERE {HasCountedTokens})")},
            {sign} * {Whole($"sum(completion_tokens) FILTER (WHERE {HasCountedTokens})")},
            {sign} * {Whole("sum(cost_pico_usd)")}, {sign} * {Whole("sum(end_ns - start_ns)")},
            ARRAY[{string.Join(", ", Enumerable.Range(0, s_buckets).Select(bucket => $"{sign} * count(*) FILTER (WHERE {InBucket(bucket)})"))}]{string.Concat(apart.Select(static column => ", " + column))}
        FROM {spans} AS s GROUP BY 1, 2, 3, 4, 5, 6{string.Concat(apart.Select(static column => ", " + column))}
        """;

    /// <summary>
    /// Takes up to <paramref name="rows"/> trace deltas out of a slot and adds them to <c>traces</c> and <c>sessions</c>; returns
    /// (project_id, session_id) of the sessions that lost a trace to another one, because an earlier span named it: their extent must be
    /// recomputed; and, with a null session, how many traces of a project (its name in the fourth column) were seen for the first time.
    /// </summary>
    /// <remarks>
    /// Most traces come in one piece, so only those in several pay for the ordered aggregates; and most are new. Nobody else writes traces
    /// meanwhile, so those that the look at <c>traces</c> did not find are inserted without a second one, which ON CONFLICT would take.
    /// </remarks>
    public static string ApplyTraces(int slot, int rows) => $"""
        WITH taken AS ({Take($"trace_deltas_{slot}", rows)}),
        piece AS MATERIALIZED (SELECT *, count(*) OVER (PARTITION BY trace_id, project_id) AS pieces FROM taken),
        whole AS (
            SELECT {TraceColumns} FROM piece WHERE pieces = 1
            UNION ALL
            SELECT project_id, trace_id, min(start_ns), max(end_ns),
                {FirstRootPiece("root_span_id")}, min(root_ns), {FirstRootPiece("root_name")}, {FirstRootPiece("root_service")},
                {FirstRootPiece("root_span_kind")}, {FirstRootPiece("root_status")},
                {First("session_id", "session_ns")}, min(session_ns), {First("user_id", "user_ns")}, min(user_ns),
                sum(span_count)::bigint, {string.Join(", ", s_summed.Select(static column => Whole($"sum({column})")))},
                sum(llm_calls)::bigint, bit_or(llm_mask), bit_or(open_mask)
            FROM piece WHERE pieces > 1 GROUP BY project_id, trace_id),
        delta AS MATERIALIZED (
            SELECT whole.*, t.id AS known_id, t.session_id AS old_session_id, {string.Join(", ", s_summed.Select(static column => $"t.{column} AS old_{column}"))}
            FROM whole LEFT JOIN traces t USING (trace_id, project_id)),
        fresh AS (INSERT INTO traces ({TraceColumns}) SELECT {TraceColumns} FROM delta WHERE known_id IS NULL RETURNING *),
        grown AS (
            UPDATE traces t SET
                start_ns = least(t.start_ns, d.start_ns), end_ns = greatest(t.end_ns, d.end_ns),
                {string.Join(", ", new[] { "root_span_id", "root_ns", "root_name", "root_service", "root_span_kind", "root_status" }.Select(column =>
                    Earlier(column, "(d.root_ns, d.root_span_id) < (t.root_ns, t.root_span_id) OR (t.root_ns IS NULL AND d.root_ns IS NOT NULL)")))},
                {EarlierNamed("session")}, {EarlierNamed("user")},
                {string.Join(", ", new[] { "span_count", "llm_calls" }.Concat(s_summed).Select(static column => $"{column} = {Added($"t.{column}", $"d.{column}")}"))},
                llm_mask = t.llm_mask | d.llm_mask, open_mask = t.open_mask | d.open_mask
            FROM delta d WHERE t.trace_id = d.trace_id AND t.project_id = d.project_id AND d.known_id IS NOT NULL
            RETURNING t.*, d.old_session_id, {string.Join(", ", s_summed.Select(static column => $"d.old_{column}"))}),
        suspected AS (
            INSERT INTO nested_suspects
            SELECT trace_id, project_id FROM fresh WHERE {UncountedCalls.Suspect("fresh")}
            UNION ALL
            SELECT trace_id, project_id FROM grown WHERE {UncountedCalls.Suspect("grown")}
            ON CONFLICT DO NOTHING),
        change AS (
            SELECT project_id, session_id, user_id, user_ns, start_ns, end_ns, true AS joined, {string.Join(", ", s_summed)} FROM fresh WHERE session_id IS NOT NULL
            UNION ALL
            SELECT project_id, session_id, user_id, user_ns, start_ns, end_ns, old_session_id IS DISTINCT FROM session_id,
                {string.Join(", ", s_summed.Select(static column => $"{column} - CASE WHEN old_session_id = session_id THEN old_{column} ELSE 0 END"))}
            FROM grown WHERE session_id IS NOT NULL),
        summed AS (
            INSERT INTO sessions AS s (project_id, session_id, user_id, user_ns, start_ns, end_ns, trace_count, {string.Join(", ", s_summed)})
            SELECT project_id, session_id, {First("user_id", "user_ns")}, min(user_ns), min(start_ns), max(end_ns), count(*) FILTER (WHERE joined),
                {string.Join(", ", s_summed.Select(static column => Whole($"sum({column})")))}
            FROM change GROUP BY project_id, session_id ORDER BY project_id, session_id
            ON CONFLICT (project_id, session_id) DO UPDATE SET
                start_ns = least(s.start_ns, excluded.start_ns), end_ns = greatest(s.end_ns, excluded.end_ns),
                user_id = {EarlierValue("s", "excluded", "user_id", "user_ns")}, user_ns = least(s.user_ns, excluded.user_ns),
                {string.Join(", ", s_summed.Prepend("trace_count").Select(static column => $"{column} = {Added($"s.{column}", $"excluded.{column}")}"))})
        SELECT DISTINCT project_id, old_session_id, 0::bigint, NULL FROM grown WHERE old_session_id <> session_id
        UNION ALL
        SELECT first.project_id, NULL, first.traces, coalesce(p.name, '')
        FROM (SELECT project_id, count(*) AS traces FROM fresh GROUP BY project_id) AS first LEFT JOIN projects p ON p.id = first.project_id
        """;

    /// <summary>
    /// Takes up to <paramref name="rows"/> minute deltas out of a slot and adds them to <c>span_minutes</c>; returns <see cref="Usage"/> of
    /// them.
    /// </summary>
    public static string ApplyMinutes(int slot, int rows) => $"""
        WITH taken AS ({Take($"minute_deltas_{slot}", rows)}), added AS ({AddMinutes($"(SELECT {MinuteColumns} FROM taken)")}) {Usage("taken")}
        """;

    /// <summary>llm_model, llm_provider, prompt tokens, completion tokens and cost of <paramref name="rows"/>, one row a model.</summary>
    public static string Usage(string rows) => $"""
        SELECT llm_model, llm_provider, {Whole("sum(prompt_tokens)")}, {Whole("sum(completion_tokens)")}, {Whole("sum(cost_pico_usd)")}
        FROM {rows} WHERE llm_model <> '' AND (prompt_tokens <> 0 OR completion_tokens <> 0 OR cost_pico_usd <> 0) GROUP BY llm_model, llm_provider
        """;

    /// <summary>Adds minute deltas, given as a query in parentheses with <see cref="MinuteColumns"/>, to <c>span_minutes</c>.</summary>
    public static string AddMinutes(string deltas) => $"""
        INSERT INTO span_minutes AS m ({MinuteColumns})
        SELECT project_id, minute, llm_model, llm_provider, span_kind, status, sum(span_count)::bigint,
            {string.Join(", ", s_measured.Select(static column => Whole($"sum({column})")))},
            ARRAY[{Buckets(bucket => $"sum(duration_buckets[{bucket}])::bigint")}]
        FROM {deltas} AS d ({MinuteColumns}) GROUP BY project_id, minute, llm_model, llm_provider, span_kind, status ORDER BY project_id, minute
        ON CONFLICT (project_id, minute, llm_model, llm_provider, span_kind, status) DO UPDATE SET
            span_count = m.span_count + excluded.span_count,
            {string.Join(", ", s_measured.Select(static column => $"{column} = {Added($"m.{column}", $"excluded.{column}")}"))},
            duration_buckets = ARRAY[{Buckets(bucket => $"m.duration_buckets[{bucket}] + excluded.duration_buckets[{bucket}]")}]
        """;

    /// <summary>
    /// Sets the traces in table <c>touched_traces</c> (trace_id, project_id) to what their stored spans add up to; those without spans
    /// vanish.
    /// </summary>
    public static string RecomputeTraces { get; } = $"""
        INSERT INTO traces AS t ({TraceColumns})
        {TraceSums("(SELECT spans.* FROM spans JOIN touched_traces USING (trace_id, project_id))")}
        ON CONFLICT (trace_id, project_id) DO UPDATE SET
            {string.Join(", ", TraceColumns.Split(", ").Skip(2).Select(column => $"{column} = excluded.{column}"))};
        DELETE FROM traces t USING touched_traces d WHERE t.trace_id = d.trace_id AND t.project_id = d.project_id
            AND NOT EXISTS (SELECT FROM spans s WHERE s.trace_id = t.trace_id AND s.project_id = t.project_id)
        """;

    /// <summary>
    /// Sets the sessions in table <c>touched_sessions</c> (project_id, session_id) to what their traces add up to; those without traces
    /// vanish.
    /// </summary>
    public static string RecomputeSessions { get; } = $"""
        INSERT INTO sessions AS s (project_id, session_id, user_id, user_ns, start_ns, end_ns, trace_count, error_count, prompt_tokens, completion_tokens, cost_pico_usd)
        SELECT t.project_id, t.session_id, {First("t.user_id", "t.user_ns")}, min(t.user_ns), min(t.start_ns), max(t.end_ns), count(*),
            {string.Join(", ", s_summed.Select(static column => Whole($"sum(t.{column})")))}
        FROM traces t JOIN touched_sessions USING (project_id, session_id) GROUP BY t.project_id, t.session_id
        ON CONFLICT (project_id, session_id) DO UPDATE SET user_id = excluded.user_id, user_ns = excluded.user_ns, start_ns = excluded.start_ns,
            end_ns = excluded.end_ns, trace_count = excluded.trace_count, error_count = excluded.error_count, prompt_tokens = excluded.prompt_tokens,
            completion_tokens = excluded.completion_tokens, cost_pico_usd = excluded.cost_pico_usd;
        DELETE FROM sessions s USING touched_sessions d WHERE s.project_id = d.project_id AND s.session_id = d.session_id
            AND NOT EXISTS (SELECT FROM traces t WHERE t.project_id = s.project_id AND t.session_id = s.session_id)
        """;

    /// <summary>
    /// A numeric sum as bigint, 0 for NULL, held at what that can say: senders may claim any count and any duration, and one sum that does
    /// not fit must not stop all roll-ups.
    /// </summary>
    public static string Whole(string sum) => $"greatest(least(coalesce({sum}, 0), {long.MaxValue}), {-long.MaxValue})::bigint";

    private static string Added(string before, string more) => Whole($"{before}::numeric + {more}");

    /// <summary>
    /// What is left of a sum that nothing negative went into; 0 where the sum had stayed at its bound and so more is taken away than it
    /// says.
    /// </summary>
    public static string Left(string before, string less) => Whole($"greatest({before}::numeric - {less}, 0)");

    private static string Parameters(int count) => string.Join(", ", Enumerable.Range(1, count).Select(static index => $"${index}"));

    private static string Take(string table, int rows) =>
        $"DELETE FROM {table} WHERE ctid = ANY(ARRAY(SELECT ctid FROM {table} LIMIT {rows})) RETURNING *";

    private static string FirstRoot(string value) =>
        $"(array_agg({value} ORDER BY s.start_ns, s.span_id) FILTER (WHERE s.parent_id IS NULL))[1]";

    private static string FirstRootPiece(string value) =>
        $"(array_agg({value} ORDER BY root_ns, root_span_id) FILTER (WHERE root_ns IS NOT NULL))[1]";

    private static string First(string text, string nanos) =>
        $"(array_agg({text} ORDER BY {nanos}, {text} COLLATE \"C\") FILTER (WHERE {text} IS NOT NULL))[1]";

    private static string Earlier(string column, string condition) =>
        $"{column} = CASE WHEN {condition} THEN d.{column} ELSE t.{column} END";

    private static string EarlierNamed(string what) =>
        $"{what}_id = {EarlierValue("t", "d", $"{what}_id", $"{what}_ns")}, {what}_ns = least(t.{what}_ns, d.{what}_ns)";

    private static string EarlierValue(string row, string other, string text, string nanos) =>
        $"CASE WHEN {row}.{text} IS NULL OR {other}.{nanos} < {row}.{nanos} "
        + $"OR ({other}.{nanos} = {row}.{nanos} AND {other}.{text} COLLATE \"C\" < {row}.{text} COLLATE \"C\") "
        + $"THEN coalesce({other}.{text}, {row}.{text}) ELSE {row}.{text} END";

    private static string Buckets(Func<int, string> element) => string.Join(", ", Enumerable.Range(1, s_buckets).Select(element));

    private static string InBucket(int bucket)
    {
        const string Seconds = "(end_ns - start_ns)::float8 / 1e9::float8";
        var bounds = MinuteDelta.DurationBounds;
        var above = bucket > 0 ? $"{Seconds} > {Number(bounds[bucket - 1])}" : "true";
        var notAbove = bucket < bounds.Length ? $"{Seconds} <= {Number(bounds[bucket])}" : "true";
        return $"{above} AND {notAbove}";
    }

    private static string Number(double value) => value.ToString("R", CultureInfo.InvariantCulture) + "::float8";
}
