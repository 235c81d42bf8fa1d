using MatsObservability.ServiceDefaults;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// Agents that run in processes of their own: <c>SRE_AGENT_URL</c>, <c>INVESTIGATOR_AGENT_URL</c>,
/// <c>ARCHITECT_AGENT_URL</c>, <c>REMEDIATION_AGENT_URL</c>, <c>GCLOUD_AGENT_URL</c>.
/// </summary>
internal sealed class RemoteAgentOptions
{
    /// <summary>
    /// The agents that can move out, by the name in their setting: those of an investigation, the one that carries out fixes, and the
    /// operational one, which is not part of this program.
    /// </summary>
    public static readonly IReadOnlyList<string> Agents = ["sre", "investigator", "architect", Remediation, Operational];

    public const string Remediation = "remediation";
    public const string Operational = "gcloud";

    /// <summary>
    /// Base addresses as they were given, by agent; <c>/chat</c>, or <c>/execute</c> for the last two, is added. An agent without one works
    /// in this process.
    /// </summary>
    public Dictionary<string, string> Urls { get; } = new(StringComparer.Ordinal);

    /// <summary>The address of an agent's route; null when it works in this process.</summary>
    public Uri? Route(string agent, string route) =>
        Urls.TryGetValue(agent, out var url) ? new Uri($"{url.TrimEnd('/')}/{route}") : null;

    /// <summary>The name of an agent's setting.</summary>
    public static string Setting(string agent) => $"{agent.ToUpperInvariant()}_AGENT_URL";

    public static void Read(RemoteAgentOptions options, IConfiguration configuration)
    {
        foreach (var agent in Agents)
        {
            if (configuration[Setting(agent)] is { Length: > 0 } url)
            {
                options.Urls[agent] = url;
            }
        }
    }

    /// <summary>Every address that is none, naming its setting.</summary>
    public static IEnumerable<string> Check(IConfiguration configuration) =>
        Agents.Where(agent => configuration[Setting(agent)] is { Length: > 0 } url && !SettingFaults.IsHttpAddress(url))
            .Select(agent => $"{Setting(agent)} must {SettingFaults.HttpAddressRule}");
}
