using MatsObservability.ServiceDefaults;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>What the remediation agent may do; section <c>Remediation</c>. Empty by default: it may do nothing.</summary>
internal sealed class RemediationOptions
{
    public const string Section = "Remediation";

    /// <summary>The only commands that may run.</summary>
    public IList<AllowedCommand> Commands { get; } = [];

    /// <summary>Beginnings of the addresses that may be probed before and after.</summary>
    public IList<string> Targets { get; } = [];

    /// <summary>How long a proposal may be approved.</summary>
    public TimeSpan ApprovalLifetime { get; set; } = TimeSpan.FromMinutes(30);

    /// <summary>Longest run of one command.</summary>
    public TimeSpan CommandTimeout { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>How far back the validation query looks at most; after a fix never further than to it.</summary>
    public TimeSpan ValidationWindow { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a service may take to recover before a fix counts as no help and is rolled back.</summary>
    public TimeSpan ValidationPatience { get; set; } = TimeSpan.FromMinutes(1);

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(RemediationOptions options)
    {
        var faults = new SettingFaults(Section);
        for (var i = 0; i < options.Commands.Count; i++)
        {
            var command = options.Commands[i];
            var key = $"{nameof(Commands)}:{i}";
            faults.Require(
                Path.IsPathFullyQualified(command.Program), $"{key}:{nameof(command.Program)}", "be a full path", command.Program);
            faults.Require(
                command.Proposal.Count == 0 || (command.Proposal.Count == command.Arguments.Count && command.FaultTypes.Count > 0),
                $"{key}:{nameof(command.Proposal)}",
                $"have as many entries as Arguments ({command.Arguments.Count}) and name FaultTypes",
                $"{command.Proposal.Count} and {command.FaultTypes.Count}");
            foreach (var pattern in command.Arguments)
            {
                faults.Require(SettingFaults.IsRegex(pattern), $"{key}:{nameof(command.Arguments)}", "be regular expressions", pattern);
            }
        }

        foreach (var target in options.Targets)
        {
            faults.Require(
                SettingFaults.IsHttpAddress(target), nameof(Targets), "be absolute http(s) addresses",
                SettingFaults.WithoutCredentials(target));
        }

        var (second, day) = (TimeSpan.FromSeconds(1), TimeSpan.FromDays(1));
        faults.Between(nameof(ApprovalLifetime), options.ApprovalLifetime, second, 30 * day);
        faults.Between(nameof(CommandTimeout), options.CommandTimeout, second, day);
        faults.Between(nameof(ValidationWindow), options.ValidationWindow, second, day);
        faults.Between(nameof(ValidationPatience), options.ValidationPatience, TimeSpan.Zero, day);
        return faults.Found;
    }
}

/// <summary>One command of the allow-list: a program and the pattern of each of its arguments.</summary>
internal sealed class AllowedCommand
{
    /// <summary>Full path of the program; a command of an RCA names it by this path or by its file name.</summary>
    public string Program { get; set; } = "";

    /// <summary>One regular expression for each argument, matched against the whole of it.</summary>
    public IList<string> Arguments { get; } = [];

    /// <summary>
    /// Arguments of the same program that undo it; <c>{n}</c> stands for the n-th argument (from 0). Empty = it cannot be undone.
    /// </summary>
    public IList<string> Rollback { get; } = [];

    /// <summary>
    /// Arguments by which this command puts right what an RCA found, with <c>{service}</c>, and of the blamed change <c>{target}</c>,
    /// <c>{field}</c>,
    /// <c>{before}</c>, <c>{after}</c>; the result must match <see cref="Arguments"/>. Empty = no RCA proposes this command.
    /// </summary>
    public IList<string> Proposal { get; } = [];

    /// <summary>The fault types that <see cref="Proposal"/> puts right.</summary>
    public IList<string> FaultTypes { get; } = [];

    /// <summary>
    /// Arguments of the same program that show what would change, without changing it; empty = the command line itself is shown.
    /// </summary>
    public IList<string> DryRun { get; } = [];
}
