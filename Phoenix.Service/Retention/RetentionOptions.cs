using System.Globalization;

namespace Phoenix.Service.Retention;

/// <summary>
/// How long telemetry is kept, by its own time: the start of a span, the time of a log record or metric point.
/// </summary>
internal sealed class RetentionOptions
{
    public const string Section = "Phoenix:Retention";

    /// <summary>Days that telemetry is kept; 0 = for ever (PHOENIX_DATA_RETENTION_DAYS).</summary>
    public int Days { get; set; } = 90;

    /// <summary>Days by project, as <c>name=30</c>; wins over <see cref="Days"/>.</summary>
    public string[] ProjectDays { get; set; } = [];

    /// <summary>
    /// Days that a partition is left alone after rows came in, though their time has passed: an import of old data is not removed at once.
    /// Never more than the days kept.
    /// </summary>
    public int LateDays { get; set; } = 7;

    /// <summary>Only say what would be removed.</summary>
    public bool DryRun { get; set; }

    /// <summary>Pause between two runs; the first one comes after it.</summary>
    public TimeSpan Interval { get; set; } = TimeSpan.FromHours(1);

    /// <summary>Most rows removed in one transaction where a partition cannot be dropped.</summary>
    public int StepRows { get; set; } = 10_000;

    /// <summary>Days that telemetry of <paramref name="project"/> is kept; 0 = for ever.</summary>
    public int DaysOf(string project)
    {
        foreach (var entry in ProjectDays)
        {
            if (TryParse(entry, out var name, out var days) && name == project)
            {
                return days;
            }
        }

        return Days;
    }

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(RetentionOptions options)
    {
        if (options.Days is < 0 or > 36_500)
        {
            yield return $"{Key(nameof(Days))} must be from 0 (for ever) to 36500, got {options.Days}";
        }

        foreach (var entry in options.ProjectDays.Where(static entry => !TryParse(entry, out _, out _)))
        {
            yield return $"{Key(nameof(ProjectDays))} must be name=days with days from 0 (for ever) to 36500, got '{entry}'";
        }

        if (options.LateDays is < 0 or > 3660)
        {
            yield return $"{Key(nameof(LateDays))} must be from 0 to 3660, got {options.LateDays}";
        }

        if (options.Interval < TimeSpan.FromMinutes(1) || options.Interval > TimeSpan.FromDays(1))
        {
            yield return $"{Key(nameof(Interval))} must be from 1 min to 1 day, got {options.Interval}";
        }

        if (options.StepRows is < 100 or > 1_000_000)
        {
            yield return $"{Key(nameof(StepRows))} must be from 100 to 1000000, got {options.StepRows}";
        }
    }

    private static bool TryParse(string entry, out string name, out int days)
    {
        var separator = entry.LastIndexOf('=');
        name = separator > 0 ? entry[..separator].Trim() : string.Empty;
        days = 0;
        return name.Length > 0 && int.TryParse(entry.AsSpan(separator + 1), NumberStyles.None, CultureInfo.InvariantCulture, out days)
            && days <= 36_500;
    }

    private static string Key(string property) => $"{Section}:{property}";
}
