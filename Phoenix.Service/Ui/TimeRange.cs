using System.Globalization;

namespace Phoenix.Service.Ui;

/// <summary>A page's span of time, half-open, in Unix nanoseconds. <paramref name="Name"/> is the query value it came from.</summary>
internal readonly record struct TimeRange(string Name, long StartNanos, long EndNanos)
{
    private const string All = "all";
    private const string Open = "..";
    private const long NanosPerSecond = 1_000_000_000;

    /// <summary>The choices a page offers: query value, label, seconds.</summary>
    public static IReadOnlyList<(string Name, string Label, long Seconds)> Choices { get; } =
    [
        ("15m", "Last 15 minutes", 900), ("1h", "Last hour", 3600), ("6h", "Last 6 hours", 21_600), ("24h", "Last 24 hours", 86_400),
        ("7d", "Last 7 days", 604_800), ("30d", "Last 30 days", 2_592_000),
    ];

    /// <summary>Whether it has no bounds.</summary>
    public bool IsAll => StartNanos == long.MinValue && EndNanos == long.MaxValue;

    /// <summary>The query value that links carry on; null for all time, which needs none.</summary>
    public string? InLinks => IsAll ? null : Name;

    /// <summary>
    /// Explicit ISO 8601 bounds win over a name, which is a choice's or an interval of two bounds, <c>from/to</c>, an open one as
    /// <c>..</c>. What is none of these means all time, so that old telemetry is never hidden by default.
    /// </summary>
    public static TimeRange Parse(string? name, string? from, string? to, TimeProvider time)
    {
        if (TryParse(from, out var start) | TryParse(to, out var end))
        {
            return new TimeRange(
                $"{Text(start)}/{Text(end)}",
                start is { } first ? Nanos(first) : long.MinValue, end is { } last ? Nanos(last) : long.MaxValue);
        }

        if (name?.Split('/') is [var lower, var upper])
        {
            return Parse(name: null, lower, upper, time);
        }

        foreach (var choice in Choices)
        {
            if (choice.Name == name)
            {
                return new TimeRange(name, Nanos(time.GetUtcNow()) - choice.Seconds * NanosPerSecond, long.MaxValue);
            }
        }

        return new TimeRange(All, long.MinValue, long.MaxValue);
    }

    private static bool TryParse(string? text, out DateTimeOffset? moment)
    {
        var parsed = DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var found);
        moment = parsed ? found : null;
        return parsed;
    }

    private static string Text(DateTimeOffset? moment) =>
        moment?.UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.FFFFFFFZ", CultureInfo.InvariantCulture) ?? Open;

    /// <summary>A moment outside of what 64-bit nanoseconds hold (the years 1677 to 2262) counts as the last or first inside.</summary>
    private static long Nanos(DateTimeOffset moment) =>
        (long)Int128.Clamp((Int128)(moment - DateTimeOffset.UnixEpoch).Ticks * 100, long.MinValue, long.MaxValue);
}
