using System.Globalization;
using System.Text;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Architect;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Rca;

/// <summary>The RCA for people: the same facts as the document, in the order of the template.</summary>
internal static class RcaMarkdown
{
    public static string Write(RcaDocument document, InvestigationState state)
    {
        var text = new StringBuilder();
        var score = document.AgentConfidenceScoreAndReasoning.ConfidenceScorePercentage / 100.0;
        var impact = document.ImpactAndScopeAnalysis;
        text.AppendLine(CultureInfo.InvariantCulture, $"# {Escape(document.Docs.Title)}").AppendLine();
        Table(text,
            ("Incident ID", document.Metadata.IncidentId),
            ("Severity", document.Metadata.Severity),
            (
                "Blast radius",
                string.Create(CultureInfo.InvariantCulture,
                    $"{impact.UserImpactFailedRequestsCount} failed requests, {impact.ErrorRatePeakPercentage:0.##} %")),
            ("Detection", document.Metadata.DetectionSource),
            ("Resolution", document.Metadata.Status),
            ("Affected services", impact.ServicesAffected.Count == 0 ? "none" : string.Join(", ", impact.ServicesAffected)),
            ("SLO impact", string.Create(CultureInfo.InvariantCulture, $"p99 +{impact.LatencyImpactMs:0.#} ms")));
        Heading(text, 2, "1. Executive Summary").AppendLine(Escape(document.ExecutiveSummary.SummaryText));
        Heading(text, 2, "2. Timeline & Detection");
        foreach (var e in document.AutonomousTroubleshootingTimelineUtc.TimelineEvents)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- `{e.Timestamp}` {Escape(e.EventAction)} ({Escape(e.SourceComponent)})");
        }

        Heading(text, 2, "3. Root Cause");
        Heading(text, 3, "3.1 Technical");
        Causes(text, document);
        Heading(text, 3, "3.2 Five Whys");
        var whys = document.RootCauseAnalysis5Whys;
        foreach (var (name, why) in new[]
        {
            ("Symptom", whys.DirectSymptom), ("Immediate cause", whys.ImmediateCause), ("Contributing", whys.ContributoryFactor),
            ("Process gap", whys.UnderlyingProcessGap), ("Root cause", whys.RootCause),
        })
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"1. **{name}:** {Escape(why)}");
        }

        Heading(text, 3, "3.3 Contributing Factors");
        text.AppendLine(document.TechnicalEvidenceAndLogs.InfrastructureDiff is { } diff ? Code(diff) : "None seen in the telemetry.");
        Heading(text, 2, "4. Recommended Fix");
        var actions = document.AutonomousMitigationVsPermanentFixes.RecommendedPermanentActions;
        Heading(text, 3, "4.1 Hotfix");
        Hotfix(text, document);
        List(Heading(text, 3, "4.2 Permanent"), [.. actions.Application, .. actions.Infrastructure]);
        List(Heading(text, 3, "4.3 Preventive"), actions.Monitoring);
        Heading(text, 2, "5. Confidence Assessment");
        if (score < Confidence.Threshold)
        {
            text.AppendLine("**Confidence: LOW** - have a person check the steps above before acting.").AppendLine();
        }

        var sre = state.SreFindings?.Confidence ?? 0;
        var code = state.InvestigatorFindings;
        text.AppendLine(CultureInfo.InvariantCulture, $"- Evidence quality: {sre:0.00} (triage)")
            .AppendLine(
                CultureInfo.InvariantCulture,
                $"- Root-cause certainty: {(document.RootCauses.Count > 0 ? document.RootCauses[0].Confidence : 0):0.00} (engine, " +
                $"calibrated)")
            .AppendLine(
                code is null or { Status: "SKIPPED" }
                    ? "- Fix completeness: not judged (code analysis was skipped)"
                    : string.Create(
                        CultureInfo.InvariantCulture, $"- Fix completeness: {code.Confidence ?? 0:0.00} (code analysis: {code.Status})"))
            .AppendLine(CultureInfo.InvariantCulture, $"- Overall: {score:0.00} ({Confidence.Band(score)})");
        List(Heading(text, 2, "6. Known Limitations"), document.AgentConfidenceScoreAndReasoning.UnknownsAssumptions);
        return text.ToString();
    }

    private static void Hotfix(StringBuilder text, RcaDocument document)
    {
        var spec = document.RemediationSpec;
        if (spec.RemediationCommand is { Length: > 0 } command)
        {
            text.AppendLine("This command of the allow-list undoes the change. It runs only after its approval:").AppendLine()
                .AppendLine(Code(command));
        }
        else
        {
            foreach (var cause in document.RootCauses.Take(1))
            {
                text.AppendLine(Escape(RcaWriter.Hotfix(cause))).AppendLine();
            }

            text.AppendLine(Escape(spec.NoCommandReason ?? "None needed."));
        }

        if (spec.ValidationQuery is { } query)
        {
            text.AppendLine().AppendLine(Escape($"It is over when {query} is {spec.ValidationThreshold}."));
        }
    }

    private static void Causes(StringBuilder text, RcaDocument document)
    {
        if (document.RootCauses.Count == 0)
        {
            text.AppendLine("No root cause is claimed.");
        }

        for (var i = 0; i < document.RootCauses.Count; i++)
        {
            var cause = document.RootCauses[i];
            text.AppendLine(CultureInfo.InvariantCulture,
                $"{i + 1}. **{Escape(cause.Service)}**: {Escape(cause.FaultType)} ({Escape(cause.Location.Kind)}: " +
                $"{Escape(cause.Location.Detail)}), confidence {cause.Confidence:0.00}");
            foreach (var evidence in cause.Evidence)
            {
                text.AppendLine(CultureInfo.InvariantCulture, $"   - {Escape(evidence.Claim)} [{Reference(evidence)}]");
            }
        }
    }

    private static string Reference(EvidenceRef evidence) => evidence.Kind switch
    {
        "span" => $"span `{evidence.TraceId}/{evidence.SpanId}`",
        "log" => $"log `{evidence.RecordId}`",
        _ => $"metric `{evidence.SeriesId}@{evidence.TimeNs}`",
    };

    private static StringBuilder Heading(StringBuilder text, int level, string title) =>
        text.AppendLine().Append('#', level).Append(' ').AppendLine(title).AppendLine();

    private static void List(StringBuilder text, IReadOnlyList<string> items)
    {
        if (items.Count == 0)
        {
            text.AppendLine("None.");
        }

        foreach (var item in items)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"- {Escape(item)}");
        }
    }

    private static void Table(StringBuilder text, params (string Name, string Value)[] rows)
    {
        text.AppendLine("|||").AppendLine("|-|-|");
        foreach (var (name, value) in rows)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"|{name}|{Escape(value).Replace("|", "\\|", StringComparison.Ordinal)}|");
        }
    }

    private static string Code(string content) => $"```\n{content.Replace("```", "'''", StringComparison.Ordinal)}\n```";

    // Text from telemetry stays text: no markup, no line that could pass for a heading.
    private static string Escape(string text) =>
        text.ReplaceLineEndings(" ").Replace("<", "&lt;", StringComparison.Ordinal).Replace("[", "\\[", StringComparison.Ordinal).Replace(
            "](", "\\](", StringComparison.Ordinal);
}
