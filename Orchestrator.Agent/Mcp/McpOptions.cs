using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Mcp;

/// <summary>Model Context Protocol servers whose tools agents may call; section <c>Mcp</c>. None by default.</summary>
internal sealed class McpOptions
{
    public const string Section = "Mcp";

    /// <summary>
    /// The agents that can be given tools: the planner thinks in steps, the model of the others looks around. The remediation agent is none
    /// of them: it has no model, and what it may do is its own allow-list alone.
    /// </summary>
    public static readonly string[] Agents = ["planner", "sre", "investigator", "architect"];

    public IList<McpServer> Servers { get; } = [];

    /// <summary>Longest call of a tool; a call never gets more than half of the job's working time that is left.</summary>
    public TimeSpan CallTimeout { get; set; } = TimeSpan.FromSeconds(300);

    /// <summary>Longest time to connect and to agree on a protocol.</summary>
    public TimeSpan ConnectTimeout { get; set; } = TimeSpan.FromSeconds(10);
}

/// <summary>One server, spoken to over streamable HTTP.</summary>
internal sealed class McpServer
{
    /// <summary>Its name in spans (<c>mcp.server_id</c>), warnings, and before its tools' names.</summary>
    public string Id { get; set; } = "";

    public string Url { get; set; } = "";

    /// <summary>Sent as a bearer token; empty = none.</summary>
    public string Token { get; set; } = "";

    /// <summary>Whose tools they are.</summary>
    public IList<string> Agents { get; } = [];

    /// <summary>The tools that may be called; empty = those that the server declares to be read-only.</summary>
    public IList<string> Tools { get; } = [];
}

/// <summary>All faults of the servers at once, each naming its key.</summary>
internal sealed partial class ValidateMcpOptions : IValidateOptions<McpOptions>
{
    public ValidateOptionsResult Validate(string? name, McpOptions options)
    {
        var faults = new List<string>();
        for (var i = 0; i < options.Servers.Count; i++)
        {
            var server = options.Servers[i];
            var key = $"{McpOptions.Section}:Servers:{i}";
            if (!Id().IsMatch(server.Id))
            {
                faults.Add($"{key}:Id must be 1 to 24 letters, digits, '-' or '_', got '{server.Id}'");
            }

            if (!Uri.TryCreate(server.Url, UriKind.Absolute, out var url) || url.Scheme is not ("http" or "https"))
            {
                faults.Add($"{key}:Url must be an absolute http(s) address, got '{server.Url}'");
            }

            if (server.Agents.Count == 0 || server.Agents.Any(agent => !McpOptions.Agents.Contains(agent, StringComparer.Ordinal)))
            {
                faults.Add(
                    $"{key}:Agents must name some of {string.Join(", ", McpOptions.Agents)}, got '{string.Join(", ", server.Agents)}'");
            }
        }

        if (options.Servers.Select(server => server.Id).Distinct(StringComparer.Ordinal).Count() < options.Servers.Count)
        {
            faults.Add(
                $"{McpOptions.Section}:Servers must have different Ids, got '{string.Join(", ", options.Servers.Select(s => s.Id))}'");
        }

        if (options.CallTimeout <= TimeSpan.Zero || options.ConnectTimeout <= TimeSpan.Zero)
        {
            faults.Add(
                $"{McpOptions.Section}:CallTimeout and ConnectTimeout must be above 0, got '{options.CallTimeout}' and " +
                $"'{options.ConnectTimeout}'");
        }

        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,24}\z", RegexOptions.None, 1000)]
    private static partial Regex Id();
}
