using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Planning;

/// <summary>Decides at intake where a request goes: to the remediation agent, to the operational agent, or into an investigation.</summary>
internal sealed class RequestRouter(RemediationAgent remediation, OperationalAgent operational)
{
    /// <summary>The result of a request that is no investigation, which ends its phases too; null = investigate.</summary>
    public async Task<JobResult?> RouteAsync(InvestigationRun run)
    {
        var result = Intents.Of(run.Job.Request.Text) switch
        {
            Intent.Remediate => await remediation.RunAsync(run),
            Intent.Operate => await operational.RunAsync(run),
            _ => null,
        };
        if (result is not null && result.Status != "WAITING_FOR_USER")
        {
            run.End(result.Status == "FAILURE" ? Phase.Failed : Phase.Completed, $"{result.Orchestrator!.TargetAgent} answered");
        }

        return result;
    }
}
