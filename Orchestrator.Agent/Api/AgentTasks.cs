using System.Text.Json;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Api;

/// <summary>
/// Works for an orchestrator in another process: runs one agent over the state it sends, under its span, and streams events and outcome as
/// JSON lines. When the caller goes away, the work stops, unless it writes to other systems: that is brought to its end. When this process
/// stops, all work does.
/// </summary>
internal sealed class AgentTasks(
    AgentTeam team, RemoteProposals proposals, IOptions<MatsOptions> options, TimeProvider time, IHostApplicationLifetime lifetime)
{
    /// <summary>An agent's part of an investigation.</summary>
    public Task RunAsync(HttpContext context, string agent, AgentTask task, RequestIdentity caller) =>
        StreamAsync(context, agent, task, caller, keep: null, run => team.WorkAsync(agent, run, task.Attempt), stopsWithCaller: true);

    /// <summary>A proposal of the remediation agent, or the command of one that was approved.</summary>
    public Task RemediateAsync(HttpContext context, AgentTask task, RequestIdentity caller) => StreamAsync(
        context, RemoteAgentOptions.Remediation, task, caller, proposals.SaveAsync, run => proposals.WorkAsync(run, task),
        stopsWithCaller: task.Spec is not null);

    private async Task StreamAsync(
        HttpContext context, string agent, AgentTask task, RequestIdentity caller,
        Func<JobRecord, InvestigationState, CancellationToken, Task>? keep, Func<InvestigationRun, Task<JsonElement>> work,
        bool stopsWithCaller)
    {
        context.Response.ContentType = "application/x-ndjson";
        var job = new JobRecord(
            task.JobId, 0, JobStatus.Running, task.State.Workflow.CurrentPhase, task.CreatedAt, task.CreatedAt, null, task.UserEmail,
            task.SessionId, caller.TraceId,
            caller.ParentSpanId, caller.RequestId, task.Request, [], task.Reply, null, null);
        using var budget = new Budget(options.Value, time, task.State);
        using var alive = CancellationTokenSource.CreateLinkedTokenSource(
            lifetime.ApplicationStopping, stopsWithCaller ? context.RequestAborted : CancellationToken.None);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(alive.Token, budget.Deadline);
        using var lines = new StreamJournal(context.Response, keep);
        var run = new InvestigationRun(job, task.State, budget, lines, time, alive.Token, stop.Token);

        // The request itself makes no span; the work does, under the span of the orchestrator that delegates.
        using var traced = SuppressInstrumentationScope.Begin(false);
        using var span = MatsTracing.StartRoot($"agent_{agent}", job.TraceId, job.ParentSpanId);
        MatsTracing.Tag(span, "session.id", job.SessionId);
        MatsTracing.Tag(span, "agent.name", $"mats-{agent}");
        try
        {
            var report = await work(run);
            await lines.WriteAsync(new() { Outcome = new(report, run.State) }, context.RequestAborted);
        }
        catch (Exception e) when (e is not OperationCanceledException || !context.RequestAborted.IsCancellationRequested)
        {
            MatsTracing.Fail(span, e);
            var telemetry = e as PhoenixUnavailableException;
            await lines.WriteAsync(
                new() { Failure = new(e.Message, telemetry?.Denied ?? false, telemetry is not null) }, context.RequestAborted);
        }
    }

    /// <summary>
    /// The journal of a task: events go to the caller as long as it listens; it keeps the state, or <paramref name="keep"/>.
    /// </summary>
    private sealed class StreamJournal(HttpResponse response, Func<JobRecord, InvestigationState, CancellationToken, Task>? keep)
        : IRunJournal, IDisposable
    {
        private readonly SemaphoreSlim _oneAtATime = new(1);

        private bool IsAlone => response.HttpContext.RequestAborted.IsCancellationRequested;

        public bool IsDurable => false;

        public Task TellAsync(JobRecord job, string type, string message, string source, CancellationToken cancellationToken) =>
            WriteAsync(new() { Event = new() { Type = type, Message = message, Source = source } }, cancellationToken);

        public async Task<bool> CheckpointAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken)
        {
            await (keep?.Invoke(job, state, cancellationToken) ?? Task.CompletedTask);
            return true;
        }

        public async Task WriteAsync(AgentLine line, CancellationToken cancellationToken)
        {
            await _oneAtATime.WaitAsync(cancellationToken);
            try
            {
                await response.WriteAsync(JsonSerializer.Serialize(line, MatsJson.Default.AgentLine) + "\n", cancellationToken);
                await response.Body.FlushAsync(cancellationToken);
            }
            catch (Exception e) when (e is IOException or OperationCanceledException
                && IsAlone && !cancellationToken.IsCancellationRequested)
            {
                // Nobody listens any more. What runs on without a listener has its own record.
            }
            finally
            {
                _oneAtATime.Release();
            }
        }

        public void Dispose() => _oneAtATime.Dispose();
    }
}
