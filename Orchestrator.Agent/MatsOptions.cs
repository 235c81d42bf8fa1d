using MatsObservability.ServiceDefaults;

namespace Orchestrator.Agent;

/// <summary>How the orchestrator runs; section <c>Mats</c>. Model settings stand in <c>Llm</c>.</summary>
internal sealed class MatsOptions
{
    public const string Section = "Mats";

    /// <summary>Project that holds the orchestrator's own spans; never investigated unless asked for by name.</summary>
    public string OwnProject { get; set; } = "finoptiagents-MATS";

    /// <summary>Base address of Phoenix.Service; empty = <c>services:phoenix:http:0</c>, else http://127.0.0.1:6006.</summary>
    public string PhoenixUrl { get; set; } = "";

    /// <summary>PEM file of the root that Phoenix.Service's certificate must lead to; empty = the system's roots.</summary>
    public string PhoenixCaFile { get; set; } = "";

    /// <summary>Base of the links in results; empty = the first address this service listens on.</summary>
    public string PublicUrl { get; set; } = "";

    /// <summary>Investigations that run at once in this process.</summary>
    public int Concurrency { get; set; } = 4;

    /// <summary>How long a replica owns a job without renewing; another may take it up afterwards.</summary>
    public TimeSpan Lease { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How long a read waits for Phoenix.Service to come back before the investigation goes on without it.</summary>
    public TimeSpan PhoenixPatience { get; set; } = TimeSpan.FromSeconds(45);

    /// <summary>A stream of telemetry that brings nothing for this long counts as broken off, and is read again.</summary>
    public TimeSpan PhoenixStall { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Working time of one investigation; waiting for the user does not count.</summary>
    public TimeSpan ActiveTime { get; set; } = TimeSpan.FromSeconds(300);

    /// <summary>Tool calls of one investigation; the next one is refused.</summary>
    public int ToolCalls { get; set; } = 100;

    /// <summary>How often one agent may be asked again.</summary>
    public int RetriesPerAgent { get; set; } = 3;

    /// <summary>How long a signed RCA link is good.</summary>
    public TimeSpan LinkLifetime { get; set; } = TimeSpan.FromDays(7);

    /// <summary>Days that jobs, their events and documents are kept after their end; 0 = for ever.</summary>
    public int RetentionDays { get; set; } = 90;

    /// <summary>How long an open event stream lasts.</summary>
    public TimeSpan StreamLifetime { get; set; } = TimeSpan.FromSeconds(1800);

    /// <summary>Pause between heartbeat comments of an event stream.</summary>
    public TimeSpan StreamHeartbeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>A stream whose reader takes longer than this for one write is closed.</summary>
    public TimeSpan SlowReader { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Where cloned repositories are kept; empty = a folder of the system's temporary folder, for this account alone.</summary>
    public string RepositoryCache { get; set; } = "";

    /// <summary>
    /// The folders in which a <c>repo_url</c> may name a local path; empty = all, or none where callers need a token or a role.
    /// </summary>
    public IList<string> RepositoryRoots { get; } = [];

    /// <summary>Roles by e-mail address; when <see cref="EnforcePolicy"/> is on, an address without a role is refused.</summary>
    public Dictionary<string, string> Roles { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Who may call, by bearer token; empty = nobody is asked for one, and users are who they say.</summary>
    public IList<ApiToken> Tokens { get; } = [];

    /// <summary>The token for agents in other processes; empty = none is sent.</summary>
    public string AgentToken { get; set; } = "";

    /// <summary>Refuse requests whose user has no role for the agent; off for local use.</summary>
    public bool EnforcePolicy { get; set; }

    /// <summary>One sentence a broken rule; none holds a token.</summary>
    public static IEnumerable<string> Check(MatsOptions options)
    {
        var (day, hour, minute) = (TimeSpan.FromDays(1), TimeSpan.FromHours(1), TimeSpan.FromMinutes(1));
        var (second, instant) = (TimeSpan.FromSeconds(1), TimeSpan.FromMilliseconds(10));
        var faults = new SettingFaults(Section);
        faults.Require(!string.IsNullOrWhiteSpace(options.OwnProject), nameof(OwnProject), "not be empty");
        faults.HttpAddress(nameof(PhoenixUrl), options.PhoenixUrl);
        faults.HttpAddress(nameof(PublicUrl), options.PublicUrl);
        faults.Require(
            options.PhoenixCaFile.Length == 0 || File.Exists(options.PhoenixCaFile), nameof(PhoenixCaFile), "name an existing file",
            options.PhoenixCaFile);
        faults.Between(nameof(Concurrency), options.Concurrency, 1, 64);
        faults.Between(nameof(Lease), options.Lease, second, hour);
        faults.Between(nameof(PhoenixPatience), options.PhoenixPatience, TimeSpan.Zero, hour);
        faults.Between(nameof(PhoenixStall), options.PhoenixStall, instant, hour);
        faults.Between(nameof(ActiveTime), options.ActiveTime, second, day);
        faults.Between(nameof(ToolCalls), options.ToolCalls, 1, 100_000);
        faults.Between(nameof(RetriesPerAgent), options.RetriesPerAgent, 0, 100);
        faults.Between(nameof(LinkLifetime), options.LinkLifetime, minute, 3660 * day);
        faults.Between(nameof(RetentionDays), options.RetentionDays, 0, 36_500);
        faults.Between(nameof(StreamLifetime), options.StreamLifetime, second, day);
        faults.Between(nameof(StreamHeartbeat), options.StreamHeartbeat, instant, hour);
        faults.Between(nameof(SlowReader), options.SlowReader, instant, hour);
        faults.Require(
            !File.Exists(options.RepositoryCache) && !options.RepositoryCache.Any(char.IsControl), nameof(RepositoryCache), "name a folder",
            options.RepositoryCache);
        faults.Require(
            options.RepositoryRoots.All(static root => Path.IsPathFullyQualified(root) && !root.Any(char.IsControl)),
            nameof(RepositoryRoots), "name folders by absolute paths", string.Join(", ", options.RepositoryRoots));
        faults.Require(!options.AgentToken.Any(char.IsControl), nameof(AgentToken), "have no control characters");
        foreach (var (user, role) in options.Roles)
        {
            faults.Require(
                Api.AccessPolicy.IsRole(role), $"{nameof(Roles)}:{user}", $"be one of {string.Join(", ", Api.AccessPolicy.Roles)}", role);
        }

        for (var i = 0; i < options.Tokens.Count; i++)
        {
            var token = options.Tokens[i];
            faults.Require(!string.IsNullOrWhiteSpace(token.User), $"{nameof(Tokens)}:{i}:{nameof(token.User)}", "not be empty");
            faults.Require(
                token.User.Length <= Api.RequestIdentity.MaxChars, $"{nameof(Tokens)}:{i}:{nameof(token.User)}",
                $"have at most {Api.RequestIdentity.MaxChars} characters", $"{token.User.Length} characters");
            faults.Require(
                token.Token.Length >= ApiToken.LeastChars, $"{nameof(Tokens)}:{i}:{nameof(token.Token)}",
                $"have at least {ApiToken.LeastChars} characters", $"{token.Token.Length} characters");
        }

        return faults.Found;
    }
}

/// <summary>A bearer token and whose it is.</summary>
internal sealed class ApiToken
{
    /// <summary>Fewest characters of a token: shorter ones can be guessed.</summary>
    public const int LeastChars = 16;

    public string User { get; set; } = "";

    public string Token { get; set; } = "";
}
