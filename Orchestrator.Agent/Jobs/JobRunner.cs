using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Takes up jobs that nobody runs and runs them: new ones at once, those of a replica that died when their lease ends. A replica that stops
/// gives its jobs back. The lease is renewed while a job runs; a run that loses it stops without a trace in the database.
/// </summary>
internal sealed partial class JobRunner(
    JobStore jobs, JobJournal journal, SessionStore sessions, Investigation investigation, AbandonedSpans abandoned,
    IEnumerable<SpanExport> exports,
    IOptions<MatsOptions> options, TimeProvider time, ILogger<JobRunner> logger)
    : BackgroundService
{
    private const int MostStarts = 4;

    /// <summary>How long the end of a job waits for its spans to be stored.</summary>
    private static readonly TimeSpan s_flush = TimeSpan.FromSeconds(2);

    /// <summary>
    /// How long a replica that stops tries to send the spans of a job, and then to give it back, each: with nobody there to answer it must
    /// still end in time. What is not given back is taken up when its lease ends.
    /// </summary>
    private static readonly TimeSpan s_giveBack = TimeSpan.FromMilliseconds(500);
    private static readonly TimeSpan s_poll = TimeSpan.FromSeconds(1);
    private readonly string _owner = $"{Environment.MachineName}:{Environment.ProcessId}:{Guid.NewGuid():N}";
    private readonly SemaphoreSlim _work = new(0);
    private readonly ConcurrentDictionary<Guid, CancellationTokenSource> _running = new();

    /// <summary>Says that a job may be waiting to be taken up.</summary>
    public void Wake()
    {
        // One look finds every job; signals that nobody waits for must not pile up.
        if (_work.CurrentCount == 0)
        {
            _work.Release();
        }
    }

    /// <summary>Stops a run of this replica at once; other replicas notice when they renew their lease.</summary>
    public void Interrupt(Guid jobId)
    {
        if (_running.TryGetValue(jobId, out var run))
        {
            run.Cancel();
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        using (var started = MatsTracing.StartRoot("agent-startup-check", System.Diagnostics.ActivityTraceId.CreateRandom().ToHexString(),
            null))
        {
            MatsTracing.Tag(started, "status", "startup_ok");
        }

        using var slots = new SemaphoreSlim(options.Value.Concurrency);
        var running = new HashSet<Task>();
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await slots.WaitAsync(stoppingToken);
                await jobs.ExpireAsync(stoppingToken);
                var job = await jobs.ClaimAsync(_owner, options.Value.Lease, stoppingToken);
                if (job is null)
                {
                    slots.Release();
                    await _work.WaitAsync(s_poll, stoppingToken);
                    continue;
                }

                running.RemoveWhere(task => task.IsCompleted);
                running.Add(RunAndReleaseAsync(job, slots, stoppingToken));
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                // Whatever it is, also a row that cannot be read, the service goes on: other jobs wait.
                slots.Release();
                Log.NotTakenUp(logger, e.Message);
                await Task.Delay(s_poll, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        await Task.WhenAll(running);
    }

    private async Task RunAndReleaseAsync(JobRecord job, SemaphoreSlim slots, CancellationToken stoppingToken)
    {
        try
        {
            await RunAsync(job, stoppingToken);
        }
        catch (Exception e)
        {
            // The lease runs out, and the job is taken up again from its last phase.
            Log.RunLost(logger, job.Id, e);
        }
        finally
        {
            slots.Release();
        }
    }

    private async Task RunAsync(JobRecord job, CancellationToken stoppingToken)
    {
        var state = job.State!;
        using var budget = new Budget(options.Value, time, state);
        using var owned = CancellationTokenSource.CreateLinkedTokenSource(stoppingToken);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(owned.Token, budget.Deadline);
        _running[job.Id] = owned;
        var renewal = RenewAsync(job, owned);
        try
        {
            var run = new InvestigationRun(job, state, budget, journal, time, owned.Token, stop.Token);
            var result = await AttemptAsync(run);
            await abandoned.CloseAsync(run, owned.Token);
            await FlushAsync(state, s_flush, owned.Token);
            var to = JobStates.FromResult(result.Status);
            state.Status = JobStates.SessionStatus(to);
            if (state.Plan is not null)
            {
                // The session keeps its RCA: a remediation or a plain question, however it ends, does not replace it.
                await sessions.PutAsync(job.UserEmail, job.SessionId, state, owned.Token);
            }

            if (await jobs.FinishAsync(job, to, state, result, owned.Token))
            {
                Log.Finished(logger, job.Id, to.Wire(), budget.ActiveSeconds, state.TotalToolCalls);
            }
        }
        catch (Exception e) when (e is OperationCanceledException or LeaseLostException)
        {
            budget.Save();
            await FlushAsync(state, s_giveBack, CancellationToken.None);
            if (stoppingToken.IsCancellationRequested)
            {
                await GiveBackAsync(job, state);
            }
        }
        finally
        {
            _running.TryRemove(job.Id, out _);
            await owned.CancelAsync();
            await renewal;
        }
    }

    private async Task GiveBackAsync(JobRecord job, InvestigationState state)
    {
        using var limit = new CancellationTokenSource(s_giveBack, time);
        state.GivenBack++;

        // A last phase is saved only together with the job's end: the run that goes on does the step before it again.
        if (JobStates.IsTerminal(state.Workflow.CurrentPhase) || await jobs.CheckpointAsync(job, state, limit.Token))
        {
            await jobs.ReleaseAsync(job, limit.Token);
            Log.GivenBack(logger, job.Id, state.Workflow.CurrentPhase.Wire());
        }
    }

    private async Task<JobResult> AttemptAsync(InvestigationRun run)
    {
        var state = run.State;
        state.Starts++;
        if (state.Starts > MostStarts + state.Replies + state.GivenBack)
        {
            return JobResults.Failure(state, run.Job, $"E000: the job was started {state.Starts - 1} times and never came to an end.");
        }

        AbandonedSpans.Collect(state);
        if (state.Starts > 1)
        {
            await run.TellAsync("SYSTEM", $"Job goes on at {state.Workflow.CurrentPhase.Wire()}", "orchestrator");
        }

        await run.SaveAsync();
        await abandoned.CloseAsync(run, run.Stop);
        return await investigation.RunAsync(run);
    }

    /// <summary>
    /// Sends the spans of a run that ended, before anybody is told of its end. What cannot be sent now, this process goes on trying; if it
    /// stops first, the run that takes the job up closes those that were on record.
    /// </summary>
    private async Task FlushAsync(InvestigationState state, TimeSpan limit, CancellationToken cancellationToken)
    {
        var stored = true;
        foreach (var export in exports)
        {
            stored &= await export.FlushAsync(limit, cancellationToken);
        }

        if (stored)
        {
            state.OpenSpans.Clear();
        }
    }

    /// <summary>
    /// Renews the lease in time; cancels the run when it is lost or cannot be renewed before it ends, also while the database says nothing.
    /// </summary>
    private async Task RenewAsync(JobRecord job, CancellationTokenSource owned)
    {
        var lease = options.Value.Lease;
        var renewed = time.GetTimestamp();
        while (true)
        {
            await Task.Delay(lease / 4, time, owned.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (owned.IsCancellationRequested)
            {
                return;
            }

            // The database counts from the statement, not from an answer that may come late.
            var asked = time.GetTimestamp();
            var left = (lease * 0.75) - time.GetElapsedTime(renewed, asked);

            // Without a token: cancelling a statement asks the database, and waits for its answer on the thread that cancels.
            var renewal = jobs.RenewAsync(job, lease, CancellationToken.None);

            // Nobody else looks at the fault of a statement that is not waited for any more.
            _ = renewal.ContinueWith(static ended => ended.Exception, TaskScheduler.Default);
            try
            {
                // Late, as after a pause of the whole process, it gets a moment all the same: only the database knows whose the job is.
                if (!await renewal.WaitAsync(left > lease / 8 ? left : lease / 8, time, owned.Token))
                {
                    await owned.CancelAsync();
                    return;
                }

                renewed = asked;
            }
            catch (OperationCanceledException)
            {
                return;
            }
            catch (Exception e)
            {
                Log.RenewalFailed(logger, job.Id, e.Message);

                // Another attempt after the next pause might not end within the lease.
                if (time.GetElapsedTime(renewed) > lease * 0.6)
                {
                    Log.NotRenewed(logger, job.Id);
                    await owned.CancelAsync();
                    return;
                }
            }
        }
    }
}
