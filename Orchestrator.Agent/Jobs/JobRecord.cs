using System.Text.Json;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Api;

namespace Orchestrator.Agent.Jobs;

/// <summary>One row of <c>mats.jobs</c>. <see cref="State"/> is only loaded for the replica that runs the job.</summary>
internal sealed record JobRecord(
    Guid Id, long ChannelId, JobStatus Status, Phase Phase, DateTimeOffset CreatedAt, DateTimeOffset UpdatedAt, DateTimeOffset? CompletedAt,
    string UserEmail,
    string SessionId, string TraceId, string? ParentSpanId, string? RequestId, TroubleshootRequest Request,
    IReadOnlyList<PendingStep> PendingSteps,
    Reply? Reply, JsonElement? Result, string? Error)
{
    /// <summary>Fences the writes of this run: a later claim raises it.</summary>
    public long LeaseToken { get; init; }

    public InvestigationState? State { get; init; }

    /// <summary>True while the job waits for the approval of a command.</summary>
    public bool Remediates => PendingSteps.Any(
        step => step.Needs.StartsWith(Agents.Remediation.RemediationState.ApprovalNeed, StringComparison.Ordinal));
}

/// <summary>What the user answered to a waiting job.</summary>
/// <param name="Action">resume, approve or reject; or <see cref="Expire"/>.</param>
internal sealed record Reply(
    string Action, string? Message, string? ProjectId, IReadOnlyList<int>? StepIds, string? CommandHash, string UserEmail,
    DateTimeOffset Time)
{
    /// <summary>The answer that the clock gives when nobody else does in time.</summary>
    public const string Expire = "expire";
}

/// <summary>What a finished or paused run hands out (docs/troubleshooting-api.md).</summary>
internal sealed record JobResult(string Status)
{
    public string? SessionId { get; init; }
    public string? Verdict { get; init; }
    public string? Response { get; init; }
    public double? Confidence { get; init; }
    public IReadOnlyList<RankedCause>? RootCauses { get; init; }
    public string? RcaUrl { get; init; }
    public string? RcaMarkdownUrl { get; init; }
    public Rca.RcaDocument? RcaContent { get; init; }
    public string? Severity { get; init; }
    public SreReport? SreFindings { get; init; }
    public InvestigatorReport? InvestigatorFindings { get; init; }
    public IReadOnlyList<PendingStep>? PendingSteps { get; init; }
    public IReadOnlyList<string>? Warnings { get; init; }
    public IReadOnlyList<string>? Limitations { get; init; }
    public IReadOnlyList<string>? Recommendations { get; init; }
    public IReadOnlyList<TraceStep>? ExecutionTrace { get; init; }
    public string? TraceId { get; init; }
    public string? Project { get; init; }
    public TimeWindow? Window { get; init; }
    public TimeWindow? Baseline { get; init; }
    public string? Error { get; init; }
    public JobRouting? Orchestrator { get; init; }

    /// <summary>What an operational agent answered beside its text.</summary>
    public JsonElement? Data { get; init; }
    public Agents.Remediation.RemediationState? Remediation { get; init; }
    public ModelUse? ModelUse { get; init; }
    public int? ToolCalls { get; init; }
}

/// <param name="TargetAgent">Which agent an operational or remediation request went to.</param>
internal sealed record JobRouting(string TargetAgent);
