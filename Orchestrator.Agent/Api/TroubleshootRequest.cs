using System.Globalization;

namespace Orchestrator.Agent.Api;

/// <summary>The body of <c>POST /jobs</c> and its aliases; unknown fields are ignored.</summary>
internal sealed record TroubleshootRequest
{
    /// <summary>Longest accepted request text, in characters.</summary>
    public const int MaxPromptChars = 20_000;

    /// <summary>Longest accepted name or address, in characters.</summary>
    public const int MaxNameChars = 2000;
    private const int MaxShownChars = 100;

    /// <summary>Longest window that is compared.</summary>
    private static readonly TimeSpan s_longestWindow = TimeSpan.FromDays(7);
    private static readonly DateTimeOffset s_earliest = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset s_latest = new(2200, 1, 1, 0, 0, 0, TimeSpan.Zero);

    public string? Prompt { get; init; }
    public string? UserRequest { get; init; }
    public string? ProjectId { get; init; }
    public string? RepoUrl { get; init; }
    public string? UserEmail { get; init; }
    public string? SessionId { get; init; }

    /// <summary>Telemetry project to look at; without one, all but the orchestrator's own.</summary>
    public string? Project { get; init; }
    public string? StartTime { get; init; }
    public string? EndTime { get; init; }
    public double? HoursAgo { get; init; }

    /// <summary>The service the user suspects: shown, never believed without evidence.</summary>
    public string? Service { get; init; }
    public string? BaselineProject { get; init; }
    public string? BaselineStart { get; init; }
    public string? BaselineEnd { get; init; }

    /// <summary>What the user asked, from whichever of the two fields holds it.</summary>
    public string Text => (string.IsNullOrWhiteSpace(UserRequest) ? Prompt : UserRequest)?.Trim() ?? "";

    /// <summary>The first fault of this request in words for the caller; null when it may run.</summary>
    public string? Fault(DateTimeOffset now)
    {
        if (Text.Length == 0)
        {
            return "Prompt/user_request is required";
        }

        if (Text.Length > MaxPromptChars)
        {
            return $"user_request must be at most {MaxPromptChars} characters, got {Text.Length}";
        }

        foreach (var (name, value) in new[]
        {
            ("project", Project), ("project_id", ProjectId), ("repo_url", RepoUrl), ("service", Service),
            ("baseline_project", BaselineProject),
        })
        {
            if (value?.Length > MaxNameChars)
            {
                return $"{name} must be at most {MaxNameChars} characters, got {value.Length}";
            }
        }

        return TimeFault() ?? WindowFault("start_time", StartTime, "end_time", EndTime, now)
            ?? WindowFault("baseline_start", BaselineStart, "baseline_end", BaselineEnd, now);
    }

    private string? TimeFault()
    {
        foreach (var (name, value) in new[]
        {
            ("start_time", StartTime), ("end_time", EndTime), ("baseline_start", BaselineStart), ("baseline_end", BaselineEnd),
        })
        {
            if (value is null)
            {
                continue;
            }

            if (ParseTime(value) is not { } time)
            {
                var shown = value.Length <= MaxShownChars ? value : value[..MaxShownChars] + "…";
                return $"{name} must be an ISO 8601 time such as 2026-01-31T12:00:00Z, got '{shown}'";
            }

            if (time < s_earliest || time > s_latest)
            {
                return $"{name} must lie between {s_earliest.Year} and {s_latest.Year}, got '{value}'";
            }
        }

        return HoursAgo is null || (HoursAgo > 0 && HoursAgo <= s_longestWindow.TotalHours) ? null
            : $"hours_ago must be above 0 and at most {s_longestWindow.TotalHours:0}, got " +
                HoursAgo.Value.ToString(CultureInfo.InvariantCulture);
    }

    /// <summary>What is wrong with the ends of a window; an end that is left out is now.</summary>
    private static string? WindowFault(string startName, string? startText, string endName, string? endText, DateTimeOffset now)
    {
        if (ParseTime(startText) is not { } start)
        {
            return null;
        }

        var end = ParseTime(endText);
        return end <= start ? $"{endName} must be after {startName}"
            : end is null && start >= now ? $"{startName} lies in the future, got '{startText}'; name an {endName} too if that is meant"
            : (end ?? now) - start > s_longestWindow
                ? $"the time from {startName} to {endName} must be at most {s_longestWindow.TotalDays:0} days; name a later {startName} " +
                    $"or an {endName}"
            : null;
    }

    /// <summary>An ISO 8601 time, read as UTC when it names no offset; null when it is none.</summary>
    public static DateTimeOffset? ParseTime(string? text) =>
        DateTimeOffset.TryParse(
            text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            ? time
            : null;
}

/// <summary>The body of <c>POST /jobs/{id}/resume</c>, <c>/approve</c> and <c>/reject</c>.</summary>
internal sealed record ReplyRequest
{
    public string? Message { get; init; }
    public string? ProjectId { get; init; }
    public IReadOnlyList<int>? StepIds { get; init; }
    public string? Comment { get; init; }
    public string? Reason { get; init; }

    /// <summary>Must equal the hash shown with a remediation command; an approval without it approves no write.</summary>
    public string? CommandHash { get; init; }
}

/// <summary>The body of <c>POST /jobs/{id}/events</c>.</summary>
internal sealed record JobEventRequest
{
    public string Type { get; init; } = "INFO";
    public string? Message { get; init; }
    public string Source { get; init; } = "unknown";
}
