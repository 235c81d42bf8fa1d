using Npgsql;
using Phoenix.Service.Ingest.Normalize;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// Adds the messages that came as log records to spans that were read (<see cref="LoggedEvents"/>): one statement a page, none when no span
/// lacks any.
/// </summary>
internal sealed class LoggedMessages(NpgsqlDataSource dataSource, ReadLimits limits, LoggedEvents events)
{
    /// <summary>How far from its span, in time, an event is looked for; only bounds the partitions that are read.</summary>
    private const long SlackNanos = 3_600_000_000_000;

    private const string IsEvent =
        $"(starts_with(logs.event_name, '{LoggedEvents.Prefix}') OR logs.event_name IS NULL AND strpos(logs.attributes, '\"event.name\":\"{LoggedEvents.Prefix}') > 0)";

    /// <summary>
    /// Condition of a row of <c>spans</c>: log records can complete it, and one of them meets <paramref name="condition"/> of the row
    /// <c>logs</c>.
    /// </summary>
    public static string Completed(string condition) => $"""
        span_kind IN ({SpanKinds.Llm}, {SpanKinds.Agent}) AND EXISTS (
            SELECT FROM logs WHERE logs.project_id = spans.project_id AND logs.trace_id = spans.trace_id AND logs.span_id = spans.span_id
                AND logs.time_ns BETWEEN spans.start_ns - {SlackNanos} AND least(spans.end_ns, {long.MaxValue - SlackNanos}) + {SlackNanos}
                AND {IsEvent} AND {condition})
        """;

    /// <summary>Replaces those of <paramref name="rows"/>, all of one project, that log records complete.</summary>
    public async Task AddAsync(List<SpanRow> rows, CancellationToken cancellationToken)
    {
        var open = rows.FindAll(LoggedEvents.MayComplete);
        if (open.Count == 0)
        {
            return;
        }

        var found = await ReadAsync(open, cancellationToken);
        for (var index = 0; found.Count > 0 && index < rows.Count; index++)
        {
            if (LoggedEvents.MayComplete(rows[index]) && found.TryGetValue((rows[index].TraceId, rows[index].SpanId), out var logged))
            {
                rows[index] = events.Complete(rows[index], logged);
            }
        }
    }

    private async Task<Dictionary<(Guid TraceId, long SpanId), List<LoggedEvent>>> ReadAsync(
        List<SpanRow> spans, CancellationToken cancellationToken)
    {
        await using var command = dataSource.CreateRead(limits, string.Empty);
        command.CommandText = $"""
            SELECT trace_id, span_id, coalesce(event_name, attributes::json ->> 'event.name'), attributes, body FROM logs
            WHERE project_id = {command.Bind(spans[0].ProjectId)} AND trace_id = ANY({command.Bind(spans.Select(static span => span.TraceId).Distinct().ToArray())})
                AND span_id = ANY({command.Bind(spans.Select(static span => span.SpanId).Distinct().ToArray())})
                AND time_ns >= {command.Bind(spans.Min(static span => span.StartNanos) - SlackNanos)}
                AND time_ns <= {command.Bind(Math.Min(spans.Max(static span => span.EndNanos), long.MaxValue - SlackNanos) + SlackNanos)}
                AND {IsEvent}
            ORDER BY time_ns, id
            """;
        var found = new Dictionary<(Guid, long), List<LoggedEvent>>();
        long bytes = 0;
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (bytes < limits.MaxPageBytes && await reader.ReadAsync(cancellationToken))
        {
            var logged = new LoggedEvent(reader.GetString(2), reader.GetString(3), reader.TextOrNull(4));
            bytes += logged.Attributes.Length + (logged.Body?.Length ?? 0) + 200;
            var span = (reader.GetGuid(0), reader.GetInt64(1));
            if (!found.TryGetValue(span, out var list))
            {
                found.Add(span, list = []);
            }

            list.Add(logged);
        }

        return found;
    }
}
