using System.Text.RegularExpressions;
using MatsObservability.ServiceDefaults;

namespace Orchestrator.Agent.Mcp;

/// <summary>Model Context Protocol servers whose tools agents may call; section <c>Mcp</c>. None by default.</summary>
internal sealed partial class McpOptions
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

    /// <summary>One sentence a broken rule; none holds a token.</summary>
    public static IEnumerable<string> Check(McpOptions options)
    {
        var faults = new SettingFaults(Section);
        for (var i = 0; i < options.Servers.Count; i++)
        {
            var server = options.Servers[i];
            var key = $"{nameof(Servers)}:{i}";
            faults.Require(
                Id().IsMatch(server.Id), $"{key}:{nameof(server.Id)}", "be 1 to 24 letters, digits, '-' or '_'", server.Id);
            faults.Require(
                SettingFaults.IsHttpAddress(server.Url), $"{key}:{nameof(server.Url)}", SettingFaults.HttpAddressRule,
                SettingFaults.WithoutCredentials(server.Url));
            faults.Require(!server.Token.Any(char.IsControl), $"{key}:{nameof(server.Token)}", "have no control characters");
            faults.Require(
                server.Agents.Count > 0 && server.Agents.All(agent => Agents.Contains(agent, StringComparer.Ordinal)),
                $"{key}:{nameof(server.Agents)}", $"name some of {string.Join(", ", Agents)}", string.Join(", ", server.Agents));
            faults.Require(
                !server.Tools.Any(string.IsNullOrWhiteSpace), $"{key}:{nameof(server.Tools)}", "name a tool in each entry");
        }

        faults.Require(
            options.Servers.Select(server => server.Id).Distinct(StringComparer.Ordinal).Count() == options.Servers.Count,
            nameof(Servers), "have different Ids", string.Join(", ", options.Servers.Select(server => server.Id)));
        faults.Between(nameof(CallTimeout), options.CallTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromDays(1));
        faults.Between(nameof(ConnectTimeout), options.ConnectTimeout, TimeSpan.FromMilliseconds(10), TimeSpan.FromHours(1));
        return faults.Found;
    }

    [GeneratedRegex(@"\A[A-Za-z0-9_-]{1,24}\z", RegexOptions.None, 1000)]
    private static partial Regex Id();
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
