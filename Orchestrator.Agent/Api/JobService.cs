using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

/// <summary>What the routes of jobs share: making a job, answering a waiting one, waiting for an end.</summary>
internal sealed class JobService(
    JobStore jobs, EventLog events, EventSignal signal, SessionStore sessions, JobRunner runner, TimeProvider time,
    IHostApplicationLifetime lifetime)
{
    private static readonly TimeSpan s_look = TimeSpan.FromSeconds(5);

    /// <summary>Stores a new job, tells its first event and wakes the runner.</summary>
    public async Task<JobRecord> StartAsync(TroubleshootRequest request, RequestIdentity who, CancellationToken cancellationToken)
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

        // First the event, then the job: a replica that takes it up at once must not speak before "Job started".
        await events.AppendAsync(channel, job.Id, "SYSTEM", "Job started", "orchestrator", job.TraceId, cancellationToken);
        await jobs.CreateAsync(job, state, cancellationToken);
        runner.Wake();
        return job;
    }

    /// <summary>Hands a waiting job the user's answer.</summary>
    public async Task<MoveOutcome> ReplyAsync(
        JobRecord job, string action, ReplyRequest body, string userEmail, string? key, CancellationToken cancellationToken)
    {
        var reply = new Reply(
            action, body.Message ?? body.Comment ?? body.Reason, body.ProjectId, body.StepIds, body.CommandHash, userEmail,
            time.GetUtcNow());
        var outcome = await jobs.MoveAsync(job, JobStatus.Running, action, reply, key, cancellationToken);
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
