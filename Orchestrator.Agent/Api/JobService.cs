using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

/// <summary>What the routes of jobs share: making a job, answering a waiting one, waiting for an end.</summary>
internal sealed class JobService(
    JobStore jobs, EventLog events, EventSignal signal, SessionStore sessions, JobRunner runner, TimeProvider time,
    IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(5);

    /// <summary>
    /// Resumes a named user's one waiting job of the session, else makes a job. The same key of the same user means the same job, and
    /// nothing runs for it twice.
    /// </summary>
    public async Task<PostedJob> PostAsync(
        TroubleshootRequest request, RequestIdentity who, string? key, CancellationToken cancellationToken)
    {
        if (key is not null && await jobs.PostedAsync(who.UserEmail, key, cancellationToken) is { } earlier)
        {
            return earlier;
        }

        if (who.UserEmail != "unknown" && await jobs.WaitingAsync(who.UserEmail, who.SessionId, cancellationToken) is [var waiting]
            && await jobs.FindAsync(waiting, cancellationToken) is { } paused
            && await ReplyAsync(paused, "resume", new() { Message = request.Text, ProjectId = request.ProjectId }, who.UserEmail, key,
                cancellationToken, poster: who.UserEmail) is MoveOutcome.Moved or MoveOutcome.Repeated)
        {
            return new(paused, IsResumed: true);
        }

        return await StartAsync(request, who, cancellationToken, key);
    }

    /// <summary>
    /// Stores a new job with its first event and wakes the runner; what the user's earlier POST with <paramref name="key"/> came to, if
    /// there was one.
    /// </summary>
    public async Task<PostedJob> StartAsync(
        TroubleshootRequest request, RequestIdentity who, CancellationToken cancellationToken, string? key = null)
    {
        var channel = await events.ChannelAsync(EventLog.ChannelName(who.UserEmail, who.SessionId), cancellationToken);
        var now = time.GetUtcNow();
        var earlier = await sessions.FindAsync(who.UserEmail, who.SessionId, cancellationToken);
        var state = new InvestigationState
        {
            SessionId = who.SessionId, UserId = who.UserEmail, ProjectId = request.ProjectId, RepoUrl = request.RepoUrl ?? earlier?.RepoUrl,
        };
        var job = new JobRecord(
            Guid.NewGuid(), channel, JobStatus.Running, Phase.Intake, now, now, null, who.UserEmail, who.SessionId, who.TraceId,
            who.ParentSpanId, who.RequestId,
            request, [], null, null, null);

        if (!await jobs.CreateAsync(job, state, cancellationToken, key))
        {
            return (await jobs.PostedAsync(who.UserEmail, key!, cancellationToken))!.Value;
        }

        runner.Wake();
        return new(job, IsResumed: false);
    }

    /// <summary>Hands a waiting job the user's answer.</summary>
    public async Task<MoveOutcome> ReplyAsync(
        JobRecord job, string action, ReplyRequest body, string userEmail, string? key, CancellationToken cancellationToken,
        string? poster = null)
    {
        var reply = new Reply(
            action, body.Message ?? body.Comment ?? body.Reason, body.ProjectId, body.StepIds, body.CommandHash, userEmail,
            time.GetUtcNow());
        var outcome = await jobs.MoveAsync(job, JobStatus.Running, action, reply, key, cancellationToken, poster);
        if (outcome == MoveOutcome.Moved)
        {
            runner.Wake();
        }

        return outcome;
    }

    /// <summary>Ends a job at its user's wish.</summary>
    public async Task<MoveOutcome> CancelAsync(JobRecord job, string? key, CancellationToken cancellationToken)
    {
        var outcome = await jobs.MoveAsync(job, JobStatus.Cancelled, "cancel", null, key, cancellationToken);
        if (outcome == MoveOutcome.Moved)
        {
            runner.Interrupt(job.Id);
        }

        return outcome;
    }

    /// <summary>The job once it ended or paused; as it stands when the time is up or this process stops.</summary>
    public async Task<JobRecord> WaitAsync(JobRecord job, TimeSpan patience, CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, lifetime.ApplicationStopping);
        var current = job;
        try
        {
            while (true)
            {
                using var next = signal.Begin(job.ChannelId);
                current = await jobs.FindAsync(job.Id, stop.Token) ?? job;
                var left = patience - time.GetElapsedTime(started);
                if (current.Status != JobStatus.Running || left <= TimeSpan.Zero)
                {
                    return current;
                }

                await next.WaitAsync(left < s_look ? left : s_look, stop.Token);
            }
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return current;
        }
    }
}
