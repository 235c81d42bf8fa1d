using System.Text.Json;
using Npgsql;
using NpgsqlTypes;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// The jobs in PostgreSQL. A run writes only while it holds the job's lease: every write of a run carries its token and changes nothing
/// once the job was taken over, cancelled or finished. Times of leases are the database's, so replicas need no common clock.
/// </summary>
internal sealed class JobStore(NpgsqlDataSource database, TimeProvider time)
{
    private const string Columns =
        "id, channel_id, status, phase, created_at, updated_at, completed_at, user_email, session_id, trace_id, parent_span_id, " +
        "request_id, " +
        "request, pending_steps, reply, result, error, lease_token";

    /// <summary>
    /// Stores a new RUNNING job that any replica may take up, with its first event; false when its user posted with
    /// <paramref name="idempotencyKey"/> before, and nothing is stored.
    /// </summary>
    public async Task<bool> CreateAsync(
        JobRecord job, InvestigationState state, CancellationToken cancellationToken, string? idempotencyKey = null)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await using var command = new NpgsqlCommand(
            """
            with kept as (insert into mats.idempotency (job_id, key, action, user_email)
                          select $1, $13, 'create', $6 where $13::text is not null on conflict do nothing returning key)
            insert into mats.jobs (id, channel_id, status, phase, created_at, updated_at, user_email, session_id, trace_id, parent_span_id,
                request_id, request, state)
            select $1, $2, $3, $4, $5, $5, $6, $7, $8, $9, $10, $11, $12 where $13::text is null or exists (select from kept)
            """, connection, transaction);
        command.Parameters.AddWithValue(job.Id);
        command.Parameters.AddWithValue(job.ChannelId);
        command.Parameters.AddWithValue(job.Status.Wire());
        command.Parameters.AddWithValue(job.Phase.Wire());
        command.Parameters.AddWithValue(job.CreatedAt);
        command.Parameters.AddWithValue(job.UserEmail);
        command.Parameters.AddWithValue(job.SessionId);
        command.Parameters.AddWithValue(job.TraceId);
        command.Parameters.Add(Text(job.ParentSpanId));
        command.Parameters.Add(Text(job.RequestId));
        command.Parameters.Add(JsonColumn.Of(JsonSerializer.Serialize(job.Request, MatsJson.Default.TroubleshootRequest)));
        command.Parameters.Add(JsonColumn.Of(JsonSerializer.Serialize(state, MatsJson.Default.InvestigationState)));
        command.Parameters.Add(Text(idempotencyKey));
        if (await command.ExecuteNonQueryAsync(cancellationToken) == 0)
        {
            return false;
        }

        await TellAsync(connection, job.ChannelId, job.Id, "Job started", "orchestrator", job.TraceId, cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return true;
    }

    /// <summary>The job that this user's POST with the key made, or resumed; null when there was none.</summary>
    public async Task<PostedJob?> PostedAsync(string userEmail, string idempotencyKey, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
             with posted as (select job_id, action from mats.idempotency where user_email = $1 and key = $2)
             select {Columns}, action from mats.jobs join posted on id = job_id
             """);
        command.Parameters.AddWithValue(userEmail);
        command.Parameters.AddWithValue(idempotencyKey);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? new(Read(reader), reader.GetString(18) == "resume") : null;
    }

    /// <summary>The job without its state; null when there is none of that id.</summary>
    public async Task<JobRecord?> FindAsync(Guid id, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand($"select {Columns} from mats.jobs where id = $1");
        command.Parameters.AddWithValue(id);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken) ? Read(reader) : null;
    }

    /// <summary>One user's jobs, newest first.</summary>
    public async Task<IReadOnlyList<JobRecord>> ListAsync(
        string userEmail, JobStatus? status, string? sessionId, int limit, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
             select {Columns} from mats.jobs
             where user_email = $1 and ($2::text is null or status = $2) and ($3::text is null or session_id = $3)
             order by created_at desc limit $4
             """);
        command.Parameters.AddWithValue(userEmail);
        command.Parameters.Add(Text(status?.Wire()));
        command.Parameters.Add(Text(sessionId));
        command.Parameters.AddWithValue(limit);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        var jobs = new List<JobRecord>();
        while (await reader.ReadAsync(cancellationToken))
        {
            jobs.Add(Read(reader));
        }

        return jobs;
    }

    /// <summary>Takes the oldest RUNNING job that nobody holds, or whose holder let its lease run out; null when there is none.</summary>
    public async Task<JobRecord?> ClaimAsync(string owner, TimeSpan lease, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
             update mats.jobs set lease_owner = $1, lease_until = now() + $2, lease_token = lease_token + 1, updated_at = now()
             where id = (select id from mats.jobs where status = 'RUNNING' and (lease_until is null or lease_until < now())
                         order by created_at for update skip locked limit 1)
             returning {Columns}, state
             """);
        command.Parameters.AddWithValue(owner);
        command.Parameters.AddWithValue(lease);
        await using var reader = await command.ExecuteReaderAsync(cancellationToken);
        return await reader.ReadAsync(cancellationToken)
            ? Read(reader) with { State = JsonSerializer.Deserialize(reader.GetString(18), MatsJson.Default.InvestigationState) }
            : null;
    }

    /// <summary>Keeps the lease; false when the run no longer owns the job and must stop.</summary>
    public Task<bool> RenewAsync(JobRecord job, TimeSpan lease, CancellationToken cancellationToken) =>
        FencedAsync(job, "lease_until = now() + $3", [new() { Value = lease }], cancellationToken);

    /// <summary>
    /// Gives a RUNNING job back, so that another replica takes it up at once. With it goes the token: a renewal still under way changes
    /// nothing.
    /// </summary>
    public Task<bool> ReleaseAsync(JobRecord job, CancellationToken cancellationToken) => FencedAsync(
        job, "lease_until = null, lease_token = lease_token + 1", [], cancellationToken);

    /// <summary>Saves what the run knows; false when it no longer owns the job.</summary>
    public Task<bool> CheckpointAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken) => FencedAsync(
        job, "phase = $3, state = $4",
        [
            new() { Value = state.Workflow.CurrentPhase.Wire() },
            JsonColumn.Of(JsonSerializer.Serialize(state, MatsJson.Default.InvestigationState)),
        ],
        cancellationToken);

    /// <summary>
    /// Ends or pauses the job with its last phase, its result and its last events, all or nothing and once: false when this run does not
    /// own it any more.
    /// </summary>
    public async Task<bool> FinishAsync(
        JobRecord job, JobStatus to, InvestigationState state, JobResult result, CancellationToken cancellationToken)
    {
        JobStates.Require(JobStatus.Running, to);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var owned = await FencedAsync(
            job,
            "status = $3, phase = $4, state = $5, result = $6, error = $7, pending_steps = $8, reply = null, lease_until = null, " +
            "completed_at = case when $9 then now() end, expires_at = $10",
            [
                new() { Value = to.Wire() },
                new() { Value = state.Workflow.CurrentPhase.Wire() },
                JsonColumn.Of(JsonSerializer.Serialize(state, MatsJson.Default.InvestigationState)),
                // json, not jsonb: the fields stay in the order that people read them in.
                JsonColumn.Of(JsonSerializer.Serialize(result, MatsJson.Web.JobResult), NpgsqlDbType.Json),
                Text(result.Error),
                JsonColumn.Of(JsonSerializer.Serialize(result.PendingSteps ?? [], MatsJson.Default.IReadOnlyListPendingStep)),
                new() { Value = JobStates.IsTerminal(to) },
                new()
                {
                    Value = to == JobStatus.WaitingForUser && result.Remediation is { } proposed ? proposed.ExpiresAt : DBNull.Value,
                    NpgsqlDbType = NpgsqlDbType.TimestampTz,
                },
            ],
            cancellationToken, connection);
        if (owned)
        {
            if (JobStates.IsTerminal(state.Workflow.CurrentPhase))
            {
                var last = state.Workflow.PhaseTransitions[^1];
                await TellAsync(
                    connection, job.ChannelId, job.Id, $"Phase {last.ToPhase.Wire()}: {last.Reason}", "orchestrator", job.TraceId,
                    cancellationToken);
            }

            await TellAsync(connection, job.ChannelId, job.Id, $"Job {to.Wire()}", "orchestrator", job.TraceId, cancellationToken);
            await transaction.CommitAsync(cancellationToken);
        }

        return owned;
    }

    /// <summary>
    /// Moves a job at its user's wish. The answer says whether it moved, was moved by the same <paramref name="idempotencyKey"/> before, or
    /// is in a state that the table does not let go to <paramref name="to"/>. With <paramref name="poster"/> the key counts for that user's
    /// POSTs, not for the job alone.
    /// </summary>
    public async Task<MoveOutcome> MoveAsync(
        JobRecord job, JobStatus to, string action, Reply? reply, string? idempotencyKey, CancellationToken cancellationToken,
        string? poster = null)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);

        // The row lock comes first: two requests with one key must not both find it unused.
        await using var locked = new NpgsqlCommand("select status from mats.jobs where id = $1 for update", connection, transaction)
        {
            Parameters = { new() { Value = job.Id } },
        };
        var status = (string?)await locked.ExecuteScalarAsync(cancellationToken);
        if (idempotencyKey is not null)
        {
            await using var seen = new NpgsqlCommand(
                "select action from mats.idempotency where job_id = $1 and key = $2", connection, transaction)
            {
                Parameters = { new() { Value = job.Id }, new() { Value = idempotencyKey } },
            };
            if (await seen.ExecuteScalarAsync(cancellationToken) is string earlier)
            {
                return earlier == action ? MoveOutcome.Repeated : MoveOutcome.KeyReused;
            }
        }

        if (!JobStates.Before(to).Contains(status))
        {
            return MoveOutcome.WrongState;
        }

        await using var move = new NpgsqlCommand(
            """
            update mats.jobs set status = $2, reply = $3, lease_until = null, updated_at = now(), error = $4,
                   completed_at = case when $5 then now() end, pending_steps = case when $5 then '[]'::jsonb else pending_steps end
            where id = $1
            """, connection, transaction)
        {
            Parameters =
            {
                new() { Value = job.Id },
                new() { Value = to.Wire() },
                JsonColumn.Of(reply is null ? null : JsonSerializer.Serialize(reply, MatsJson.Default.Reply)),
                Text(to == JobStatus.Cancelled ? "Cancelled by its user" : null),
                new() { Value = JobStates.IsTerminal(to) },
            },
        };
        await move.ExecuteNonQueryAsync(cancellationToken);
        await TellAsync(
            connection, job.ChannelId, job.Id, to == JobStatus.Cancelled ? $"Job {to.Wire()}" : $"The user answered: {action}", "user",
            job.TraceId, cancellationToken);
        if (idempotencyKey is not null)
        {
            await using var remember = new NpgsqlCommand(
                "insert into mats.idempotency (job_id, key, action, user_email) values ($1, $2, $3, $4) on conflict do nothing",
                connection, transaction)
            {
                Parameters = { new() { Value = job.Id }, new() { Value = idempotencyKey }, new() { Value = action }, Text(poster) },
            };
            if (await remember.ExecuteNonQueryAsync(cancellationToken) == 0)
            {
                return MoveOutcome.KeyReused;
            }
        }

        await transaction.CommitAsync(cancellationToken);
        return MoveOutcome.Moved;
    }

    /// <summary>
    /// Lets the jobs go on whose approval was not given in time, so that a run ends them with their report; how many. An approval that
    /// expired while no replica ran is found by the first that does.
    /// </summary>
    public async Task<int> ExpireAsync(CancellationToken cancellationToken)
    {
        JobStates.Require(JobStatus.WaitingForUser, JobStatus.Running);
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        var now = time.GetUtcNow();
        var reply = new Reply(Reply.Expire, null, null, null, null, "orchestrator", now);
        await using var move = new NpgsqlCommand(
            """
            update mats.jobs set status = 'RUNNING', reply = $2, lease_until = null, updated_at = now()
            where id in (select id from mats.jobs where status = 'WAITING_FOR_USER' and expires_at < $1 for update skip locked)
            returning id, channel_id, trace_id, expires_at
            """, connection, transaction)
        {
            Parameters = { new() { Value = now }, JsonColumn.Of(JsonSerializer.Serialize(reply, MatsJson.Default.Reply)) },
        };
        var expired = new List<(Guid Id, long Channel, string Trace, DateTimeOffset At)>();
        await using (var reader = await move.ExecuteReaderAsync(cancellationToken))
        {
            while (await reader.ReadAsync(cancellationToken))
            {
                expired.Add((reader.GetGuid(0), reader.GetInt64(1), reader.GetString(2), reader.GetFieldValue<DateTimeOffset>(3)));
            }
        }

        // In one order of channels: another replica that tells on the same ones must not wait in a circle.
        foreach (var job in expired.OrderBy(static job => job.Channel))
        {
            await TellAsync(
                connection, job.Channel, job.Id, $"The approval expired at {job.At:yyyy-MM-ddTHH:mm:ssZ}: nobody gave it", "orchestrator",
                job.Trace, cancellationToken);
        }

        await transaction.CommitAsync(cancellationToken);
        return expired.Count;
    }

    /// <summary>This user's waiting jobs of one session.</summary>
    public async Task<IReadOnlyList<Guid>> WaitingAsync(string userEmail, string sessionId, CancellationToken cancellationToken) =>
        [.. (await ListAsync(userEmail, JobStatus.WaitingForUser, sessionId, 2, cancellationToken)).Select(job => job.Id)];

    private async Task TellAsync(
        NpgsqlConnection connection, long channelId, Guid jobId, string message, string source, string traceId,
        CancellationToken cancellationToken)
    {
        await using var append = EventLog.Append(channelId, Guid.NewGuid(), jobId, "SYSTEM", message, source, traceId, time.GetUtcNow());
        append.Connection = connection;
        await append.ExecuteNonQueryAsync(cancellationToken);
    }

    private async Task<bool> FencedAsync(
        JobRecord job, string assignments, NpgsqlParameter[] values, CancellationToken cancellationToken,
        NpgsqlConnection? connection = null)
    {
        var update = $"update mats.jobs set {assignments}, updated_at = now() where id = $1 and lease_token = $2 and status = 'RUNNING'";
        await using var command = connection is null ? database.CreateCommand(update) : new NpgsqlCommand(update, connection);
        command.Parameters.AddWithValue(job.Id);
        command.Parameters.AddWithValue(job.LeaseToken);
        command.Parameters.AddRange(values);
        return await command.ExecuteNonQueryAsync(cancellationToken) == 1;
    }

    private static NpgsqlParameter Text(string? value) => new()
    {
        Value = (object?)value ?? DBNull.Value, NpgsqlDbType = NpgsqlDbType.Text,
    };

    private static JobRecord Read(NpgsqlDataReader reader) => new(
        reader.GetGuid(0), reader.GetInt64(1), JobStates.ParseStatus(reader.GetString(2))!.Value,
        JobStates.ParsePhase(reader.GetString(3))!.Value,
        reader.GetFieldValue<DateTimeOffset>(4), reader.GetFieldValue<DateTimeOffset>(5),
        reader.IsDBNull(6) ? null : reader.GetFieldValue<DateTimeOffset>(6), reader.GetString(7), reader.GetString(8), reader.GetString(9),
        reader.IsDBNull(10) ? null : reader.GetString(10), reader.IsDBNull(11) ? null : reader.GetString(11),
        JsonSerializer.Deserialize(reader.GetString(12), MatsJson.Default.TroubleshootRequest)!,
        JsonSerializer.Deserialize(reader.GetString(13), MatsJson.Default.IReadOnlyListPendingStep)!,
        reader.IsDBNull(14) ? null : JsonSerializer.Deserialize(reader.GetString(14), MatsJson.Default.Reply),
        reader.IsDBNull(15) ? null : JsonElement.Parse(reader.GetString(15)),
        reader.IsDBNull(16) ? null : reader.GetString(16))
    {
        LeaseToken = reader.GetInt64(17),
    };
}

/// <summary>What a POST of a request came to: a new job, or the waiting one that it resumed.</summary>
internal readonly record struct PostedJob(JobRecord Job, bool IsResumed);

/// <summary>What became of a user's wish to move a job.</summary>
internal enum MoveOutcome
{
    Moved,

    /// <summary>The same key asked for the same before: the earlier answer stands, nothing runs twice.</summary>
    Repeated,

    /// <summary>The key was used for another action of this job.</summary>
    KeyReused,
    WrongState,
}
