using Microsoft.Extensions.Options;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>
/// Triage: reads the window and its baseline, lets the evidence engine compare them, and reports what is abnormal, since when, for whom,
/// and why it thinks so. Its conclusion is the engine's alone.
/// </summary>
internal sealed class SreAgent(Diagnose diagnose, LookAround model, IOptions<MatsOptions> options)
{
    public const string Name = "mats-sre";
    private const int MostProjects = 20;

    private const string LookQuestion =
        "The engine's findings are below. With the tools, look for what else the telemetry shows about the incident, in at most a few " +
        "calls. Then answer with up to five short notes of what you saw.";

    /// <summary>One triage. <paramref name="widening"/> counts the retries for want of telemetry (E001).</summary>
    /// <exception cref="PhoenixUnavailableException">When the telemetry cannot be read.</exception>
    public async Task<SreReport> TriageAsync(InvestigationRun run, TelemetryAccess telemetry, int widening)
    {
        var request = run.Job.Request;
        using var span = MatsTracing.Start("sre_log_analysis", MatsTracing.Chain, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.type", "triage");
        MatsTracing.Input(span, request.Text, "text/plain");
        await run.RecordAsync(span);

        var choice = WindowChoice.For(request, run.Job.CreatedAt, widening);
        IReadOnlyList<string> projects = (request.Project ?? (run.Job.Reply is null ? null : run.State.ProjectId)) is { Length: > 0 } named
            ? [named]
            : await telemetry.ProjectsAsync(options.Value.OwnProject, Name);
        if (projects.Count > MostProjects)
        {
            run.State.Limit(
                $"{projects.Count} projects hold telemetry; only the first {MostProjects} were looked at. Name one in 'project'.");
        }

        Triage? best = null;
        foreach (var project in projects.Take(MostProjects))
        {
            var triage = await CompareAsync(run, telemetry, project, choice);
            await run.ThinkAsync(Describe(triage), Name);
            best = best is null || triage.Rank > best.Rank ? triage : best;
        }

        var report = best is null ? SreReportWriter.Nothing("No project holds telemetry") : SreReportWriter.Write(best);
        if (best is not null)
        {
            run.State.Project = best.Project;
            run.State.BaselineProject = best.Choice.BaselineProject;
            run.State.Window = best.Choice.Incident;
            run.State.Baseline = best.Baseline is null ? null : new(
                TimeWindow.Time(best.Baseline.StartNanos), TimeWindow.Time(best.Baseline.EndNanos));
            run.State.Diagnosis = best.Diagnosis;
            foreach (var note in best.Diagnosis.Notes)
            {
                run.State.Limit(note);
            }
        }

        if (report.Hypotheses.Count > 0)
        {
            await model.NoteAsync(run, new Look("sre", Name, "triage", Findings(report))
            {
                Question = LookQuestion, Tools = TelemetryTools.Declarations, CallAsync = new TelemetryTools(run, telemetry).CallAsync,
            });
        }

        MatsTracing.Output(span, System.Text.Json.JsonSerializer.Serialize(report, MatsJson.Default.SreReport));
        return report;
    }

    private async Task<Triage> CompareAsync(InvestigationRun run, TelemetryAccess telemetry, string project, WindowChoice choice)
    {
        var incident = await telemetry.WindowAsync(project, choice.Incident, Name);
        if (IsEmpty(incident))
        {
            return new(project, choice, incident, null, new(Verdict.NoData, [], [], null, []));
        }

        var baseline = await telemetry.WindowAsync(choice.BaselineProject ?? project, choice.Baseline, Name);
        if (IsEmpty(baseline) && choice is { BaselineProject: null, Baseline: not null }
            && run.Job.Request is { BaselineStart: null, BaselineEnd: null })
        {
            choice = choice with { Baseline = WindowChoice.DayBefore(choice.Incident) };
            baseline = WindowChoice.Extent(await telemetry.WindowAsync(project, choice.Baseline, Name));
        }

        if (IsEmpty(baseline) && OnsetFinder.Find(incident) is { } split)
        {
            // Nothing is known from before: the quiet part of the window itself is the baseline.
            var quiet = new TimeWindow(choice.Incident.Start, split);
            choice = choice with { Incident = new(split, choice.Incident.End), Baseline = quiet, BaselineProject = null };
            incident = await telemetry.WindowAsync(project, choice.Incident, Name);
            baseline = WindowChoice.Extent(await telemetry.WindowAsync(project, quiet, Name));
            run.State.Limit("No telemetry from before the window: its own quiet part served as the baseline.");
        }

        if (IsEmpty(baseline))
        {
            run.State.Limit($"There is no telemetry of {project} to compare the window with.");
        }

        var triage = await DiagnoseAsync(telemetry, project, choice, incident, IsEmpty(baseline) ? null : baseline);
        if (choice.Searched && triage.Diagnosis is { Verdict: Verdict.Incident, OnsetNanos: { } onset }
            && choice.From(TimeWindow.Time(onset)) is var narrowed && narrowed.Incident.Start > choice.Incident.Start)
        {
            var around = await telemetry.WindowAsync(project, narrowed.Incident, Name);
            var before = await telemetry.WindowAsync(narrowed.BaselineProject ?? project, narrowed.Baseline, Name);
            if (!IsEmpty(before) && await DiagnoseAsync(telemetry, project, narrowed, around,
                before) is { Diagnosis.Verdict: Verdict.Incident } sharper)
            {
                return sharper;
            }
        }

        return triage;
    }

    /// <summary>Compares by the signals that both windows have, and by the changes that led up to the incident.</summary>
    private async Task<Triage> DiagnoseAsync(
        TelemetryAccess telemetry, string project, WindowChoice choice, TelemetryWindow incident, TelemetryWindow? baseline)
    {
        var lost = incident.Lost.Concat(baseline?.Lost ?? []).ToHashSet(StringComparer.Ordinal);
        var seen = (await telemetry.LookBackAsync(incident, choice.Incident, Name)).Without(lost);
        var before = baseline?.Without(lost);

        // The gaps were told when they were met; the engine need not tell them again.
        return new(project, choice, seen, before, diagnose(seen with { Gaps = [] }, before is null ? null : before with { Gaps = [] }));
    }

    /// <summary>What a model is told of a report: its three likeliest causes, and the rest as it is.</summary>
    private static string Findings(SreReport report) => System.Text.Json.JsonSerializer.Serialize(
        report with { Hypotheses = [.. report.Hypotheses.Take(3)] }, MatsJson.Web.SreReport);

    private static bool IsEmpty(TelemetryWindow window) => window.Spans.Count == 0 && window.Logs.Count == 0 && window.Series.Count == 0;

    private static string Describe(Triage triage) => triage.Diagnosis.Verdict switch
    {
        Verdict.NoData => $"No logs found for filter: project {triage.Project}, {triage.Choice.Incident}",
        Verdict.Healthy => $"{triage.Project} behaves in {triage.Choice.Incident} as it did before",
        _ => $"{triage.Project}: {triage.Diagnosis.Causes[0].FaultType} in {triage.Diagnosis.Causes[0].Service} " +
            $"({triage.Diagnosis.Causes[0].Location.Detail}), confidence {triage.Diagnosis.Causes[0].Confidence:0.00}",
    };
}

/// <summary>A comparison and the records it was made from.</summary>
internal sealed record Triage(string Project, WindowChoice Choice, TelemetryWindow Incident, TelemetryWindow? Baseline, Diagnosis Diagnosis)
{
    /// <summary>An incident beats a healthy project, that beats an empty one; of two incidents the surer wins.</summary>
    public double Rank => Diagnosis.Verdict switch
    {
        Verdict.Incident => 1 + Diagnosis.Causes[0].Confidence,
        Verdict.Healthy => 0.5,
        _ => 0,
    };
}
