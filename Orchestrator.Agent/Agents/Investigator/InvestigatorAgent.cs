using System.Text.Json;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>
/// Code analysis: from the blamed operation, its log statements and stack traces to the region of code; with a repository to file, line and
/// last change.
/// </summary>
internal sealed class InvestigatorAgent(CodeSearch code, LookAround model)
{
    public const string Name = "mats-investigator";

    private const string LookQuestion =
        "The report of the code analysis is below. With the tools, look at the code and at what else they reach for what explains or " +
        "contradicts it, in at most a few calls. Then answer with up to five short notes of what you saw.";

    public async Task<InvestigatorReport> AnalyzeAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("investigator_code_analysis", MatsTracing.Chain, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.type", "code_analysis");
        var sre = run.State.SreFindings!;
        MatsTracing.Input(span, JsonSerializer.Serialize(sre, MatsJson.Default.SreReport));
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
        var findings = JsonSerializer.Serialize(report, MatsJson.Web.InvestigatorReport);
        MatsTracing.Output(span, findings);
        if (found is not { Blocker: not null })
        {
            var look = new Look("investigator", Name, "code analysis", findings) { Question = LookQuestion };
            await model.NoteAsync(run, found?.Reader is { } reader
                ? look with { Tools = CodeTools.Declarations, CallAsync = new CodeTools(reader).CallAsync } : look);
        }

        return report;
    }
}
