using System.Text.Json;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>Work that an orchestrator hands to an agent in another process: the job and all that is known of it so far.</summary>
/// <param name="Attempt">How often this agent was asked before in this job.</param>
internal sealed record AgentTask(
    Guid JobId, DateTimeOffset CreatedAt, string UserEmail, string SessionId, TroubleshootRequest Request, Reply? Reply,
    InvestigationState State, int Attempt)
{
    /// <summary>Set when the remediation agent is to propose a command; absent when it is to carry out the one it proposed.</summary>
    public Rca.RemediationSpec? Spec { get; init; }

    /// <summary>What is missing of a task that came from outside; null when it is whole.</summary>
    public string? Fault() =>
        this is { UserEmail: not null, SessionId: not null, Request: not null, State: { Workflow.PhaseTransitions: not null } state }
            && state is { Blockers: not null, Warnings: not null, Limitations: not null, ExecutionTrace: not null, ModelUse: not null }
            && state is { RetryAttempts: not null, ConfidenceScores: not null, Asked: not null }
            ? null : "task must hold user_email, session_id, request and a whole state";

    public static AgentTask Of(InvestigationRun run, int attempt) => new(
        run.Job.Id, run.Job.CreatedAt, run.Job.UserEmail, run.Job.SessionId, run.Job.Request, run.Job.Reply, run.State, attempt);
}

/// <summary>One line of the answer to a task: events as they happen, and one last line with the outcome.</summary>
internal sealed record AgentLine
{
    public JobEventRequest? Event { get; init; }
    public AgentOutcome? Outcome { get; init; }
    public AgentFailure? Failure { get; init; }
}

/// <param name="Report">The agent's report, by its own schema.</param>
/// <param name="State">The task's state with what the agent added.</param>
internal sealed record AgentOutcome(JsonElement Report, InvestigationState State);

/// <summary>Why there is no report.</summary>
/// <param name="Denied">True when the telemetry was refused: waiting does not help.</param>
/// <param name="Telemetry">True when the telemetry could not be read; false for any other failure.</param>
internal sealed record AgentFailure(string Reason, bool Denied, bool Telemetry);
