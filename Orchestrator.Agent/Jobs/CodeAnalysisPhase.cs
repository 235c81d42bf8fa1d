using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Architect;
using Orchestrator.Agent.Agents.Investigator;

namespace Orchestrator.Agent.Jobs;

/// <summary>Code analysis: the Investigator, asked once more when it had too little data; a sure triage stands without it.</summary>
internal sealed class CodeAnalysisPhase(AgentTeam team)
{
    private const int Retries = 1;

    /// <summary>The result of a run that pauses or ends here; null = the next phase was entered.</summary>
    public async Task<JobResult?> RunAsync(InvestigationRun run)
    {
        var state = run.State;
        while (true)
        {
            var attempt = state.RetryAttempts.GetValueOrDefault("investigator");
            var report = await PhaseSteps.DelegateAsync(
                "delegate_investigator", InvestigatorAgent.Name, "code_analysis", run, attempt, () => team.AnalyzeAsync(run, attempt));
            state.InvestigatorFindings = report;
            if (NeedsRepository(run, report) && PhaseSteps.Ask(state, ErrorCode.RepoNotAccessible))
            {
                ErrorCode.RepoNotAccessible.Recover(state, report.Blockers[0]);
                return JobResults.Waiting(
                    state, run.Job, ErrorCode.RepoNotAccessible.UserMessage,
                    [new(1, "Read the code of the blamed service", report.Blockers[0])]);
            }

            state.ConfidenceScores["investigator"] = report.Confidence ?? 0;
            var gate = PhaseSteps.Gate("analysis", QualityGates.Analysis(report), run);
            if (gate.Decision == GateDecision.Retry && run.Budget.TryRetry("investigator", Retries))
            {
                await run.EnterAsync(Phase.CodeAnalysis, gate.Reason);
                continue;
            }

            return await LeaveAsync(run, gate);
        }
    }

    private static async Task<JobResult?> LeaveAsync(InvestigationRun run, GateResult gate)
    {
        var state = run.State;
        if (gate.Decision == GateDecision.Pass)
        {
            await run.EnterAsync(Phase.Synthesis, "the code analysis passed");
            return null;
        }

        if (state.SreFindings?.Confidence > Confidence.SreAlone)
        {
            state.Warn(gate.Reason);
            await run.EnterAsync(Phase.Synthesis, "the triage alone is sure enough");
            return null;
        }

        ErrorCode.LowConfidence.Recover(state, gate.Reason);
        state.Block($"E006: {gate.Reason}");
        run.End(Phase.Completed, gate.Reason);
        return JobResults.Partial(state, run.Job, gate.Reason);
    }

    private static bool NeedsRepository(InvestigationRun run, InvestigatorReport report) =>
        report.Status == "INSUFFICIENT_DATA" && run.State.RepoUrl is not null && run.Job.Reply?.Action != "reject"
        && report.Recommendations.Contains(ErrorCode.RepoNotAccessible.UserMessage);
}
