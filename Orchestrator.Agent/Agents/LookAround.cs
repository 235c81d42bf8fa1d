using Microsoft.Extensions.AI;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Llm;
using Orchestrator.Agent.Mcp;

namespace Orchestrator.Agent.Agents;

/// <summary>What a model is let loose on: an agent's findings, and the agent's own tools.</summary>
/// <param name="Agent">Whose servers' tools it gets too (<see cref="McpServer.Agents"/>).</param>
/// <param name="Source">Who looks, in events and spans.</param>
/// <param name="Purpose">The part of the investigation, for warnings.</param>
/// <param name="Findings">What is known so far, as JSON.</param>
internal sealed record Look(string Agent, string Source, string Purpose, string Findings)
{
    /// <summary>What it is asked for.</summary>
    public required string Question { get; init; }

    /// <summary>The agent's own tools; empty = those of servers alone.</summary>
    public IReadOnlyList<AITool> Tools { get; init; } = [];

    /// <summary>Makes one call of the agent's own tools; also answers, in words, calls of tools that do not exist.</summary>
    public Func<FunctionCallContent, Task<string>> CallAsync { get; init; } =
        call => Task.FromResult($"There is no tool '{call.Name}'.");
}

/// <summary>
/// Lets a model look around with the tools that policy gives an agent, and note what it sees. The notes go into the trace of the result;
/// findings, causes and plan stay as they are. It ends at a number of steps, at half of the tool calls that are left, or when the model is
/// done.
/// </summary>
internal sealed class LookAround(Model model, McpServers servers)
{
    public async Task NoteAsync(InvestigationRun run, Look look)
    {
        if (!model.IsUsable(run) || (look.Tools.Count == 0 && !servers.Serve(look.Agent)))
        {
            return;
        }

        await using var others = await servers.OpenAsync(run, look.Agent, look.Source);
        List<AITool> tools = [.. look.Tools, .. others.Declarations];
        if (tools.Count == 0)
        {
            return;
        }

        var callsLeft = run.Budget.ToolCallsLeft / 2;
        var asked = new HashSet<string>(StringComparer.Ordinal);
        var conversation = new List<ChatMessage>
        {
            new(ChatRole.System, Model.Rules + "\n" + look.Question), new(ChatRole.User, Model.Data(look.Findings)),
        };
        for (var step = 0; step < model.Options.MaxSteps; step++)
        {
            if (await model.AskAsync(run, look.Purpose, conversation, tools) is not { } answer)
            {
                return;
            }

            var calls = answer.Messages.SelectMany(message => message.Contents).OfType<FunctionCallContent>().ToList();
            if (calls.Count == 0)
            {
                if (answer.Text.Trim() is { Length: > 0 } notes)
                {
                    await run.ThinkAsync($"Model notes: {notes}", look.Source);
                }

                return;
            }

            conversation.Add(new(ChatRole.Assistant, [.. calls]));
            var results = new List<AIContent>();
            foreach (var call in calls)
            {
                if (!asked.Add(Key(call)))
                {
                    results.Add(new FunctionResultContent(call.CallId, "This was answered above; ask something new or finish."));
                }
                else if (callsLeft-- > 0)
                {
                    results.Add(new FunctionResultContent(call.CallId, Model.Data(await CallAsync(run, look, others, call))));
                }
                else
                {
                    run.State.Warn($"The model's look around was ended in {look.Purpose}: what is left of the tool calls is kept.");
                    return;
                }
            }

            conversation.Add(new(ChatRole.Tool, results));
        }

        run.State.Warn($"The model's look around was ended in {look.Purpose} after {model.Options.MaxSteps} steps.");
    }

    private static async Task<string> CallAsync(InvestigationRun run, Look look, McpTools others, FunctionCallContent call) =>
        call.Exception is not null ? "The arguments are not JSON."
        : !others.Has(call.Name) ? await look.CallAsync(call)
        : await others.CallAsync(run, call.Name, new Dictionary<string, object?>(call.Arguments ?? new Dictionary<string, object?>()))
            ?? "The tool failed.";

    private static string Key(FunctionCallContent call) =>
        $"{call.Name}:{string.Join(",", call.Arguments?.Select(argument => $"{argument.Key}={argument.Value}") ?? [])}";
}
