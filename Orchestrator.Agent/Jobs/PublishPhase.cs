using System.Text.Json;
using Orchestrator.Agent.Agents.Architect;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Publication: the RCA is stored once for its job, however often this phase is taken up again, and its links are signed. An RCA that was
/// made within the budget is published also when the budget is spent by now.
/// </summary>
internal sealed class PublishPhase(RcaStore rcas)
{
    public async Task RunAsync(InvestigationRun run)
    {
        var state = run.State;
        var report = state.ArchitectOutput!;
        var folder = await run.CallToolAsync(
            "upload_rca", "Stores the RCA as JSON and Markdown.", "{\"files\":[\"rca.json\",\"rca.md\"]}", ArchitectAgent.Name,
            stop => rcas.PutAsync(
                run.Job.Id, run.Job.SessionId, JsonSerializer.Serialize(report.RcaContent!, MatsJson.Web.RcaDocument), report.Markdown!,
                stop),
            stored => $"Stored in {stored}", handsOut: true);
        state.RcaUrl = await rcas.LinkAsync($"{folder}/rca.json", run.Lifetime);
        state.ArchitectOutput = report with { RcaUrl = state.RcaUrl, MarkdownUrl = await rcas.LinkAsync($"{folder}/rca.md", run.Lifetime) };
        state.CompletedAt = run.Now;
        run.End(Phase.Completed, "the RCA is published");
    }
}
