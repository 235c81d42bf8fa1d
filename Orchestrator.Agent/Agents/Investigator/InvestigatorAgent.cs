using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>
/// Code analysis: from the blamed operation, its log statements and stack traces to the region of code; with a repository to file, line and
/// last change.
/// </summary>
internal sealed class InvestigatorAgent(CodeSearch code)
{
    public const string Name = "mats-investigator";

    public async Task<InvestigatorReport> AnalyzeAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("investigator_code_analysis", MatsTracing.Chain, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.type", "code_analysis");
        var sre = run.State.SreFindings!;
        MatsTracing.Input(span, System.Text.Json.JsonSerializer.Serialize(sre, MatsJson.Default.SreReport));
        await run.RecordAsync(span);
        if (sre.VersionSha is null)
        {
            ErrorCode.VersionShaNotFound.Recover(run.State);
        }

        var regions = CodeRegions.From(sre);
        if (regions.UnknownTrace)
        {
            ErrorCode.StackTraceUnrecognized.Recover(run.State);
        }

        await run.ThinkAsync(
            regions.Places.Count == 0 ? "The evidence names no place in code" : $"Places named by the evidence: " +
                $"{string.Join(", ", regions.Places.Take(5))}", Name);
        var found = run.State.RepoUrl is { Length: > 0 } repository ? await code.FindAsync(run, repository, regions) : null;
        var report = InvestigatorReportWriter.Write(sre, regions, found);
        MatsTracing.Output(span, System.Text.Json.JsonSerializer.Serialize(report, MatsJson.Default.InvestigatorReport));
        return report;
    }
}
