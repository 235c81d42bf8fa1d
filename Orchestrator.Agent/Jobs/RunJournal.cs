namespace Orchestrator.Agent.Jobs;

/// <summary>Where a run speaks and remembers: the job's own database, or the stream of the orchestrator that delegated the work.</summary>
internal interface IRunJournal
{
    /// <summary>True when a checkpoint outlives this process.</summary>
    public bool IsDurable { get; }

    /// <summary>Tells everyone who watches the job.</summary>
    public Task TellAsync(JobRecord job, string type, string message, string source, CancellationToken cancellationToken);

    /// <summary>Saves what is known; false when the job is not this run's any more.</summary>
    public Task<bool> CheckpointAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken);
}

/// <summary>The journal of a run that owns its job.</summary>
internal sealed class JobJournal(JobStore jobs, EventLog events) : IRunJournal
{
    public bool IsDurable => true;

    public Task TellAsync(JobRecord job, string type, string message, string source, CancellationToken cancellationToken) =>
        events.AppendAsync(job.ChannelId, job.Id, type, message, source, job.TraceId, cancellationToken, leaseToken: job.LeaseToken);

    public Task<bool> CheckpointAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken) =>
        jobs.CheckpointAsync(job, state, cancellationToken);
}
