using System.Globalization;
using System.Text;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Agents.Architect;

namespace Orchestrator.Agent.Jobs;

/// <summary>The result objects of a job (docs/troubleshooting-api.md), each from what the state holds.</summary>
internal static class JobResults
{
    private const int MaxSummaryChars = 2000;

    /// <summary>A finished investigation: SUCCESS from a confidence of 0.5, else PARTIAL.</summary>
    public static JobResult Complete(InvestigationState state, JobRecord job)
    {
        var confidence = Confidence.Overall(state);
        var document = state.ArchitectOutput!.RcaContent!;
        var sure = confidence >= Confidence.Threshold && state.Blockers.Count == 0;
        return Common(sure ? "SUCCESS" : "PARTIAL", state, job) with
        {
            Response = Response(confidence, state.RcaUrl, document.ExecutiveSummary.SummaryText),
            RootCauses = document.RootCauses,
            RcaUrl = state.RcaUrl,
            RcaMarkdownUrl = state.ArchitectOutput.MarkdownUrl,
            RcaContent = document,
            Severity = state.ArchitectOutput.Severity,
            Recommendations = state.ArchitectOutput.Recommendations,
            Error = sure ? null : state.Blockers.FirstOrDefault() ?? ErrorCode.LowConfidence.UserMessage,
        };
    }

    /// <summary>What is known, without a published RCA. Its causes were not verified, so none is handed out as proven.</summary>
    public static JobResult Partial(InvestigationState state, JobRecord job, string reason) => Common("PARTIAL", state, job) with
    {
        RootCauses = [],
        Error = reason,
        Response = $"The investigation ended early: {reason}",
        Recommendations = state.SreFindings?.Recommendations ?? [],
    };

    public static JobResult Failure(InvestigationState state, JobRecord job, string reason) => Common("FAILURE", state, job) with
    {
        RootCauses = [],
        Error = reason,
        Response = $"The investigation failed: {reason}",
    };

    /// <summary>Ends the run as failed.</summary>
    public static JobResult Fail(InvestigationRun run, string reason)
    {
        if (!JobStates.IsTerminal(run.State.Workflow.CurrentPhase))
        {
            run.End(Phase.Failed, reason);
        }

        return Failure(run.State, run.Job, reason);
    }

    /// <summary>A pause: what is needed, and how to go on.</summary>
    public static JobResult Waiting(
        InvestigationState state, JobRecord job, string need, IReadOnlyList<PendingStep> steps,
        string how = "Answer with what is missing (for example a project id), or with \"Yes\" or \"Continue\".")
    {
        var text = new StringBuilder(need).AppendLine().AppendLine();
        foreach (var step in steps)
        {
            text.AppendLine(CultureInfo.InvariantCulture, $"{step.StepId}. {step.Description}: {step.Needs}");
        }

        text.AppendLine().Append(how);
        return Common("WAITING_FOR_USER", state, job) with { PendingSteps = steps, Response = text.ToString() };
    }

    private static JobResult Common(string status, InvestigationState state, JobRecord job) => new(status)
    {
        SessionId = job.SessionId,
        TraceId = job.TraceId,
        Verdict = state.SreFindings?.Verdict,
        Confidence = Confidence.Overall(state),
        SreFindings = state.SreFindings,
        InvestigatorFindings = state.InvestigatorFindings,
        Warnings = [.. state.Warnings],
        Limitations = [.. state.Limitations],
        ExecutionTrace = [.. state.ExecutionTrace],
        Project = state.Project,
        Window = state.Window,
        Baseline = state.Baseline,
        ModelUse = state.ModelUse,
        ToolCalls = state.TotalToolCalls,
    };

    private static string Response(double confidence, string? url, string summary) => string.Create(
        CultureInfo.InvariantCulture,
        $"**Investigation Complete**\n\nConfidence: {confidence:0.00}\n\nRCA: " +
        $"{url}\n\n{(summary.Length <= MaxSummaryChars ? summary : summary[..MaxSummaryChars])}");
}
