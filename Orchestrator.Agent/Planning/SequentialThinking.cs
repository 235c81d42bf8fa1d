using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Mcp;

namespace Orchestrator.Agent.Planning;

/// <summary>
/// The planner's thinking in three steps with the tool <c>sequentialthinking</c>, when a server for the planner has
/// it. The thoughts are the rules' own and stand in the result's trace; what the tool answers changes nothing, and its failure is no more
/// than a warning.
/// </summary>
internal sealed class SequentialThinking(McpServers servers)
{
    private const string Tool = "sequentialthinking";
    private const string Source = "mats-orchestrator";

    public async Task ThinkAsync(InvestigationRun run, IssueType type)
    {
        await using var tools = await servers.OpenAsync(run, "planner", Source, Tool);
        if (tools.Find(Tool) is not { } tool)
        {
            return;
        }

        string[] thoughts =
        [
            $"The request reads as a {type.Name} issue: {run.Job.Request.Text}",
            $"Evidence comes first. {type.Strategy}",
            "Then the code behind what the evidence shows, unless it proves a cause outside of it; last the root cause, from what was " +
                "verified.",
        ];
        for (var i = 0; i < thoughts.Length; i++)
        {
            await run.ThinkAsync(thoughts[i], Source);
            var arguments = new Dictionary<string, object?>(StringComparer.Ordinal)
            {
                ["thought"] = thoughts[i], ["thoughtNumber"] = i + 1, ["totalThoughts"] = thoughts.Length,
                ["nextThoughtNeeded"] = i < thoughts.Length - 1,
            };
            if (await tools.CallAsync(run, tool, arguments) is null)
            {
                return;
            }
        }
    }
}
