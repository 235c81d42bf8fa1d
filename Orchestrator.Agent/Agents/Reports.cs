using System.Text.Json.Serialization;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Evidence;
using CitedEvidence = Orchestrator.Agent.Evidence.Evidence;

namespace Orchestrator.Agent.Agents;

/// <summary>One record of Phoenix.Service that proves a claim, as results and RCA documents carry it.</summary>
/// <param name="Kind"><c>span</c>, <c>log</c> or <c>metric</c>.</param>
/// <param name="SeriesId">Decimal text: a 64-bit id does not survive a JSON number in every client.</param>
internal sealed record EvidenceRef(
    string Kind, string Claim, string Service, string? TraceId, string? SpanId, long? RecordId, string? SeriesId, long? TimeNs,
    DateTimeOffset? Time,
    string? Metric, double? Value, string? Quote)
{
    /// <summary>The same citation in the form of agents and documents.</summary>
    public static EvidenceRef From(CitedEvidence e) => new(
        e.Kind, e.Claim, e.Service, e.TraceId, e.SpanId, e.RecordId,
        e.SeriesId?.ToString(System.Globalization.CultureInfo.InvariantCulture), e.TimeNanos,
        e.TimeNanos is { } nanos ? Jobs.TimeWindow.Time(nanos) : null, e.Metric, e.Value, e.Quote);

    /// <summary>Names the record alone: two claims about one record share it.</summary>
    [JsonIgnore]
    public string Key => $"{Kind}:{TraceId}:{SpanId}:{RecordId}:{SeriesId}:{(Kind == "metric" ? TimeNs : null)}";
}

/// <summary>A ranked hypothesis as results carry it (<c>root_causes[]</c>).</summary>
internal sealed record RankedCause(
    string Service, string FaultType, FaultLocation Location, double Confidence, IReadOnlyList<EvidenceRef> Evidence)
{
    /// <summary>The change that is blamed; null when none is.</summary>
    public BlamedChange? Change { get; init; }

    /// <summary>How to see that it is over; null when no number shows it.</summary>
    public RecoveryMeasure? Recovery { get; init; }

    public static RankedCause From(RootCause cause) =>
        new(cause.Service, cause.FaultType, cause.Location, cause.Confidence, [.. cause.Evidence.Select(EvidenceRef.From)]);
}

/// <summary>What somebody changed, as its change event tells it.</summary>
internal sealed record BlamedChange(string Id, string Type, string Target, string Field, string Before, string After);

/// <summary>What the triage found in the telemetry of one window.</summary>
/// <param name="Status">SUCCESS, PARTIAL, FAILURE or WAITING_FOR_APPROVAL.</param>
/// <param name="Confidence">0..1; null counts as 0.</param>
internal sealed record SreReport(
    string Status, double? Confidence, SreEvidence Evidence, bool RootCauseFound, string? IncidentTimestamp, string? ServiceName,
    IReadOnlyList<string> Blockers, IReadOnlyList<string> Recommendations, IReadOnlyList<PendingStep> PendingSteps,
    IReadOnlyList<RankedCause> Hypotheses)
{
    public string? Timestamp => Evidence.Timestamp;
    public string? ErrorSignature => Evidence.ErrorSignature;
    public string? StackTrace => Evidence.StackTrace;
    public string? VersionSha => Evidence.VersionSha;
    public IReadOnlyList<string> MetricAnomalies => Evidence.MetricAnomalies;

    /// <summary>What the engine's comparison came to: healthy, incident or no_data.</summary>
    public string Verdict { get; init; } = "incident";
}

/// <summary>The facts under a triage report, each taken from a record.</summary>
internal sealed record SreEvidence(
    string? Timestamp, string? ErrorSignature, string? StackTrace, string? VersionSha, IReadOnlyList<string> MetricAnomalies,
    IReadOnlyList<string> RawLogSamples, IReadOnlyList<string> CorrelatedEvents, BlastRadius? BlastRadius);

/// <summary>Who was hit: counted over the request roots of the window.</summary>
internal sealed record BlastRadius(
    int Requests, int FailedRequests, int AffectedTraces, IReadOnlyList<string> Services, double ErrorRatePercent, double LatencyIncreaseMs,
    string Pattern);

/// <summary>Something the investigation cannot do or know without the user.</summary>
internal sealed record PendingStep(int StepId, string Description, string Needs);

/// <summary>What reading the code came to.</summary>
/// <param name="Status">ROOT_CAUSE_FOUND, HYPOTHESIS, INSUFFICIENT_DATA or SKIPPED.</param>
internal sealed record InvestigatorReport(
    string Status, double? Confidence, CodeRootCause? RootCause, IReadOnlyList<string> DependencyChain, string? Hypothesis,
    string? SuggestedFix,
    IReadOnlyList<string> Blockers, IReadOnlyList<string> Recommendations)
{
    public static InvestigatorReport Skipped(string hypothesis, double confidence) => new(
        "SKIPPED", confidence, null, [], hypothesis, null, [], []);
}

/// <summary>A place in the code.</summary>
/// <param name="DefectType">One of the nine of <see cref="DefectTypes"/>.</param>
internal sealed record CodeRootCause(string File, int Line, string Function, string DefectType, string Evidence, string? Explanation);

/// <summary>The closed list of defect types an Investigator may name.</summary>
internal static class DefectTypes
{
    public static readonly string[] All =
    [
        "null_check", "timeout", "race_condition", "logic_error", "config_error", "resource_exhaustion", "dependency_failure",
        "deployment_regression",
        "permission_error",
    ];
}

/// <summary>The synthesis: the document and what is said about it.</summary>
/// <param name="Status">SUCCESS, PARTIAL or FAILURE.</param>
/// <param name="Severity">P1..P4.</param>
internal sealed record ArchitectReport(
    string Status, double? Confidence, Rca.RcaDocument? RcaContent, string? Markdown, string Severity, IReadOnlyList<string> Limitations,
    IReadOnlyList<string> Recommendations)
{
    public string? RcaUrl { get; init; }
    public string? MarkdownUrl { get; init; }
}

/// <summary>A synthesis and what is wrong with it.</summary>
/// <param name="Unresolved">Cited claims that no record proves.</param>
internal sealed record Synthesis(ArchitectReport Report, int Unresolved);

/// <summary>One line of a result's <c>execution_trace</c>: thought, tool_call, observation or error.</summary>
internal sealed record TraceStep(string Type, string Content, string? Tool = null, string? Args = null);
