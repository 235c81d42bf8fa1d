using System.Text.Json;
using Microsoft.Extensions.Options;
using OpenTelemetry;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Api;

/// <summary>
/// Works for an orchestrator in another process: runs one agent over the state it sends, under its span, and streams events and outcome as
/// JSON lines. Nothing is stored here; when the caller goes away, the work stops.
/// </summary>
internal sealed class AgentTasks(AgentTeam team, IOptions<MatsOptions> options, TimeProvider time)
{
    public async Task RunAsync(HttpContext context, string agent, AgentTask task, RequestIdentity caller)
    {
        context.Response.ContentType = "application/x-ndjson";
        var job = new JobRecord(
            task.JobId, 0, JobStatus.Running, task.State.Workflow.CurrentPhase, task.CreatedAt, task.CreatedAt, null, task.UserEmail,
            task.SessionId, caller.TraceId,
            caller.ParentSpanId, caller.RequestId, task.Request, [], task.Reply, null, null);
        using var budget = new Budget(options.Value, time, task.State);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, budget.Deadline);
        using var lines = new StreamJournal(context.Response);
        var run = new InvestigationRun(job, task.State, budget, lines, time, stop.Token);

        // The request itself makes no span; the work does, under the span of the orchestrator that delegates.
        using var traced = SuppressInstrumentationScope.Begin(false);
        using var span = MatsTracing.StartRoot($"agent_{agent}", job.TraceId, job.ParentSpanId);
        MatsTracing.Tag(span, "session.id", job.SessionId);
        MatsTracing.Tag(span, "agent.name", $"mats-{agent}");
        try
        {
            var report = await team.WorkAsync(agent, run, task.Attempt);
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

    /// <summary>The journal of a task: events go to the caller, who also keeps the state.</summary>
    private sealed class StreamJournal(HttpResponse response) : IRunJournal, IDisposable
    {
        private readonly SemaphoreSlim _oneAtATime = new(1);

        public bool IsDurable => false;

        public Task TellAsync(JobRecord job, string type, string message, string source, CancellationToken cancellationToken) =>
            WriteAsync(new() { Event = new() { Type = type, Message = message, Source = source } }, cancellationToken);

        public Task<bool> CheckpointAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken) =>
            Task.FromResult(true);

        public async Task WriteAsync(AgentLine line, CancellationToken cancellationToken)
        {
            await _oneAtATime.WaitAsync(cancellationToken);
            try
            {
                await response.WriteAsync(JsonSerializer.Serialize(line, MatsJson.Default.AgentLine) + "\n", cancellationToken);
                await response.Body.FlushAsync(cancellationToken);
            }
            finally
            {
                _oneAtATime.Release();
            }
        }

        public void Dispose() => _oneAtATime.Dispose();
    }
}
