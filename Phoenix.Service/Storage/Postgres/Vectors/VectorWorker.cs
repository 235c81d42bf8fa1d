using Npgsql;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Storage.Postgres.Vectors;

/// <summary>
/// Copies vectors from stored spans to <c>span_vectors</c>, off the ingest path. What is to be copied is noted with the spans
/// (<c>vector_pending</c>); a pass copies some of it and removes the notes in one transaction, so it can be killed anywhere, and every
/// replica may run one: each takes what no other one has.
/// </summary>
internal sealed partial class VectorWorker(NpgsqlDataSource dataSource, SpanVectors vectors, DatabaseState state, TimeProvider time,
    ILogger<VectorWorker> logger) : DatabaseLoop(state, time, new WriteBackoff(time))
{
    private const int PassTraces = 20;

    /// <summary>Spans in memory at once: one holds tens of kilobytes.</summary>
    private const int PageSpans = 100;

    private static readonly TimeSpan s_idlePause = TimeSpan.FromSeconds(2);

    /// <inheritdoc/>
    protected override bool IsOn => vectors.IsOn;

    /// <inheritdoc/>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken) =>
        await RunAsync(cancellationToken) ? TimeSpan.Zero : s_idlePause;

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    /// <summary>Copies the vectors of some traces. False when nothing was left to do.</summary>
    internal async Task<bool> RunAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var taken = await TakeAsync(connection, cancellationToken);
        if (taken.Count == 0)
        {
            return false;
        }

        (int, SpanKey)? last = (int.MinValue, default);
        while (last is { } after)
        {
            last = await CopyPageAsync(connection, taken, after, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    private static async Task<List<TraceRange>> TakeAsync(NpgsqlConnection connection, CancellationToken cancellationToken)
    {
        var taken = new List<TraceRange>();
        await using var command = new NpgsqlCommand($"""
            DELETE FROM vector_pending WHERE ctid = ANY(ARRAY(SELECT ctid FROM vector_pending LIMIT {PassTraces} FOR UPDATE SKIP LOCKED))
            RETURNING project_id, trace_id, start_ns, last_ns
            """, connection);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        while (await reader.ReadAsync(cancellationToken))
        {
            taken.Add(new TraceRange(reader.GetInt32(0), reader.GetGuid(1), reader.GetInt64(2), reader.GetInt64(3)));
        }

        return taken;
    }

    /// <summary>Copies from one page of spans; the last span's project and key, or null when it was the last page.</summary>
    private async Task<(int ProjectId, SpanKey Span)?> CopyPageAsync(
        NpgsqlConnection connection, List<TraceRange> traces, (int ProjectId, SpanKey Span) after, CancellationToken cancellationToken)
    {
        var found = new List<(int, SpanKey, Embedding)>();
        var (spans, last) = (0, after);
        await using (var command = new NpgsqlCommand(string.Empty, connection) { CommandTimeout = 0 })
        {
            // The lock lets whoever removes one of the spans wait and then remove its vectors too.
            command.CommandText = $"""
                SELECT s.project_id, s.start_ns, s.trace_id, s.span_id, s.attributes
                FROM unnest({command.Bind(traces.Select(trace => trace.ProjectId).ToArray())}, {command.Bind(traces.Select(trace => trace.TraceId).ToArray())},
                    {command.Bind(traces.Select(trace => trace.FirstNanos).ToArray())}, {command.Bind(traces.Select(trace => trace.LastNanos).ToArray())})
                    AS t (project_id, trace_id, first_ns, last_ns)
                JOIN spans s ON s.trace_id = t.trace_id AND s.project_id = t.project_id AND s.start_ns BETWEEN t.first_ns AND t.last_ns AND s.span_kind = {EmbeddingReader.SpanKind}
                WHERE (s.project_id, s.start_ns, s.trace_id, s.span_id)
                    > ({command.Bind(after.ProjectId)}, {command.Bind(after.Span.StartNanos)}, {command.Bind(after.Span.TraceId)}, {command.Bind(after.Span.SpanId)})
                ORDER BY s.project_id, s.start_ns, s.trace_id, s.span_id LIMIT {PageSpans} FOR KEY SHARE OF s
                """;
            await using var reader = await command.ExecuteReaderAsync(cancellationToken);
            while (await reader.ReadAsync(cancellationToken))
            {
                spans++;
                last = (reader.GetInt32(0), new SpanKey(reader.GetInt64(1), reader.GetGuid(2), reader.GetInt64(3)));
                foreach (var embedding in EmbeddingReader.Read(reader.GetString(4), vectors.Dimensions))
                {
                    found.Add((last.ProjectId, last.Span, embedding));
                }
            }
        }

        if (found.Count > 0)
        {
            await vectors.AddAsync(connection, found, cancellationToken);
        }

        return spans == PageSpans ? last : null;
    }

    private static partial class Log
    {
        [LoggerMessage(255, LogLevel.Warning, "Vectors could not be copied and are tried again: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
