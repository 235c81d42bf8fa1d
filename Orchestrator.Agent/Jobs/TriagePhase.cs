using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Sre;
using Orchestrator.Agent.Planning;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Triage: the SRE, asked again with a longer window while it finds nothing (E001), and what follows from its report.
/// </summary>
internal sealed class TriagePhase(AgentTeam team)
{
    private const int Retries = 3;

    /// <summary>The result of a run that pauses here; null = the next phase was entered.</summary>
    public async Task<JobResult?> RunAsync(InvestigationRun run)
    {
        var state = run.State;
        if (run.Job.Reply is { Action: "reject" } rejected)
        {
            state.SreFindings ??= SreReportWriter.Nothing("The user ended the triage");
            state.Limit($"The user ended the triage{(rejected.Message is null ? "" : $": {rejected.Message}")}");
            return await InconclusiveAsync(run, "the user ended the triage");
        }

        while (true)
        {
            if (await AskAsync(run) is { } paused)
            {
                return paused;
            }

            var report = state.SreFindings!;
            state.ConfidenceScores["sre"] = report.Confidence ?? 0;
            var gate = PhaseSteps.Gate("triage", QualityGates.Triage(report), run);
            var quiet = report.Verdict == "healthy" && WindowChoice.For(run.Job.Request, run.Job.CreatedAt, 0).Searched;
            if (gate.Decision != GateDecision.Retry && !quiet)
            {
                return await LeaveAsync(run, report, gate);
            }

            if (!IsFixed(run.Job.Request) && run.Budget.TryRetry("sre", Retries))
            {
                ErrorCode.NoLogsFound.Recover(state, quiet ? "nothing abnormal in the window" : gate.Reason);
                await run.EnterAsync(Phase.Triage, $"E001: {gate.Reason}; the window is doubled");
                continue;
            }

            return quiet ? await LeaveAsync(run, report, gate) : await InconclusiveAsync(run, gate.Reason);
        }
    }

    /// <summary>One report of the SRE, into the state; a result when only the user can help.</summary>
    private async Task<JobResult?> AskAsync(InvestigationRun run)
    {
        var state = run.State;
        var widening = state.RetryAttempts.GetValueOrDefault("sre");
        try
        {
            state.SreFindings = await PhaseSteps.DelegateAsync(
                "delegate_sre", SreAgent.Name, "triage", run, widening, () => team.TriageAsync(run, widening));
        }
        catch (PhoenixUnavailableException e) when (e.Denied && PhaseSteps.Ask(state, ErrorCode.PermissionDenied))
        {
            ErrorCode.PermissionDenied.Recover(state, e.Message);
            return JobResults.Waiting(
                state, run.Job, ErrorCode.PermissionDenied.UserMessage,
                [new(1, "Read the telemetry of the window", ErrorCode.PermissionDenied.UserMessage)]);
        }
        catch (PhoenixUnavailableException e)
        {
            state.SreFindings = SreReportWriter.Nothing(e.Message);
            state.Block(e.Message);
            state.Limit($"Traces, logs and metrics of the window were not seen: {e.Message}");
        }

        return state.SreFindings.Status == "WAITING_FOR_APPROVAL"
            ? JobResults.Waiting(state, run.Job, "The triage needs your approval for further steps.", state.SreFindings.PendingSteps)
            : null;
    }

    private static async Task<JobResult?> LeaveAsync(InvestigationRun run, SreReport report, GateResult gate)
    {
        var state = run.State;
        if (gate.Decision == GateDecision.Fail)
        {
            if (report.Blockers.FirstOrDefault(IsInfrastructure) is not { } blocker)
            {
                return await InconclusiveAsync(run, gate.Reason);
            }

            state.InvestigatorFindings = InvestigatorReport.Skipped($"Service blocked by Infrastructure/Auth: {blocker}", 1.0);
            await run.EnterAsync(Phase.Synthesis, "an infrastructure blocker explains the failure");
            return null;
        }

        if (report.Verdict == "healthy" || report.RootCauseFound)
        {
            state.InvestigatorFindings = InvestigatorReport.Skipped(
                report.Verdict == "healthy" ? "Nothing abnormal to explain" : "The triage proved the cause outside the code", 1.0);
            await run.EnterAsync(Phase.Synthesis, state.InvestigatorFindings.Hypothesis!);
            return null;
        }

        await run.EnterAsync(Phase.CodeAnalysis, "the triage passed");
        return null;
    }

    /// <summary>The triage came to no conclusion: an RCA is written all the same, saying so.</summary>
    private static async Task<JobResult?> InconclusiveAsync(InvestigationRun run, string reason)
    {
        run.State.InvestigatorFindings = InvestigatorReport.Skipped($"Triage Incomplete/Inconclusive: {reason}", 0.5);
        await run.EnterAsync(Phase.Synthesis, $"inconclusive: {reason}");
        return null;
    }

    /// <summary>A window the user fixed is not widened: another time would answer another question.</summary>
    private static bool IsFixed(Api.TroubleshootRequest request) => !WindowChoice.For(request, DateTimeOffset.UnixEpoch, 0).Searched;

    private static bool IsInfrastructure(string blocker) => IssueTaxonomy.HasWord(
        blocker, "authentication", "permission", "access", "role", "limit", "quota", "iam", "policy", "forbidden", "403");
}
