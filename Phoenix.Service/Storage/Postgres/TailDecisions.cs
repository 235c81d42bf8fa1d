using Npgsql;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// A quiet trace with the facts a sampling rule looks at. <see cref="EndNanos"/> and <see cref="StartNanos"/> are Unix ns.
/// </summary>
internal readonly record struct QuietTrace(int ProjectId, Guid TraceId, long StartNanos, long EndNanos, long Errors, long CostPicoUsd);

/// <summary>
/// The list of traces that wait for a tail-sampling decision. Every method runs on the caller's connection, inside the transaction that
/// <see cref="TryOwnAsync"/> made the owner; what is not committed is decided again.
/// </summary>
internal static class TailDecisions
{
    /// <summary>Takes the list for this transaction; false when another replica has it.</summary>
    public static async Task<bool> TryOwnAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand(
            "SELECT pg_try_advisory_xact_lock(hashtextextended('mats.tail_sampling.' || current_schema(), 0))", connection);
        return (bool)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>
    /// Puts up to <paramref name="limit"/> traces that appeared since the last call on the list; returns how many. The first call ever
    /// takes none.
    /// </summary>
    public static async Task<int> TakeNewAsync(
        NpgsqlConnection connection, int limit, DateTimeOffset now, CancellationToken cancellationToken)
    {
        await using var command = new NpgsqlCommand("""
            WITH taken AS MATERIALIZED (
                SELECT id, trace_id, project_id FROM traces WHERE id > (SELECT position FROM tail_sampling) ORDER BY id LIMIT $1),
            listed AS (
                INSERT INTO tail_undecided (trace_id, project_id, seen_at) SELECT trace_id, project_id, $2 FROM taken ON CONFLICT DO NOTHING RETURNING 1)
            UPDATE tail_sampling SET position = coalesce((SELECT max(id) FROM taken), position, (SELECT max(id) FROM traces), 0)
            RETURNING (SELECT count(*) FROM listed)
            """, connection);
        command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
        command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = now });
        return (int)(long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>
    /// Up to <paramref name="limit"/> listed traces that did not grow since <paramref name="quietSince"/>; those that did are listed anew.
    /// </summary>
    public static async Task<List<QuietTrace>> FindQuietAsync(
        NpgsqlConnection connection, int limit, DateTimeOffset quietSince, DateTimeOffset now, CancellationToken cancellationToken)
    {
        var due = new List<(int ProjectId, Guid TraceId, QuietTrace? Trace)>();
        await using (var command = new NpgsqlCommand("""
            SELECT u.project_id, u.trace_id, t.start_ns, t.end_ns, t.error_count, t.cost_pico_usd
            FROM (SELECT * FROM tail_undecided WHERE seen_at < $1 ORDER BY seen_at LIMIT $2) AS u LEFT JOIN traces t USING (trace_id, project_id)
            """, connection))
        {
            command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = quietSince });
            command.Parameters.Add(new NpgsqlParameter<int> { TypedValue = limit });
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                var (projectId, traceId) = (reader.GetInt32(0), reader.GetGuid(1));
                due.Add((projectId, traceId, reader.IsDBNull(2) ? null
                    : new QuietTrace(projectId, traceId, reader.GetInt64(2), reader.GetInt64(3), reader.GetInt64(4), reader.GetInt64(5))));
            }
        }

        // A sender's clock may run ahead: an end in the future says nothing about growth.
        var (since, until) = (Nanos(quietSince), Nanos(now));
        var growing = due.Where(entry => entry.Trace is { } trace && trace.EndNanos >= since && trace.EndNanos <= until).ToList();
        await UpdateAsync(
            connection,
            "UPDATE tail_undecided u SET seen_at = $3 FROM unnest($1, $2) AS g (trace_id, project_id) WHERE u.trace_id = g.trace_id AND u.project_id = g.project_id",
            growing.Select(entry => (entry.ProjectId, entry.TraceId)), now, cancellationToken);
        await ForgetAsync(connection, due.Where(entry => entry.Trace is null).Select(entry => (entry.ProjectId, entry.TraceId)),
            cancellationToken);
        return [.. due.Except(growing).Select(entry => entry.Trace).OfType<QuietTrace>()];
    }

    /// <summary>Takes decided traces off the list.</summary>
    public static Task ForgetAsync(NpgsqlConnection connection, IEnumerable<(int ProjectId, Guid TraceId)> traces,
        CancellationToken cancellationToken) =>
        UpdateAsync(
            connection,
            "DELETE FROM tail_undecided u USING unnest($1, $2) AS g (trace_id, project_id) WHERE u.trace_id = g.trace_id AND u.project_id = g.project_id",
            traces, null, cancellationToken);

    private static async Task UpdateAsync(
        NpgsqlConnection connection, string text, IEnumerable<(int ProjectId, Guid TraceId)> traces, DateTimeOffset? now,
        CancellationToken cancellationToken)
    {
        var list = traces.ToList();
        if (list.Count == 0)
        {
            return;
        }

        await using var command = new NpgsqlCommand(text, connection);
        command.Parameters.Add(new NpgsqlParameter<Guid[]> { TypedValue = [.. list.Select(trace => trace.TraceId)] });
        command.Parameters.Add(new NpgsqlParameter<int[]> { TypedValue = [.. list.Select(trace => trace.ProjectId)] });
        if (now is { } instant)
        {
            command.Parameters.Add(new NpgsqlParameter<DateTimeOffset> { TypedValue = instant });
        }

        await command.ExecuteNonQueryAsync(cancellationToken);
    }

    private static long Nanos(DateTimeOffset instant) => (instant - DateTimeOffset.UnixEpoch).Ticks * 100;
}
