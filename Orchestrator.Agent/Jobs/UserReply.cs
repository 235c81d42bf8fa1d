using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Jobs;

/// <summary>What the user's answer to a paused job changes before it goes on.</summary>
internal static partial class UserReply
{
    /// <summary>Takes the answer up once; a run that is taken up again after a crash does not take it twice.</summary>
    public static void Apply(JobRecord job, InvestigationState state)
    {
        if (job.Reply is not { } reply || state.AnsweredAt == reply.Time)
        {
            return;
        }

        state.AnsweredAt = reply.Time;
        state.Replies++;
        state.ProjectId = reply.ProjectId ?? ProjectId(reply.Message) ?? state.ProjectId;

        // What was asked for is given now, or never: the blocker is found again if it is still there.
        state.Blockers.Clear();
    }

    /// <summary>
    /// The project named by <c>project id: x</c>, <c>project name = x</c> or <c>gcp project: x</c>; null when the text names none.
    /// </summary>
    public static string? ProjectId(string? message) =>
        message is not null && Project().Match(message) is { Success: true } match && match.Groups["id"].Value is not "yes" and var id
            ? id : null;

    [GeneratedRegex(@"\b(gcp\s+project|project(\s+(id|name))?)\s*[:=]\s*(?<id>[a-z0-9-]+)(?![A-Za-z0-9-])",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, 1000)]
    private static partial Regex Project();
}
