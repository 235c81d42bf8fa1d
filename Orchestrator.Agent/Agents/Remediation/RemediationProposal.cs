using System.Text.RegularExpressions;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>
/// The remediation an RCA proposes: a command of the allow-list that undoes the blamed change, or the reason why there is none. What
/// telemetry says fills the arguments, so the filled command must match the list's patterns like any other; and nothing runs without its
/// approval.
/// </summary>
internal static partial class RemediationProposal
{
    private const string Unseen =
        "No error rate or latency of a service tells the incident from the time before it, so nobody could see that a command has helped.";

    /// <summary>The specification for the first of the verified causes.</summary>
    public static RemediationSpec For(IReadOnlyList<RankedCause> causes, RemediationOptions options)
    {
        if (causes.Count == 0)
        {
            return new(null, null, "", null, null) { NoCommandReason = "No cause is claimed, so there is nothing to put right." };
        }

        var cause = causes[0];
        var command = Command(cause, options);
        var reason = command is null ? Reason(cause, options) : cause.Recovery is null ? Unseen : null;
        return new(
            null, $"Repeat the requests of the failing traces and watch {cause.Service}.", reason is null ? command : "",
            cause.Recovery?.Query, cause.Recovery?.Threshold)
        {
            NoCommandReason = reason,
        };
    }

    private static string? Command(RankedCause cause, RemediationOptions options)
    {
        foreach (var allowed in options.Commands.Where(allowed => allowed.FaultTypes.Contains(cause.FaultType)))
        {
            var arguments = allowed.Proposal.Select(part => Fill(part, cause)).ToList();
            if (arguments.Count > 0 && !arguments.Contains(null)
                && CommandLine.Join([allowed.Program, .. arguments.OfType<string>()]) is { } text
                    && CommandLine.Permit(text, options) is not null)
            {
                return text;
            }
        }

        return null;
    }

    private static string Reason(RankedCause cause, RemediationOptions options) => cause switch
    {
        { Location.Kind: "code" } => "The cause lies in code: a command cannot put it right (MANUAL_CODE_FIX_REQUIRED).",
        _ when options.Commands.All(allowed => !allowed.FaultTypes.Contains(cause.FaultType)) =>
            $"No command of the allow-list (Remediation:Commands) is for {cause.FaultType}.",
        { Change: null } => "The evidence names no change that could be undone.",
        _ => "What the evidence says of the change does not fit the patterns of the allow-list.",
    };

    /// <summary>A template with its placeholders filled; null when the evidence lacks one.</summary>
    private static string? Fill(string template, RankedCause cause)
    {
        var complete = true;
        var filled = Placeholder().Replace(template, match =>
        {
            var value = match.Groups["name"].Value switch
            {
                "service" => cause.Service,
                "target" => cause.Change?.Target,
                "field" => cause.Change?.Field,
                "before" => cause.Change?.Before,
                _ => cause.Change?.After,
            };
            complete &= !string.IsNullOrEmpty(value);
            return value ?? "";
        });
        return complete ? filled : null;
    }

    [GeneratedRegex(@"\{(?<name>service|target|field|before|after)\}", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Placeholder();
}
