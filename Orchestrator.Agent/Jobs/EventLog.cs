using Npgsql;
using NpgsqlTypes;

namespace Orchestrator.Agent.Jobs;

/// <summary>One line of a job's history.</summary>
/// <param name="Seq">Ascending within the channel, without a reader ever seeing n+1 before n.</param>
/// <param name="Type">SYSTEM, PLAN, INFO, TOOL_USE, OBSERVATION, THOUGHT or ERROR.</param>
internal sealed record JobEvent(long Seq, DateTimeOffset Timestamp, string Type, string Message, string Source);

/// <summary>An event as streams carry it: the line, the job it is of, and the richer form if it was published with one.</summary>
internal sealed record StoredEvent(JobEvent Event, Guid EventId, Guid? JobId, string? TraceId, string? Envelope);

/// <summary>
/// The append-only log of every channel (one per user and session). Readers replay from any point; writers never wait for a reader. Each
/// append wakes the readers of all replicas through NOTIFY.
/// </summary>
internal sealed class EventLog(NpgsqlDataSource database, TimeProvider time)
{
    /// <summary>NOTIFY channel of new events; the payload is the channel's id.</summary>
    public const string Notification = "mats_events";

    /// <summary>Longest stored message, in characters; the rest is cut.</summary>
    public const int MaxMessageChars = 4000;

    private const int MaxSourceChars = 200;

    /// <summary>The event that begins a session's channel anew.</summary>
    public const string SessionBegins = "Session initialized";

    public static readonly string[] Types = ["SYSTEM", "PLAN", "INFO", "TOOL_USE", "OBSERVATION", "THOUGHT", "ERROR"];

    /// <summary>The channel's name for a user ("unknown" and none are <c>anonymous</c>) and a session.</summary>
    public static string ChannelName(string userEmail, string sessionId) =>
        $"channel:user_{(userEmail is "" or "unknown" ? "anonymous" : userEmail)}:session_{sessionId}";

    /// <summary>The id of a channel, made when it is new; retention leaves it alone from now on.</summary>
    public async Task<long> ChannelAsync(string name, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            insert into mats.channels (name, last_seq) values ($1, 0) on conflict (name) do update set used_at = now() returning id
            """);
        command.Parameters.AddWithValue(name);
        return (long)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    /// <summary>The number before the first event that a stream of the channel may show, and the number of its last event.</summary>
    public async Task<(long First, long Last)> RangeAsync(long channelId, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand("select first_seq, last_seq from mats.channels where id = $1");
        command.Parameters.AddWithValue(channelId);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? (reader.GetInt64(0), reader.GetInt64(1)) : (0, 0);
    }

    /// <summary>
    /// Begins a session anew on its channel: open streams end with the event of it, new ones replay from it, and what was published before
    /// outside of jobs is gone. The history of jobs stays theirs.
    /// </summary>
    public async Task BeginSessionAsync(long channelId, CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var append = Append(channelId, Guid.NewGuid(), null, "SYSTEM", SessionBegins, "orchestrator", null, time.GetUtcNow());
        append.Connection = connection;
        await append.ExecuteNonQueryAsync(cancellationToken);
        await using var clear = new NpgsqlCommand(
            """
            with begun as (update mats.channels set first_seq = last_seq - 1 where id = $1 returning first_seq)
            delete from mats.events using begun where channel_id = $1 and seq <= first_seq and job_id is null
            """, connection, transaction)
        {
            Parameters = { new() { Value = channelId } },
        };
        await clear.ExecuteNonQueryAsync(cancellationToken);
        await transaction.CommitAsync(cancellationToken);
    }

    /// <summary>Appends one event. It is durable when this returns; its number is the channel's next.</summary>
    /// <param name="leaseToken">Set by a run: nothing is appended once the job is not its any more, so no line follows the last
    /// one.</param>
    public async Task<Guid> AppendAsync(
        long channelId, Guid? jobId, string type, string message, string source, string? traceId, CancellationToken cancellationToken,
        string? envelope = null, long? leaseToken = null)
    {
        var id = Guid.NewGuid();
        await using var command = Append(channelId, id, jobId, type, message, source, traceId, time.GetUtcNow(), envelope, leaseToken);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        command.Connection = connection;
        await command.ExecuteNonQueryAsync(cancellationToken);
        return id;
    }

    /// <summary>The command that appends one event, for a connection and a transaction of the caller's.</summary>
    public static NpgsqlCommand Append(
        long channelId, Guid id, Guid? jobId, string type, string message, string source, string? traceId, DateTimeOffset now,
        string? envelope = null,
        long? leaseToken = null)
    {
        // The row lock of the channel orders its events: number n+1 cannot commit before n. That of the job comes first: a plain look at it
        // would be as old as the statement, which may have waited for the channel while the job ended.
        var command = new NpgsqlCommand(
            $"""
             with held as (select from mats.jobs where id = $3 and lease_token = $10 and status = 'RUNNING' for share),
                  next as (update mats.channels set last_seq = last_seq + 1
                           where id = $1 and ($10::bigint is null or exists (select from held)) returning last_seq),
                  added as (insert into mats.events (channel_id, seq, event_id, job_id, time, type, message, source, trace_id, envelope)
                            select $1, last_seq, $2, $3, $4, $5, $6, $7, $8, $9 from next returning channel_id)
             select pg_notify('{Notification}', channel_id::text) from added
             """);
        command.Parameters.AddWithValue(channelId);
        command.Parameters.AddWithValue(id);
        command.Parameters.Add(new() { Value = (object?)jobId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.AddWithValue(now);
        command.Parameters.AddWithValue(type);
        command.Parameters.AddWithValue(Clean(message, MaxMessageChars));
        command.Parameters.AddWithValue(Clean(source, MaxSourceChars));
        command.Parameters.Add(
            new() { Value = traceId is null ? DBNull.Value : Clean(traceId, MaxSourceChars), NpgsqlDbType = NpgsqlDbType.Text });
        command.Parameters.Add(JsonColumn.Of(envelope));
        command.Parameters.Add(new() { Value = (object?)leaseToken ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Bigint });
        return command;
    }

    /// <summary>Events of a channel after a number, ascending; only one job's when <paramref name="jobId"/> is given.</summary>
    public async Task<IReadOnlyList<StoredEvent>> ReadAsync(
        long channelId, Guid? jobId, long after, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            select seq, time, type, message, source, event_id, job_id, trace_id, envelope from mats.events
            where channel_id = $1 and seq > $2 and ($3::uuid is null or job_id = $3) order by seq limit $4
            """);
        command.Parameters.AddWithValue(channelId);
        command.Parameters.AddWithValue(after);
        command.Parameters.Add(new() { Value = (object?)jobId ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Uuid });
        command.Parameters.AddWithValue(limit);
        return await ReadAllAsync(command, cancellationToken);
    }

    /// <summary>The last events of a job, ascending.</summary>
    public async Task<IReadOnlyList<StoredEvent>> LastAsync(Guid jobId, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            """
            select seq, time, type, message, source, event_id, job_id, trace_id, envelope from
              (select * from mats.events where job_id = $1 order by seq desc limit $2) last order by seq
            """);
        command.Parameters.AddWithValue(jobId);
        command.Parameters.AddWithValue(limit);
        return await ReadAllAsync(command, cancellationToken);
    }

    private static async Task<IReadOnlyList<StoredEvent>> ReadAllAsync(NpgsqlCommand command, CancellationToken cancellationToken)
    {
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var events = new List<StoredEvent>();
        while (await reader.ReadAsync(cancellationToken))
        {
            events.Add(new(
                new(
                    reader.GetInt64(0), reader.GetFieldValue<DateTimeOffset>(1), reader.GetString(2), reader.GetString(3),
                    reader.GetString(4)),
                reader.GetGuid(5), reader.IsDBNull(6) ? null : reader.GetGuid(6), reader.IsDBNull(7) ? null : reader.GetString(7),
                reader.IsDBNull(8) ? null : reader.GetString(8)));
        }

        return events;
    }

    private static string Clean(string text, int most) =>
        (text.Length <= most ? text : text[..most] + "…").Replace('\0', '\uFFFD');
}
