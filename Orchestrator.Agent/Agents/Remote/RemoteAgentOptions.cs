using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Agents.Remote;

/// <summary>
/// Agents that run in processes of their own (reference/mats.md §1): <c>SRE_AGENT_URL</c>, <c>INVESTIGATOR_AGENT_URL</c>,
/// <c>ARCHITECT_AGENT_URL</c>.
/// </summary>
internal sealed partial class RemoteAgentOptions
{
    /// <summary>The agents that can move out, by the name in their setting and their route.</summary>
    public static readonly IReadOnlyList<string> Agents = ["sre", "investigator", "architect"];

    /// <summary>Settings of the original system that this one has no counterpart for.</summary>
    private static readonly string[] s_unknown = ["GCLOUD_AGENT_URL", "REMEDIATION_AGENT_URL"];

    /// <summary>Base addresses as they were given, by agent; <c>/chat</c> is added. An agent without one works in this process.</summary>
    public Dictionary<string, string> Urls { get; } = new(StringComparer.Ordinal);

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

    /// <summary>Says of settings that look like these, but mean nothing here, that they do.</summary>
    public static void WarnOfUnknown(IConfiguration configuration, ILogger logger)
    {
        foreach (var setting in s_unknown.Where(setting => !string.IsNullOrEmpty(configuration[setting])))
        {
            Log.UnknownSetting(logger, setting, string.Join(", ", Agents.Select(Setting)));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4050, LogLevel.Warning,
            "{Setting} means nothing here: this agent always works in this process. Agents that can move out: {Known}")]
        public static partial void UnknownSetting(ILogger logger, string setting, string known);
    }
}

/// <summary>Every address that is none, naming its setting.</summary>
internal sealed class ValidateRemoteAgentOptions : IValidateOptions<RemoteAgentOptions>
{
    public ValidateOptionsResult Validate(string? name, RemoteAgentOptions options)
    {
        var faults = options.Urls.Where(static pair => !IsHttp(pair.Value))
            .Select(static pair => $"{RemoteAgentOptions.Setting(pair.Key)} must be an absolute http(s) address, got '{pair.Value}'")
                .ToList();
        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    private static bool IsHttp(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";
}
