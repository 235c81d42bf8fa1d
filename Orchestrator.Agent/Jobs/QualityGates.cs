using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Planning;

namespace Orchestrator.Agent.Jobs;

internal enum GateDecision
{
    Pass,
    Retry,
    Fail,
}

/// <param name="Warning">Set on a pass that is not quite clean.</param>
internal readonly record struct GateResult(GateDecision Decision, string Reason, string? Warning = null)
{
    public static GateResult Pass(string? warning = null) => new(GateDecision.Pass, "pass", warning);

    public static GateResult Retry(string reason) => new(GateDecision.Retry, reason);

    public static GateResult Fail(string reason) => new(GateDecision.Fail, reason);
}

/// <summary>
/// The four gates between the phases: pure functions of one report each. A missing confidence counts as 0.
/// </summary>
internal static class QualityGates
{
    private const double LeastConfidence = 0.3;
    private const int LeastRcaChars = 100;

    /// <summary>planning -> triage.</summary>
    public static GateResult Planning(Plan? plan)
    {
        if (plan is null)
        {
            return GateResult.Fail("There is no plan");
        }

        if (plan.Steps.Count == 0)
        {
            return GateResult.Fail("The plan has no steps");
        }

        return GateResult.Pass(
            plan.Steps[0].AssignedLead == "sre" ? null : $"The plan starts with {plan.Steps[0].AssignedLead}, not with sre");
    }

    /// <summary>triage -> analysis.</summary>
    public static GateResult Triage(SreReport? report)
    {
        if ((report is null ? "it is missing" : ReportSchema.Fault(report)) is { } fault)
        {
            return GateResult.Fail($"The triage report is not valid: {fault}");
        }

        if (report!.Status == "FAILURE")
        {
            return GateResult.Fail(report.Blockers.Count > 0 ? $"SRE blocked: {report.Blockers[0]}" : "The triage failed");
        }

        if (report.Verdict == "healthy")
        {
            return GateResult.Pass("The window behaves as its baseline does");
        }

        if (string.IsNullOrEmpty(report.ErrorSignature) && string.IsNullOrEmpty(report.StackTrace))
        {
            return report.Blockers.Count > 0
                ? GateResult.Fail($"SRE blocked: {report.Blockers[0]}")
                : GateResult.Retry("Neither an error signature nor a stack trace was found");
        }

        return (report.Confidence ?? 0) < LeastConfidence
            ? GateResult.Retry($"Triage confidence {report.Confidence ?? 0:0.00} is below {LeastConfidence:0.00}")
            : GateResult.Pass();
    }

    /// <summary>analysis -> synthesis.</summary>
    public static GateResult Analysis(InvestigatorReport? report)
    {
        if ((report is null ? "it is missing" : ReportSchema.Fault(report)) is { } fault)
        {
            return GateResult.Fail($"The code report is not valid: {fault}");
        }

        if (report!.Status == "SKIPPED")
        {
            return GateResult.Pass();
        }

        if (report.Status == "INSUFFICIENT_DATA")
        {
            return report.Blockers.Count > 0
                ? GateResult.Fail($"Code analysis blocked: {report.Blockers[0]}")
                : GateResult.Retry("The code analysis had too little data");
        }

        if ((report.Confidence ?? 0) < LeastConfidence)
        {
            return GateResult.Fail($"Code confidence {report.Confidence ?? 0:0.00} is below {LeastConfidence:0.00}");
        }

        return GateResult.Pass(report.Status == "HYPOTHESIS" ? "The code analysis is a hypothesis" : null);
    }

    /// <summary>synthesis -> publish. <paramref name="unresolved"/> = cited claims that no stored record proves.</summary>
    public static GateResult Synthesis(ArchitectReport? report, int unresolved)
    {
        if ((report is null ? "it is missing" : ReportSchema.Fault(report)) is { } fault)
        {
            return GateResult.Fail($"The RCA is not valid: {fault}");
        }

        if (report!.Status == "FAILURE")
        {
            return GateResult.Fail("The synthesis failed");
        }

        var text = report.RcaContent is null ? "" : System.Text.Json.JsonSerializer.Serialize(
            report.RcaContent, MatsJson.Default.RcaDocument);
        if (text.Length < LeastRcaChars)
        {
            return GateResult.Retry($"The RCA has {text.Length} characters, at least {LeastRcaChars} are needed");
        }

        if (unresolved > 0)
        {
            return GateResult.Retry($"{unresolved} cited claims do not resolve");
        }

        var markdown = report.Markdown ?? "";
        var complete = markdown.Contains("Root Cause", StringComparison.OrdinalIgnoreCase) && markdown.Contains(
            "Summary", StringComparison.OrdinalIgnoreCase);
        return GateResult.Pass(complete ? null : "The RCA text names no root cause or summary section");
    }
}
