using System.Diagnostics;
using System.Text.Json;
using Orchestrator.Agent.Planning;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Jobs;

/// <summary>One investigation from request to published RCA.</summary>
/// <remarks>
/// 1. Intake: decide what the request is; a run that goes on after a pause or a restart skips what is already known.
/// 2. Plan, and gate the plan.
/// 3. Triage: the SRE compares the window with its baseline; the gate asks again with a longer window (E001), or stops at a blocker.
/// 4. Code analysis: the Investigator, unless the triage already proved a cause outside the code.
/// 5. Synthesis: the Architect verifies every claim and writes the RCA; the gate lets nothing unproven pass.
/// 6. Publish: store the RCA, sign its links.
/// 7. Complete: the result.
/// Each phase is saved when it is entered. Running out of budget ends in a partial result from what is known.
/// </remarks>
internal sealed class Investigation(
    RequestRouter router, Planner planner, TriagePhase triage, CodeAnalysisPhase code, SynthesisPhase synthesis, PublishPhase publish)
{
    public async Task<JobResult> RunAsync(InvestigationRun run)
    {
        using var span = MatsTracing.StartRoot(MatsTracing.RootName, run.Job.TraceId, run.Job.ParentSpanId);
        Describe(span, run);
        try
        {
            await run.RecordAsync(span);
            return Finish(span, run, await FlowAsync(run));
        }
        catch (Exception e) when (run.Budget.Limit(e) is { } limit)
        {
            return Finish(span, run, OutOfBudget(run, limit));
        }
        catch (Exception e) when (e is LeaseLostException or Npgsql.NpgsqlException
            || (e is OperationCanceledException && run.Lifetime.IsCancellationRequested))
        {
            span?.SetStatus(ActivityStatusCode.Error,
                "This run was interrupted; the job goes on in another, unless its user cancelled it.");
            throw;
        }
        catch (Exception e)
        {
            MatsTracing.Fail(span, e);
            ErrorCode.Internal.Recover(run.State, e.Message);
            return Finish(span, run, JobResults.Fail(run, $"E000: {e.Message}"));
        }
        finally
        {
            run.Budget.Save();
        }
    }

    private async Task<JobResult> FlowAsync(InvestigationRun run)
    {
        var state = run.State;

        // 1. Intake.
        state.StartedAt ??= run.Now;
        UserReply.Apply(run.Job, state);
        if (state.Workflow.CurrentPhase == Phase.Intake)
        {
            if (await router.RouteAsync(run) is { } elsewhere)
            {
                return elsewhere;
            }

            await run.EnterAsync(Phase.Planning, "new investigation");
        }

        // 2. Plan.
        if (state.Workflow.CurrentPhase == Phase.Planning)
        {
            state.Plan = await planner.PlanAsync(run);
            var gate = PhaseSteps.Gate("planning", QualityGates.Planning(state.Plan), run);
            if (gate.Decision != GateDecision.Pass)
            {
                return JobResults.Fail(run, gate.Reason);
            }

            await run.EnterAsync(Phase.Triage, "the plan passed");
        }

        // 3. Triage.
        if (state.Workflow.CurrentPhase == Phase.Triage && await triage.RunAsync(run) is { } paused)
        {
            return paused;
        }

        // 4. Code analysis.
        if (state.Workflow.CurrentPhase == Phase.CodeAnalysis && await code.RunAsync(run) is { } ended)
        {
            return ended;
        }

        // 5. Synthesis.
        if (state.Workflow.CurrentPhase == Phase.Synthesis && await synthesis.RunAsync(run) is { } failed)
        {
            return failed;
        }

        // 6. Publish.
        await publish.RunAsync(run);

        // 7. Complete.
        return JobResults.Complete(state, run.Job);
    }

    private static JobResult OutOfBudget(InvestigationRun run, string reason)
    {
        run.State.Warn(reason);
        var usable = run.State.SreFindings?.Hypotheses.Count > 0;
        run.End(usable ? Phase.Completed : Phase.Failed, reason);
        return usable ? JobResults.Partial(run.State, run.Job, reason) : JobResults.Failure(run.State, run.Job, reason);
    }

    private static void Describe(Activity? span, InvestigationRun run)
    {
        MatsTracing.Tag(span, "session.id", run.Job.SessionId);
        MatsTracing.Tag(span, "user.id", run.Job.UserEmail);
        MatsTracing.Tag(span, "user_id", run.Job.UserEmail);
        MatsTracing.Tag(span, "agent.name", "mats-orchestrator");
        MatsTracing.Tag(span, "workflow.name", "mats-investigation");
        MatsTracing.Tag(span, "incident.id", run.Job.Id.ToString());
        MatsTracing.Tag(span, "target.service_id", run.Job.Request.Service ?? run.Job.Request.Project);
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
    }

    private static JobResult Finish(Activity? span, InvestigationRun run, JobResult result)
    {
        MatsTracing.Tag(span, "rca.status", result.Status switch { "SUCCESS" => "Success", "FAILURE" => "Failure", _ => "Partial" });
        MatsTracing.Tag(span, "evaluation.score", result.Confidence ?? 0);
        MatsTracing.Tag(span, "tool_calls", run.State.TotalToolCalls);
        MatsTracing.Output(span, JsonSerializer.Serialize(
            result with { ExecutionTrace = null, RcaContent = null, SreFindings = null, InvestigatorFindings = null },
            MatsJson.Default.JobResult));
        span?.SetStatus(
            result.Status == "FAILURE" ? ActivityStatusCode.Error : ActivityStatusCode.Ok,
            result.Status == "FAILURE" ? result.Error : null);
        return result;
    }
}
