using System.Text.Json;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>
/// The remediation agent as it works for orchestrators in other processes, in two calls: the first proposes and is remembered here, the
/// second brings the approval of what was proposed. Allow-list, targets, expiry and once-only are this process's own.
/// </summary>
internal sealed class RemoteProposals(RemediationWork work, ProposalStore store, AuditLog audit)
{
    /// <summary>The outcome of a call, as JSON.</summary>
    public async Task<JsonElement> WorkAsync(InvestigationRun run, AgentTask task) => JsonSerializer.SerializeToElement(
        task.Spec is { } spec ? await ProposeAsync(run, spec) : await CarryOutAsync(run, task.Reply),
        RemediationJson.Default.RemediationOutcome);

    /// <summary>Keeps how far a command got; called before it runs and after.</summary>
    public Task SaveAsync(JobRecord job, InvestigationState state, CancellationToken cancellationToken) =>
        state.Remediation is { } proposal ? store.SaveAsync(job.Id, proposal, null, cancellationToken) : Task.CompletedTask;

    private async Task<RemediationOutcome> ProposeAsync(InvestigationRun run, Rca.RemediationSpec spec)
    {
        run.State.Remediation = null;
        var outcome = await work.ProposeAsync(run, spec);
        if (outcome is { Status: "WAITING_FOR_USER", State: { } proposal })
        {
            await store.KeepAsync(run.Job.Id, proposal, run.Stop);
        }

        return outcome;
    }

    private async Task<RemediationOutcome> CarryOutAsync(InvestigationRun run, Reply? reply)
    {
        if (reply is not { Action: "approve" })
        {
            return new("FAILURE", "The command was not approved. Nothing was changed.", null);
        }

        var claim = await store.ClaimAsync(run.Job.Id, reply.CommandHash, reply.UserEmail, run.Now, run.Stop);
        if (claim.Proposal is not { } proposal)
        {
            return claim.Outcome ?? new("FAILURE", claim.Refusal!, null);
        }

        var outcome = await work.CarryOutAsync(
            run, await audit.ApproveAsync(run.Job.Id, proposal, reply.UserEmail, run.Now, CancellationToken.None));
        var state = outcome.State!;
        await store.SaveAsync(run.Job.Id, state, outcome, CancellationToken.None);
        await audit.WriteAsync(run.Job.Id, reply.UserEmail, $"remediation {outcome.Status}", state, run.Now, CancellationToken.None);
        return outcome;
    }
}
