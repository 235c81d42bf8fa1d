using System.Diagnostics;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// What the phases of one run share: the job, what is known, the budget, and the ways to speak (events), to remember (checkpoints) and to
/// act (tools).
/// </summary>
/// <param name="lifetime">Cancelled when the run must not even speak: shutdown, a lost lease, or the user's cancel.</param>
/// <param name="stop">Cancelled then, and at the end of the working time.</param>
internal sealed class InvestigationRun(
    JobRecord job, InvestigationState state, Budget budget, IRunJournal journal, TimeProvider time, CancellationToken lifetime,
    CancellationToken stop)
{
    private const int MaxThoughtChars = 200;
    private const int MaxObservationChars = 500;
    private const int MaxTraceSteps = 400;
    private readonly List<Activity> _onRecord = [];

    public JobRecord Job => job;
    public InvestigationState State => state;
    public Budget Budget => budget;

    /// <summary>
    /// Cancelled when the run is over: shutdown, a lost lease, or the user's cancel. What is known is told, saved and handed out under it,
    /// also once the working time is spent.
    /// </summary>
    public CancellationToken Lifetime => lifetime;

    /// <summary>Cancelled when work must stop: with <see cref="Lifetime"/>, or at the end of the working time.</summary>
    public CancellationToken Stop => stop;

    public DateTimeOffset Now => time.GetUtcNow();

    /// <summary>Tells everyone who watches the job.</summary>
    public Task TellAsync(string type, string message, string source) =>
        journal.TellAsync(job, type, message, source, lifetime);

    /// <summary>Records a line of reasoning in the trace of the result and tells it.</summary>
    public Task ThinkAsync(string thought, string source)
    {
        AddStep(new("thought", Cut(thought, MaxThoughtChars)));
        Activity.Current?.AddEvent(
            new ActivityEvent("thought", tags: new ActivityTagsCollection { ["reasoning.content"] = Cut(thought, MaxObservationChars) }));
        return TellAsync("THOUGHT", thought, source);
    }

    /// <summary>Moves to a phase that the table allows, and saves everything: a restart goes on from here.</summary>
    public async Task EnterAsync(Phase phase, string reason)
    {
        Move(phase, reason);
        await SaveAsync();
        await TellAsync("SYSTEM", $"Phase {phase.Wire()}: {reason}", "orchestrator");
    }

    /// <summary>
    /// Moves to a last phase. It is saved and told together with the job's end (<see cref="JobStore.FinishAsync"/>), never alone: a run
    /// that is killed in between does the last step again instead of finding an end without its result.
    /// </summary>
    public void End(Phase phase, string reason) => Move(phase, reason);

    /// <summary>Puts an open span on record, so that its children are sent as they end and not only after it.</summary>
    public async Task RecordAsync(Activity? span)
    {
        if (span is null || !journal.IsDurable)
        {
            return;
        }

        _onRecord.Add(span);
        await SaveAsync();
        MatsTracing.SetOnRecord(span);
    }

    /// <summary>Saves what is known.</summary>
    /// <exception cref="LeaseLostException">When another run owns the job, or its user ended it.</exception>
    public async Task SaveAsync()
    {
        budget.Save();
        _onRecord.RemoveAll(MatsTracing.IsStored);
        state.OpenSpans = [.. _onRecord.Select(Describe)];
        if (!await journal.CheckpointAsync(job, state, lifetime))
        {
            throw new LeaseLostException();
        }
    }

    /// <summary>
    /// Makes one tool call: counted against the budget, told as an event, traced as a TOOL span, its outcome in the result's trace.
    /// </summary>
    /// <param name="describe">The outcome in one sentence; it becomes the observation.</param>
    /// <param name="mcpServer">The id of the Model Context Protocol server that is called; null for a tool of this program.</param>
    /// <param name="handsOut">True for a call that only hands out what is known: a spent budget does not refuse it, nor counts it.</param>
    public async Task<T> CallToolAsync<T>(
        string tool, string description, string parameters, string source, Func<CancellationToken, Task<T>> call, Func<T, string> describe,
        string? mcpServer = null, bool handsOut = false)
    {
        if (!handsOut)
        {
            budget.TakeToolCall(tool);
        }

        using var span = MatsTracing.Start(tool, MatsTracing.Tool, job.SessionId);
        MatsTracing.Tag(span, "tool.name", tool);
        MatsTracing.Tag(span, "tool.description", description);
        MatsTracing.Tag(span, "tool.parameters", parameters);
        MatsTracing.Tag(span, "mcp.server_id", mcpServer);
        MatsTracing.Input(span, parameters);
        AddStep(new("tool_call", description, tool, parameters));
        await TellAsync("TOOL_USE", $"{tool} {parameters}", source);
        try
        {
            var result = await call(handsOut ? lifetime : stop);
            var outcome = describe(result);
            MatsTracing.Tag(span, "tool.output", Cut(outcome, MatsTracing.MaxValueChars));
            MatsTracing.Output(span, outcome, "text/plain");
            span?.SetStatus(ActivityStatusCode.Ok);
            AddStep(new("observation", Cut(outcome, MaxObservationChars), tool));
            await TellAsync("OBSERVATION", outcome, source);
            return result;
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            state.FailedCalls++;
            MatsTracing.Fail(span, e);
            AddStep(new("error", Cut(e.Message, MaxObservationChars), tool));
            await TellAsync("ERROR", $"{tool}: {e.Message}", source);
            throw;
        }
    }

    private void Move(Phase phase, string reason)
    {
        JobStates.Require(state.Workflow.CurrentPhase, phase);
        state.Workflow.PhaseTransitions.Add(new(state.Workflow.CurrentPhase, phase, Now, reason));
        state.Workflow.CurrentPhase = phase;
    }

    private static OpenSpan Describe(Activity span) => new(
        span.SpanId.ToHexString(), span.ParentSpanId == default ? null : span.ParentSpanId.ToHexString(), span.OperationName,
        span.GetTagItem("openinference.span.kind") as string ?? MatsTracing.Chain, new DateTimeOffset(span.StartTimeUtc));

    private void AddStep(TraceStep step)
    {
        if (state.ExecutionTrace.Count < MaxTraceSteps)
        {
            state.ExecutionTrace.Add(step);
        }
    }

    private static string Cut(string text, int most) => text.Length <= most ? text : text[..most] + "…";
}

/// <summary>
/// The job is no longer this run's: another replica has it, or its user cancelled it. The run stops and writes nothing more.
/// </summary>
internal sealed class LeaseLostException() : Exception("The job is not held by this run any more.");
