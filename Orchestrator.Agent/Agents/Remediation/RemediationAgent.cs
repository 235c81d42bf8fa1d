using System.Globalization;
using System.Text;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>
/// Carries out the fix of an RCA, if it may. What touches the systems (1, 3 and 4) is done in this process, or in the one that
/// <c>REMEDIATION_AGENT_URL</c> names; asking for the approval and the report are always done here.
/// </summary>
/// <remarks>
/// 1. PRE_VERIFY: the target must be allowed; a service that is already well ends it.
/// 2. APPROVE: the command, its dry run and its way back are shown; the job waits for an approval of exactly this command.
/// 3. APPLY_FIX: the approval is on record, then the approved vector runs once, without a shell.
/// 4. POST_VERIFY: the validation query must keep its threshold; else the rollback runs, and it counts as a failure.
/// 5. DOCUMENT: a report and an audit entry; also when the budget runs out in any phase, or something fails that should not. Of a job that
/// its user cancels while a command runs, the entry of the approval is what remains.
/// </remarks>
internal sealed class RemediationAgent(
    RemediationWork work, RemoteRemediation remote, RcaStore store, SessionStore sessions, AuditLog audit, AccessPolicy policy)
{
    public const string Name = "mats-remediation-agent";

    /// <summary>The result of a remediation request: waiting for approval, done, or why not.</summary>
    public async Task<JobResult> RunAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("delegate_remediation", MatsTracing.Agent, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.role", "remediation");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        JobResult result;
        try
        {
            result = run.State.Remediation is { } proposed && run.Job.Reply is { } reply
                ? await AnswerAsync(run, proposed, reply) : await ProposeAsync(run);
        }
        catch (Exception e) when (!run.Lifetime.IsCancellationRequested && run.Budget.Limit(e) is { } limit)
        {
            result = await EndEarlyAsync(run, "PARTIAL", limit);
        }
        catch (Exception e) when (run.State.Remediation is not null
            && e is not (OperationCanceledException or LeaseLostException or Npgsql.NpgsqlException))
        {
            ErrorCode.Internal.Recover(run.State, e.Message);
            result = await EndEarlyAsync(run, "FAILURE", $"E000: {e.Message}");
        }

        MatsTracing.Output(span, result.Response ?? result.Status, "text/plain");
        return result;
    }

    private async Task<JobResult> ProposeAsync(InvestigationRun run)
    {
        var session = await sessions.FindAsync(run.Job.UserEmail, run.Job.SessionId, run.Stop);
        var spec = RemediationText.Parse(run.Job.Request.Text) ?? session?.ArchitectOutput?.RcaContent?.RemediationSpec;
        if (spec is null)
        {
            return Ended(run, "FAILURE", "No Active Investigation Found");
        }

        run.State.Project ??= run.Job.Request.Project ?? session?.Project;
        run.State.RcaUrl = session?.RcaUrl;
        if (string.IsNullOrWhiteSpace(spec.RemediationCommand))
        {
            var plan = string.Join("\n", session?.ArchitectOutput?.Recommendations.Select(step => $"- {step}") ?? []);
            return Ended(run, "MANUAL_INTERVENTION", $"The RCA holds no command that could run. What a person should do:\n{plan}");
        }

        // 1. PRE_VERIFY
        var outcome = remote.IsConfigured ? await remote.ProposeAsync(run, spec) : await work.ProposeAsync(run, spec);
        if (outcome.State is not { } state)
        {
            return Ended(run, outcome.Status, outcome.Response);
        }

        run.State.Remediation = state;
        if (outcome.Status != "WAITING_FOR_USER")
        {
            return await DocumentAsync(run, outcome.Status, outcome.Response);
        }

        // 2. APPROVE
        await run.SaveAsync();
        var need = $"{RemediationState.ApprovalNeed}{state.CommandHash} until {state.ExpiresAt:yyyy-MM-ddTHH:mm:ssZ}";
        return JobResults.Waiting(
            run.State, run.Job,
            $"This command would run:\n\n    {string.Join(' ', state.Command)}\n\nDry run: {state.DryRun}\n\nRollback: " +
            $"{(state.Rollback is null ? "none" : string.Join(' ', state.Rollback))}",
            [new(1, "Approve the command with command_hash", need)],
            $"POST /jobs/{run.Job.Id}/approve with this command_hash runs it, POST /jobs/{run.Job.Id}/reject does not.") with
        {
            Remediation = state,
            Orchestrator = new(Name),
        };
    }

    /// <summary>
    /// From the user's answer to the report. A run that is taken up again goes on after the last phase it finished: no command runs twice.
    /// </summary>
    private async Task<JobResult> AnswerAsync(InvestigationRun run, RemediationState state, Reply reply)
    {
        // An agent in another process knows by itself what it ran, and does not run it again.
        if (state.Executing is { } interrupted && !remote.IsConfigured)
        {
            return await DocumentAsync(
                run, "FAILURE", $"The service stopped while the command of {interrupted} ran. Its outcome is unknown, and it is not " +
                    $"run again.");
        }

        if (state.OutcomeOf("APPROVE") is null)
        {
            if (Refusal(state, reply) is { } refusal)
            {
                run.State.Remediation = state.With("APPROVE", reply.Action == Reply.Expire ? "EXPIRED" : "REFUSED", refusal, run.Now);
                return await DocumentAsync(run, "FAILURE", $"{refusal} Nothing was changed.");
            }

            state = await audit.ApproveAsync(run.Job.Id, state, reply.UserEmail, run.Now, run.Lifetime);
        }

        // 3. APPLY_FIX and 4. POST_VERIFY
        var outcome = remote.IsConfigured ? await remote.CarryOutAsync(run, state) : await work.CarryOutAsync(run, state);
        return await DocumentAsync(run, outcome.Status, outcome.Response);
    }

    private string? Refusal(RemediationState state, Reply reply) => reply switch
    {
        { Action: Reply.Expire } => $"The approval expired at {state.ExpiresAt:yyyy-MM-ddTHH:mm:ssZ}: nobody approved the command in time.",
        { Action: not "approve" } => "The command was not approved.",

        // Whatever the route saw when it took the answer: the role counts where the command is released.
        _ when policy.Refusal(reply.UserEmail, AccessPolicy.Remediate) is { } refusal => $"{refusal}.",
        { CommandHash: var hash } when !string.Equals(hash, state.CommandHash, StringComparison.Ordinal) =>
            "The approval is not for this command: its command_hash differs.",
        { Time: var time } when time > state.ExpiresAt => "The approval came too late.",
        _ => null,
    };

    /// <summary>Ends a remediation in the middle of a phase, with its report as far as it got.</summary>
    private async Task<JobResult> EndEarlyAsync(InvestigationRun run, string status, string reason)
    {
        if (run.State.Remediation is not { } state)
        {
            run.State.Limit($"The remediation ended before a command was proposed: {reason}");
            return Ended(run, status, $"{reason} No command was proposed, and nothing was changed.");
        }

        run.State.Limit($"The remediation ended in {state.Next}: {reason}");
        var outcome = state.Executing is not null ? "The outcome of its command is unknown, and it is not run again."
            : state.OutcomeOf("APPLY_FIX") is null ? "Nothing was changed." : "What its command changed was not verified.";
        run.State.Remediation = state.With(state.Next, "UNFINISHED", reason, run.Now);
        await run.TellAsync("ERROR", $"{state.Next} was not finished: {reason}", Name);
        return await DocumentAsync(run, status, $"{reason} {outcome}");
    }

    private async Task<JobResult> DocumentAsync(InvestigationRun run, string status, string response)
    {
        var state = run.State.Remediation!;
        var report = new StringBuilder(
            $"# Remediation report\n\nStatus: {status}\n\n{response}\n\nCommand: `{string.Join(' ', state.Command)}`\n\nApproved by: " +
            $"{state.ApprovedBy ?? "nobody"}\n\n");
        foreach (var step in state.Steps)
        {
            report.AppendLine(
                CultureInfo.InvariantCulture,
                $"- {step.Timestamp:yyyy-MM-ddTHH:mm:ssZ} {step.Phase}: {step.Outcome} ({step.Detail.ReplaceLineEndings(" ")})");
        }

        foreach (var limitation in run.State.Limitations)
        {
            report.AppendLine(CultureInfo.InvariantCulture, $"- Limitation: {limitation.ReplaceLineEndings(" ")}");
        }

        // Under the run's lifetime: the report is written also when the working time is spent.
        var path = await store.PutReportAsync(run.Job.Id, run.Job.SessionId, report.ToString(), run.Lifetime);
        run.State.Remediation = state.With("DOCUMENT", "SUCCESS", path, run.Now) with
        {
            ReportUrl = await store.LinkAsync(path, run.Lifetime),
        };
        await audit.WriteAsync(
            run.Job.Id, state.ApprovedBy ?? run.Job.Reply?.UserEmail ?? run.Job.UserEmail, $"remediation {status}", run.State.Remediation,
            run.Now, run.Lifetime);
        await run.TellAsync("INFO", $"Remediation {status}: {response}", Name);
        return Ended(run, status, response);
    }

    private static JobResult Ended(InvestigationRun run, string status, string response) => new(status)
    {
        SessionId = run.Job.SessionId,
        TraceId = run.Job.TraceId,
        Orchestrator = new(Name),
        Response = response,
        Error = status is "FAILURE" or "PARTIAL" ? response : null,
        RcaUrl = run.State.RcaUrl,
        Remediation = run.State.Remediation,
        ExecutionTrace = [.. run.State.ExecutionTrace],
        Warnings = [.. run.State.Warnings],
        Limitations = [.. run.State.Limitations],
        ToolCalls = run.State.TotalToolCalls,
    };
}
