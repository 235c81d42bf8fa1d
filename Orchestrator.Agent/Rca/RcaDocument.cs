using Orchestrator.Agent.Agents;

namespace Orchestrator.Agent.Rca;

/// <summary>The root-cause analysis, template RCA-Template-V1; every list is present even when empty.</summary>
internal sealed record RcaDocument(
    RcaDocs Docs, RcaMetadata Metadata, ExecutiveSummary ExecutiveSummary, ImpactAnalysis ImpactAndScopeAnalysis,
    Timeline AutonomousTroubleshootingTimelineUtc, FiveWhys RootCauseAnalysis5Whys, TechnicalEvidence TechnicalEvidenceAndLogs,
    Fixes AutonomousMitigationVsPermanentFixes, ConfidenceReasoning AgentConfidenceScoreAndReasoning, RemediationSpec RemediationSpec)
{
    /// <summary>The ranked hypotheses that the rest of the document explains; empty when nothing was wrong.</summary>
    public IReadOnlyList<RankedCause> RootCauses { get; init; } = [];
}

internal sealed record RcaDocs(string Title, string Description);

internal sealed record RcaMetadata(
    string IncidentId, string PrimarySystem, string DetectionSource, string AgentVersion, string Status, string Severity);

/// <summary>Fewer than 150 words: the trigger and the way out; the first sentence free of jargon.</summary>
internal sealed record ExecutiveSummary(string SummaryText);

/// <param name="LatencyImpactMs">Increase of the 99th percentile of request time against the baseline, in ms.</param>
internal sealed record ImpactAnalysis(
    IReadOnlyList<string> ServicesAffected, double ErrorRatePeakPercentage, double LatencyImpactMs,
    IReadOnlyList<string> CloudResourcesAffected,
    int UserImpactFailedRequestsCount);

internal sealed record Timeline(IReadOnlyList<TimelineEvent> TimelineEvents);

internal sealed record TimelineEvent(string Timestamp, string EventAction, string SourceComponent);

internal sealed record FiveWhys(
    string DirectSymptom, string ImmediateCause, string ContributoryFactor, string UnderlyingProcessGap, string RootCause);

internal sealed record TechnicalEvidence(
    IReadOnlyList<string> LogSnippets, IReadOnlyList<string> TraceIds, string? InfrastructureDiff, IReadOnlyList<EvidenceRef> EvidenceRefs);

internal sealed record Fixes(IReadOnlyList<string> AgentMitigationActions, PermanentActions RecommendedPermanentActions);

internal sealed record PermanentActions(
    IReadOnlyList<string> Infrastructure, IReadOnlyList<string> Application, IReadOnlyList<string> Monitoring);

/// <param name="ConfidenceScorePercentage">0..100; below 80 the unknowns must be listed.</param>
internal sealed record ConfidenceReasoning(int ConfidenceScorePercentage, IReadOnlyList<string> UnknownsAssumptions);

/// <summary>What would put it right and how to see that it helped.</summary>
/// <param name="RemediationCommand">A command of the allow-list, which runs only after its approval; empty where none can be
/// proposed.</param>
internal sealed record RemediationSpec(
    string? TargetUrl, string? ReproductionScenario, string? RemediationCommand, string? ValidationQuery, string? ValidationThreshold)
{
    /// <summary>Why there is no command; null when there is one.</summary>
    public string? NoCommandReason { get; init; }
}
