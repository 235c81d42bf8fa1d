using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>A proposed change and how far it got. Nothing is written before <see cref="ApprovedBy"/> is set.</summary>
internal sealed record RemediationState(
    Rca.RemediationSpec Spec, IReadOnlyList<string> Command, string CommandHash, IReadOnlyList<string>? Rollback, string DryRun)
{
    private static readonly string[] s_order = ["PRE_VERIFY", "APPROVE", "APPLY_FIX", "POST_VERIFY", "DOCUMENT"];

    /// <summary>How the pending step of an approval begins.</summary>
    public const string ApprovalNeed = "Approval of command ";

    /// <summary>An approval after this instant counts for nothing.</summary>
    public DateTimeOffset ExpiresAt { get; init; }
    public string? ApprovedBy { get; init; }

    /// <summary>The phase whose command runs now, set before it starts: a restart in between must not run it again.</summary>
    public string? Executing { get; init; }
    public string? ReportUrl { get; init; }
    public IReadOnlyList<RemediationStep> Steps { get; init; } = [];

    /// <summary>The outcome of a phase that is done; null when it is not.</summary>
    public string? OutcomeOf(string phase) => Steps.LastOrDefault(step => step.Phase == phase)?.Outcome;

    /// <summary>The phase that is under way, or comes next.</summary>
    [System.Text.Json.Serialization.JsonIgnore]
    public string Next => Executing ?? s_order.FirstOrDefault(phase => OutcomeOf(phase) is null) ?? s_order[^1];

    /// <summary>This state with a phase done.</summary>
    public RemediationState With(string phase, string outcome, string detail, DateTimeOffset now) =>
        this with { Steps = [.. Steps, new(phase, outcome, detail, now)] };
}

/// <param name="Phase">PRE_VERIFY, APPROVE, APPLY_FIX, POST_VERIFY, ROLLBACK or DOCUMENT.</param>
internal sealed record RemediationStep(string Phase, string Outcome, string Detail, DateTimeOffset Timestamp);

/// <summary>The specification in a text of lines <c>NAME: value</c>.</summary>
internal static partial class RemediationText
{
    /// <summary>The specification; null unless the text names at least a command. Of a line that comes twice the first counts.</summary>
    public static Rca.RemediationSpec? Parse(string text)
    {
        var fields = Line().Matches(text).DistinctBy(match => match.Groups["name"].Value).ToDictionary(
            match => match.Groups["name"].Value, match => match.Groups["value"].Value.Trim(), StringComparer.Ordinal);
        return fields.GetValueOrDefault("REMEDIATION_COMMAND") is { Length: > 0 } command
            ? new(fields.GetValueOrDefault("TARGET_URL"), fields.GetValueOrDefault("REPRODUCTION_SCENARIO"), command,
                fields.GetValueOrDefault("VALIDATION_QUERY"),
                fields.GetValueOrDefault("VALIDATION_THRESHOLD"))
            : null;
    }

    [GeneratedRegex(
        @"^\s*(?<name>TARGET_URL|REPRODUCTION_SCENARIO|REMEDIATION_COMMAND|VALIDATION_QUERY|VALIDATION_THRESHOLD):(?<value>[^\r\n]*)",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Line();
}
