using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Orchestrator.Agent.Planning;

/// <summary>One agent as its manifest describes it.</summary>
/// <param name="Adapters">By capability: what does it here. A capability without one is not available.</param>
internal sealed record AgentManifest(
    string AgentId, string DisplayName, string Icon, string Description, IReadOnlyList<string> Capabilities,
    IReadOnlyList<string> Dependencies,
    IReadOnlyList<string>? AntiPatterns, IReadOnlyList<string> Keywords, IReadOnlyDictionary<string, string> Adapters)
{
    /// <summary>The manifest this entry was read from.</summary>
    [JsonPropertyName("_source_path")]
    public string? SourcePath { get; init; }

    /// <summary>True when at least one capability can be used.</summary>
    [JsonIgnore]
    public bool IsAvailable => Adapters.Count > 0;
}

/// <summary>An entry of the planner's registry.</summary>
/// <param name="Capabilities">Comma separated.</param>
/// <param name="AntiPatterns">Comma separated.</param>
internal sealed record PlannerEntry(string AgentId, string Name, string Capabilities, string AntiPatterns);

/// <summary>
/// The registries, both read from the agents' manifests: 13 specialists for planning, these and the 5 MATS agents
/// for routing.
/// </summary>
internal static class AgentRegistry
{
    private const string Prefix = "Orchestrator.Agent.Planning.Registry.";

    /// <summary>All 18 agents by id.</summary>
    public static readonly IReadOnlyList<AgentManifest> Master = [.. Read().OrderBy(agent => agent.AgentId, StringComparer.Ordinal)];

    /// <summary>The 13 specialists.</summary>
    public static readonly IReadOnlyList<PlannerEntry> Planner =
    [
        .. Master.Where(agent => !agent.AgentId.StartsWith("mats-", StringComparison.Ordinal)).Select(agent => new PlannerEntry(
            agent.AgentId, agent.DisplayName, string.Join(", ", agent.Capabilities), string.Join(", ", agent.AntiPatterns ?? []))),
    ];

    private static IEnumerable<AgentManifest> Read()
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var name in assembly.GetManifestResourceNames().Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)))
        {
            using var stream = assembly.GetManifestResourceStream(name)!;
            yield return JsonSerializer.Deserialize(stream, MatsJson.Default.AgentManifest)! with
            {
                SourcePath = $"Planning/Registry/{name[Prefix.Length..]}",
            };
        }
    }
}
