using Microsoft.Extensions.AI;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Llm;
using Orchestrator.Agent.Mcp;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>
/// Lets a model look around in the triage's windows, and with the tools of servers that are configured for it, and note what it sees. The notes go into the trace of the result; the report is the
/// engine's and stays as it is. A loop of calls ends at a number of steps, at the tool budget, or when nothing new is asked.
/// </summary>
internal sealed class ModelTriage(Model model, McpServers servers)
{
    private const string Task =
        "The engine's findings are below. With the tools, look for what else the telemetry shows about the incident, in at most a few " +
        "calls. Then answer with " +
        "up to five short notes of what you saw.";

    public async Task ExploreAsync(InvestigationRun run, TelemetryAccess telemetry, SreReport report)
    {
        if (model.For(run) is null || run.State.Project is null || report.Hypotheses.Count == 0)
        {
            return;
        }

        var tools = new TelemetryTools(run, telemetry);
        await using var others = await servers.OpenAsync(run, "sre", SreAgent.Name);
        List<AITool> declarations = [.. TelemetryTools.Declarations, .. others.Declarations];
        var asked = new HashSet<string>(StringComparer.Ordinal);
        var conversation = new List<ChatMessage>
        {
            new(ChatRole.System, Model.Rules + "\n" + Task),
            new(
                ChatRole.User,
                Model.Data(System.Text.Json.JsonSerializer.Serialize(report with { Hypotheses = [.. report.Hypotheses.Take(3)] },
                    MatsJson.Web.SreReport))),
        };
        for (var step = 0; step < model.Options.MaxSteps; step++)
        {
            if (await model.AskAsync(run, "triage", conversation, declarations) is not { } answer)
            {
                return;
            }

            var calls = answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().ToList();
            if (calls.Count == 0)
            {
                if (answer.Text.Trim() is { Length: > 0 } notes)
                {
                    await run.ThinkAsync($"Model notes: {notes}", SreAgent.Name);
                }

                return;
            }

            conversation.Add(new(ChatRole.Assistant, [.. calls]));
            var results = new List<AIContent>();
            foreach (var call in calls)
            {
                var repeated = !asked.Add($"{call.Name}:{string.Join(",", call.Arguments?.Select(a => $"{a.Key}={a.Value}") ?? [])}");
                results.Add(
                    new FunctionResultContent(call.CallId, repeated
                        ? "This was answered above; ask something new or finish." : Model.Data(await CallAsync(call))));
            }

            conversation.Add(new(ChatRole.Tool, results));
        }

        run.State.Warn($"The model's look around was ended after {model.Options.MaxSteps} steps.");

        async Task<string> CallAsync(FunctionCallContent call) => others.Has(call.Name) && call.Exception is null
            ? await others.CallAsync(run, call.Name, new Dictionary<string, object?>(call.Arguments ?? new Dictionary<string, object?>()))
                ?? "The tool failed."
            : await tools.CallAsync(call);
    }
}
