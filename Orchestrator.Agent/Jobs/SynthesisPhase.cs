using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Architect;

namespace Orchestrator.Agent.Jobs;

/// <summary>Synthesis: the Architect, asked once more when its RCA does not pass. Nothing unproven leaves this phase as an RCA.</summary>
internal sealed class SynthesisPhase(AgentTeam team)
{
    private const int Retries = 1;

    /// <summary>The result of a run that ends here; null = the next phase was entered.</summary>
    public async Task<JobResult?> RunAsync(InvestigationRun run)
    {
        var state = run.State;
        if (Confidence.Overall(state) < Confidence.Threshold)
        {
            ErrorCode.LowConfidence.Recover(state);
        }

        while (true)
        {
            var attempt = state.RetryAttempts.GetValueOrDefault("architect");
            var (report, unresolved) = await PhaseSteps.DelegateAsync(
                "delegate_architect", ArchitectAgent.Name, "synthesis", run, attempt, () => team.SynthesizeAsync(run, attempt));
            state.ArchitectOutput = report;
            state.ConfidenceScores["architect"] = report.Confidence ?? 0;
            var gate = PhaseSteps.Gate("synthesis", QualityGates.Synthesis(report, unresolved), run);
            switch (gate.Decision)
            {
                case GateDecision.Pass:
                    await run.EnterAsync(Phase.Publish, "every claim of the RCA resolves");
                    return null;
                case GateDecision.Retry when run.Budget.TryRetry("architect", Retries):
                    await run.EnterAsync(Phase.Synthesis, gate.Reason);
                    continue;
                default:
                    return report.RcaContent is null || state.SreFindings is null
                        ? JobResults.Fail(run, gate.Reason) : Unproven(run, gate.Reason);
            }
        }
    }

    /// <summary>The records could not be asked: what was found is handed out, but not as an RCA.</summary>
    private static JobResult Unproven(InvestigationRun run, string reason)
    {
        run.State.ArchitectOutput = null;
        run.End(Phase.Completed, reason);
        return JobResults.Partial(run.State, run.Job, reason);
    }
}
