using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// The remediation agent of another process: its allow-list counts, and its database remembers what it proposed and ran. It is asked once
/// (a write is never repeated), and what it does not do is done by nobody: a fix that is meant for its machine must not
/// run on this one.
/// </summary>
internal sealed class RemoteRemediation(IOptions<RemoteAgentOptions> options, IOptions<RemediationOptions> remediation, AgentCalls calls)
{
    private static readonly TimeSpan s_timeout = TimeSpan.FromSeconds(600);

    /// <summary>True when <c>REMEDIATION_AGENT_URL</c> is set.</summary>
    public bool IsConfigured => Url is not null;

    private Uri? Url => options.Value.Route(RemoteAgentOptions.Remediation, "execute");

    /// <summary>What it would run; nothing is changed.</summary>
    public async Task<RemediationOutcome> ProposeAsync(InvestigationRun run, RemediationSpec spec)
    {
        var (outcome, fault) = await AskAsync(run, AgentTask.Of(run, 0) with { Spec = spec }, run.Budget.Share(s_timeout));
        if (outcome is null)
        {
            return new("FAILURE", $"The remediation agent of another process made no proposal ({fault}). Nothing was changed.", null);
        }

        var latest = run.Now + remediation.Value.ApprovalLifetime;
        return outcome.State is { } state && state.ExpiresAt > latest
            ? outcome with { State = state with { ExpiresAt = latest } } : outcome;
    }

    /// <summary>Lets it carry out the approved command. A call that breaks off leaves the outcome open, and says so.</summary>
    public async Task<RemediationOutcome> CarryOutAsync(InvestigationRun run, RemediationState state)
    {
        run.State.Remediation = state with { Executing = "APPLY_FIX" };
        await run.SaveAsync();
        var (outcome, fault) = await AskAsync(run, AgentTask.Of(run, 0), s_timeout);
        if (outcome is null)
        {
            return new(
                "FAILURE", $"The remediation agent of another process did not say what became of the command ({fault}). Its outcome is " +
                    "unknown, and it is not run again.", run.State.Remediation);
        }

        if (outcome.State is { } done && done.CommandHash == state.CommandHash)
        {
            run.State.Remediation = done with { Executing = null, ExpiresAt = state.ExpiresAt };
        }

        return outcome;
    }

    private async Task<(RemediationOutcome? Outcome, string? Fault)> AskAsync(
        InvestigationRun run, AgentTask task, TimeSpan timeout)
    {
        run.Budget.Save();
        var body = new RemediationRequest
        {
            SessionId = run.Job.SessionId,
            UserEmail = run.Job.UserEmail,
            Prompt = run.Job.Request.Text,
            Project = run.State.Project,
            Headers = AgentCalls.TraceHeaders(),
            Task = task,
        };
        try
        {
            var answer = await calls.AskAsync(Url!, JsonSerializer.Serialize(body, MatsJson.Default.RemediationRequest), run, timeout);
            var outcome = answer.Report.Deserialize(RemediationJson.Default.RemediationOutcome);
            if (Fault(outcome) is { } fault)
            {
                return (null, $"its report is not valid: {fault}");
            }

            run.State.Take(answer.State);
            return (outcome, null);
        }
        catch (Exception e) when (RemoteAgents.IsFailure(e, run.Stop) || e is PhoenixUnavailableException)
        {
            return (null, e.GetBaseException().Message);
        }
    }

    private static string? Fault(RemediationOutcome? outcome) => outcome switch
    {
        null => "it is empty",
        { Status: not ("WAITING_FOR_USER" or "SUCCESS" or "PARTIAL" or "FAILURE" or "MANUAL_INTERVENTION") } => "status",
        { Response: null } => "response",
        { State: { Command: null or [] } or { CommandHash: null } or { Spec: null } or { Steps: null } } => "state",
        { Status: "WAITING_FOR_USER", State: null } => "state",
        _ => null,
    };
}
