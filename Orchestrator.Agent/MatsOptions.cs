using Microsoft.Extensions.Options;

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

    /// <summary>How long an open event stream lasts.</summary>
    public TimeSpan StreamLifetime { get; set; } = TimeSpan.FromSeconds(1800);

    /// <summary>Pause between heartbeat comments of an event stream.</summary>
    public TimeSpan StreamHeartbeat { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>A stream whose reader takes longer than this for one write is closed.</summary>
    public TimeSpan SlowReader { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>Where cloned repositories are kept; empty = a folder of the system's temporary folder.</summary>
    public string RepositoryCache { get; set; } = "";

    /// <summary>Roles by e-mail address; when <see cref="EnforcePolicy"/> is on, an address without a role is refused.</summary>
    public Dictionary<string, string> Roles { get; set; } = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>Who may call, by bearer token; empty = nobody is asked for one, and users are who they say.</summary>
    public IList<ApiToken> Tokens { get; } = [];

    /// <summary>The token for agents in other processes; empty = none is sent.</summary>
    public string AgentToken { get; set; } = "";

    /// <summary>Refuse requests whose user has no role for the agent; off for local use.</summary>
    public bool EnforcePolicy { get; set; }
}

/// <summary>A bearer token and whose it is.</summary>
internal sealed class ApiToken
{
    /// <summary>Fewest characters of a token: shorter ones can be guessed.</summary>
    public const int LeastChars = 16;

    public string User { get; set; } = "";

    public string Token { get; set; } = "";
}

/// <summary>All faults of the settings at once, each naming its key.</summary>
internal sealed class ValidateMatsOptions : IValidateOptions<MatsOptions>
{
    public ValidateOptionsResult Validate(string? name, MatsOptions options)
    {
        var faults = new List<string>();
        Require(!string.IsNullOrWhiteSpace(options.OwnProject), nameof(options.OwnProject), "not be empty", options.OwnProject);
        Require(
            options.PhoenixUrl.Length == 0 || IsHttp(options.PhoenixUrl), nameof(options.PhoenixUrl), "be an http(s) address",
            options.PhoenixUrl);
        Require(
            options.PublicUrl.Length == 0 || IsHttp(options.PublicUrl), nameof(options.PublicUrl), "be an http(s) address",
            options.PublicUrl);
        Require(
            options.PhoenixCaFile.Length == 0 || File.Exists(options.PhoenixCaFile), nameof(options.PhoenixCaFile), "name an existing file",
            options.PhoenixCaFile);
        Require(options.Concurrency is >= 1 and <= 64, nameof(options.Concurrency), "be 1 to 64", options.Concurrency);
        Require(options.Lease >= TimeSpan.FromSeconds(1), nameof(options.Lease), "be at least 1 s", options.Lease);
        Require(options.PhoenixPatience >= TimeSpan.Zero, nameof(options.PhoenixPatience), "not be negative", options.PhoenixPatience);
        Require(options.PhoenixStall > TimeSpan.Zero, nameof(options.PhoenixStall), "be above 0", options.PhoenixStall);
        Require(options.ActiveTime > TimeSpan.Zero, nameof(options.ActiveTime), "be above 0", options.ActiveTime);
        Require(options.ToolCalls >= 1, nameof(options.ToolCalls), "be at least 1", options.ToolCalls);
        Require(options.RetriesPerAgent >= 0, nameof(options.RetriesPerAgent), "not be negative", options.RetriesPerAgent);
        Require(options.LinkLifetime > TimeSpan.Zero, nameof(options.LinkLifetime), "be above 0", options.LinkLifetime);
        Require(options.StreamHeartbeat > TimeSpan.Zero, nameof(options.StreamHeartbeat), "be above 0", options.StreamHeartbeat);
        Require(options.SlowReader > TimeSpan.Zero, nameof(options.SlowReader), "be above 0", options.SlowReader);
        foreach (var (user, role) in options.Roles)
        {
            Require(Api.AccessPolicy.IsRole(role), $"Roles:{user}", $"be one of {string.Join(", ", Api.AccessPolicy.Roles)}", role);
        }

        for (var i = 0; i < options.Tokens.Count; i++)
        {
            Require(options.Tokens[i].User.Trim().Length > 0, $"Tokens:{i}:User", "not be empty", options.Tokens[i].User);

            // The token itself stays out of the message.
            Require(
                options.Tokens[i].Token.Length >= ApiToken.LeastChars, $"Tokens:{i}:Token",
                $"have at least {ApiToken.LeastChars} characters", $"{options.Tokens[i].Token.Length} characters");
        }

        return faults.Count == 0 ? ValidateOptionsResult.Success : ValidateOptionsResult.Fail(faults);

        void Require(bool holds, string key, string rule, object? got)
        {
            if (!holds)
            {
                faults.Add($"{MatsOptions.Section}:{key} must {rule}, got '{got}'");
            }
        }
    }

    private static bool IsHttp(string url) => Uri.TryCreate(url, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";
}
