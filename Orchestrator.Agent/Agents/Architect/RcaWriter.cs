using System.Globalization;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Agents.Architect;

/// <summary>Fills the RCA template from verified causes and the reports; needs no model.</summary>
internal static class RcaWriter
{
    private const int MostSummaryWords = 150;
    private const int MostTraces = 10;

    public static RcaDocument Write(
        InvestigationState state, JobRecord job, IReadOnlyList<RankedCause> causes, string severity, RemediationSpec remediation,
        DateTimeOffset now)
    {
        var sre = state.SreFindings;
        var radius = sre?.Evidence.BlastRadius;
        var cause = causes.Count > 0 ? causes[0] : null;
        var healthy = sre?.Verdict == "healthy";
        var score = (int)Math.Round(100 * Confidence.Overall(state), MidpointRounding.AwayFromZero);
        var incident = $"INC-{job.CreatedAt:yyyyMMdd}-{job.Id.ToString("N", CultureInfo.InvariantCulture)[..8]}";
        return new(
            new($"[{incident}] - Autonomous Root Cause Analysis", job.Request.Text),
            new(
                incident, state.Project ?? job.Request.Project ?? "unknown", "User request", "mats-orchestrator 1.0.0",
                "Pending Human Review", severity),
            new(Summary(state, cause, healthy)),
            new(radius?.Services ?? [], radius?.ErrorRatePercent ?? 0, radius?.LatencyIncreaseMs ?? 0,
                cause is null || cause.Location.Kind == "code" ? [] : [$"{cause.Service}: {cause.Location.Detail}"],
                radius?.FailedRequests ?? 0),
            new(Timeline(state, job, cause, now)),
            Whys(state, cause, healthy),
            new(sre?.Evidence.RawLogSamples ?? [],
                [.. causes.SelectMany(c => c.Evidence).Select(e => e.TraceId).OfType<string>().Distinct().Take(MostTraces)],
                sre?.Evidence.CorrelatedEvents is { Count: > 0 } events ? string.Join("\n", events) : null,
                [.. causes.SelectMany(c => c.Evidence)]),
            new([], Actions(state, cause)),
            new(score, Unknowns(state, score)),
            remediation)
        {
            RootCauses = causes,
        };
    }

    /// <summary>What a person should do next, most urgent first.</summary>
    public static IReadOnlyList<string> Recommendations(InvestigationState state, IReadOnlyList<RankedCause> causes) =>
    [
        .. causes.Take(1).SelectMany(cause => new[] { Hotfix(cause) }),
        .. state.InvestigatorFindings?.SuggestedFix is { } fix && causes.Count > 0 ? new[] { fix } : [],
        .. state.InvestigatorFindings?.RootCause is not null ? new[] { "MANUAL_CODE_FIX_REQUIRED" } : [],
        .. state.SreFindings?.Recommendations ?? [],
        .. state.InvestigatorFindings?.Recommendations ?? [],
    ];

    private static string Summary(InvestigationState state, RankedCause? cause, bool healthy)
    {
        var sre = state.SreFindings;
        if (healthy)
        {
            return $"Nothing is wrong in the time looked at. {state.Project} behaved between {state.Window} as it did in its baseline " +
                $"({state.Baseline?.ToString() ?? "none"}). No root cause is claimed.";
        }

        if (cause is null)
        {
            var reason = state.Blockers.Count > 0 ? state.Blockers[0] : sre?.Verdict == "no_data"
                ? $"no telemetry was found in {state.Window?.ToString() ?? "any project"}"
                : "the telemetry of the window does not point at a cause";
            return $"No cause could be proven. The investigation ended inconclusive: {reason}.";
        }

        var radius = sre?.Evidence.BlastRadius;
        var text = $"Requests that pass through {cause.Service} failed or slowed down. The most likely trigger is " +
            $"{Words(cause.FaultType)} " +
            $"({cause.Location.Kind}: {cause.Location.Detail}), first seen at {sre?.IncidentTimestamp ?? "an unknown time"}. " +
            (radius is { Requests: > 0 } ? FormattableString.Invariant(
                $"{radius.FailedRequests} of {radius.Requests} requests failed ({radius.ErrorRatePercent:0.##} %). ") : "") +
            $"To resolve: {Hotfix(cause)}";
        var words = text.Split(' ');
        return words.Length < MostSummaryWords ? text : string.Join(' ', words.Take(MostSummaryWords - 1)) + "…";
    }

    private static List<TimelineEvent> Timeline(InvestigationState state, JobRecord job, RankedCause? cause, DateTimeOffset now)
    {
        var events = new List<TimelineEvent>();
        if (state.SreFindings?.IncidentTimestamp is { } onset)
        {
            events.Add(new(onset, "Incident start: first abnormal record", cause?.Service ?? "telemetry"));
        }

        events.AddRange(
            (state.SreFindings?.Evidence.CorrelatedEvents ?? [])
                .Select(change => new TimelineEvent(
                    change.Split(' ')[0], change[(change.IndexOf(' ', StringComparison.Ordinal) + 1)..], "change event")));
        events.Add(new(Iso(job.CreatedAt), "Detection: a user reported the problem", "user"));
        events.AddRange(
            state.Workflow.PhaseTransitions.Select(step =>
                new TimelineEvent(Iso(step.Timestamp), $"{step.ToPhase.Wire()}: {step.Reason}", "mats-orchestrator")));
        if (cause is not null)
        {
            events.Add(
                new(Iso(now), $"Hypothesis: {Words(cause.FaultType)} in {cause.Service}; every cited record verified", "mats-architect"));
        }

        return [.. events.OrderBy(e => e.Timestamp, StringComparer.Ordinal)];
    }

    private static FiveWhys Whys(InvestigationState state, RankedCause? cause, bool healthy)
    {
        if (cause is null)
        {
            var text = healthy ? "None: the window is normal" : "Unknown: no cause was proven";
            return new(
                state.SreFindings?.ErrorSignature ?? text, text, text, healthy ? "None" : "The telemetry did not allow a conclusion", text);
        }

        var change = state.SreFindings?.Evidence.CorrelatedEvents is { Count: > 0 } changes ? changes[^1] : null;
        return new(
            state.SreFindings?.ErrorSignature ?? cause.Evidence[0].Claim,
            cause.Evidence[0].Claim,
            change is null ? $"{Words(cause.FaultType)} at {cause.Location.Detail}" : $"Change before the onset: {change}",
            cause.Location.Kind switch
            {
                "code" => "No test or review caught the failing path before it was released.",
                "configuration" or "deployment" or "access" or "scaling" =>
                    "The change reached production without a check that would have refused it.",
                _ => "No limit or alert on the resource acted before users were hit.",
            },
            $"{cause.Service}: {Words(cause.FaultType)} ({cause.Location.Kind}, {cause.Location.Detail}), which the process let reach " +
            $"users.");
    }

    private static PermanentActions Actions(InvestigationState state, RankedCause? cause)
    {
        if (cause is null)
        {
            return new(
                [], [],
                state.SreFindings?.Verdict == "healthy"
                    ? [] : ["Export traces, logs and metrics of every service on the way of a request."]);
        }

        var isCode = cause.Location.Kind == "code";
        var race = state.InvestigatorFindings?.RootCause?.DefectType == "race_condition";
        return new(
            isCode ? [] : [$"Manage {cause.Location.Detail} of {cause.Service} as code, checked before it is applied."],
            isCode ? [state.InvestigatorFindings?.SuggestedFix ?? $"Correct {cause.Location.Detail}.", .. race
                ? ["Analyse thread safety and add a load test."] : Array.Empty<string>()]
                : [$"Let callers of {cause.Service} degrade when it fails."],
            [$"Alert on {(cause.Evidence.FirstOrDefault(e => e.Metric is not null)?.Metric ?? "the error rate and p99 latency")} of " +
                $"{cause.Service}."]);
    }

    private static List<string> Unknowns(InvestigationState state, int score)
    {
        var unknowns = state.Limitations.Concat(state.Blockers).ToList();
        if (score < 80 && unknowns.Count == 0)
        {
            unknowns.Add("The telemetry alone does not show whether further services contribute.");
        }

        return unknowns;
    }

    /// <summary>What a person would do first about a cause.</summary>
    public static string Hotfix(RankedCause cause) => cause.Location.Kind switch
    {
        "code" => $"fix or roll back the code at {cause.Location.Detail} in {cause.Service}.",
        "configuration" when cause.Change is { Field: { Length: > 0 } field, Before: { Length: > 0 } before } =>
            $"set {field} of {cause.Service} back to {before}.",
        "configuration" => $"restore the setting {cause.Location.Detail} of {cause.Service}.",
        "deployment" => $"roll {cause.Service} back to its last good revision ({cause.Location.Detail}).",
        "access" => $"restore the access that was taken away ({cause.Location.Detail}).",
        "scaling" => $"restore the scaling limits of {cause.Service} ({cause.Location.Detail}).",
        "dependency" => $"restore the dependency {cause.Location.Detail} of {cause.Service}.",
        _ => $"relieve the {cause.Location.Kind} of {cause.Service} ({cause.Location.Detail}): more capacity, or stop what uses it up.",
    };

    private static string Words(string faultType) => faultType.Replace('_', ' ');

    private static string Iso(DateTimeOffset time) => time.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
}
