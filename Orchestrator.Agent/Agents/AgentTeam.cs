using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents.Architect;
using Orchestrator.Agent.Agents.Investigator;
using Orchestrator.Agent.Agents.Remote;
using Orchestrator.Agent.Agents.Sre;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents;

/// <summary>The three agents of an investigation, each in this process or in the one that its address names.</summary>
internal sealed class AgentTeam(
    SreAgent sre, InvestigatorAgent investigator, ArchitectAgent architect, RemoteAgents remote, ReadTelemetry read, PhoenixClient phoenix,
    IOptions<MatsOptions> options)
{
    /// <param name="widening">How often the window was doubled for want of telemetry (E001).</param>
    public Task<SreReport> TriageAsync(InvestigationRun run, int widening) => remote.RunAsync(
        "sre", run, widening, MatsJson.Default.SreReport, ReportSchema.Fault, () => TriageHereAsync(run, widening));

    public Task<InvestigatorReport> AnalyzeAsync(InvestigationRun run, int attempt) => remote.RunAsync(
        "investigator", run, attempt, MatsJson.Default.InvestigatorReport, ReportSchema.Fault, () => investigator.AnalyzeAsync(run));

    public Task<Synthesis> SynthesizeAsync(InvestigationRun run, int attempt) => remote.RunAsync(
        "architect", run, attempt, MatsJson.Default.Synthesis, static answer => ReportSchema.Fault(answer.Report),
        () => architect.SynthesizeAsync(run));

    /// <summary>Does a task of another orchestrator in this process; the agent's report as JSON.</summary>
    public async Task<JsonElement> WorkAsync(string agent, InvestigationRun run, int attempt) => agent switch
    {
        "sre" => JsonSerializer.SerializeToElement(await TriageHereAsync(run, attempt), MatsJson.Default.SreReport),
        "investigator" => JsonSerializer.SerializeToElement(await investigator.AnalyzeAsync(run), MatsJson.Default.InvestigatorReport),
        _ => JsonSerializer.SerializeToElement(await architect.SynthesizeAsync(run), MatsJson.Default.Synthesis),
    };

    private Task<SreReport> TriageHereAsync(InvestigationRun run, int widening) =>
        sre.TriageAsync(run, new TelemetryAccess(read, phoenix, run, options.Value.PhoenixPatience), widening);
}
