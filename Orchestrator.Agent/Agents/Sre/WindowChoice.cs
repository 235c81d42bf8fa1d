using Orchestrator.Agent.Api;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>Which time is looked at, and which time it is compared with.</summary>
/// <param name="Baseline">Null = everything the baseline project holds.</param>
/// <param name="Searched">True when no window was asked for: it may be widened, and narrowed to the onset.</param>
internal sealed record WindowChoice(TimeWindow Incident, string? BaselineProject, TimeWindow? Baseline, bool Searched)
{
    private static readonly TimeSpan s_leastGuard = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan s_leastBaseline = TimeSpan.FromMinutes(15);
    private static readonly TimeSpan s_mostBaseline = TimeSpan.FromHours(24);
    private static readonly TimeSpan s_longestSearch = TimeSpan.FromHours(24);

    /// <summary>
    /// The request's own window and baseline where it names them. Without a baseline: the time before the window, less a guard gap in which
    /// the incident may already have begun. Without a window: the last hour, doubled by each <paramref name="widening"/> up to 24 h (E001).
    /// </summary>
    public static WindowChoice For(TroubleshootRequest request, DateTimeOffset now, int widening)
    {
        var start = TroubleshootRequest.ParseTime(request.StartTime);
        var end = TroubleshootRequest.ParseTime(request.EndTime);
        var searched = start is null && end is null && request.HoursAgo is null;
        var length = TimeSpan.FromHours(request.HoursAgo ?? Math.Min(s_longestSearch.TotalHours, Math.Pow(2, widening)));
        var until = end ?? now;
        var incident = new TimeWindow(start ?? until - length, until);

        var baselineStart = TroubleshootRequest.ParseTime(request.BaselineStart);
        var baselineEnd = TroubleshootRequest.ParseTime(request.BaselineEnd);
        if (baselineStart is not null || baselineEnd is not null)
        {
            var last = baselineEnd ?? incident.Start;
            return new(incident, request.BaselineProject, new(baselineStart ?? last - incident.Length, last), searched);
        }

        return new(incident, request.BaselineProject, request.BaselineProject is null ? Before(incident) : null, searched);
    }

    /// <summary>The time before a window that may serve as its baseline.</summary>
    public static TimeWindow Before(TimeWindow incident)
    {
        var guard = Max(s_leastGuard, incident.Length / 10);
        var length = Min(s_mostBaseline, Max(s_leastBaseline, incident.Length));
        return new(incident.Start - guard - length, incident.Start - guard);
    }

    /// <summary>Everything of a day before a window: for a system that was quiet right before it.</summary>
    public static TimeWindow DayBefore(TimeWindow incident) => new(incident.Start - s_mostBaseline, Before(incident).End);

    /// <summary>The same choice around a known onset: from a minute before it, compared with the time before that.</summary>
    public WindowChoice From(DateTimeOffset onset)
    {
        var incident = new TimeWindow(Max(Incident.Start, onset - s_leastGuard), Incident.End);
        return this with { Incident = incident, Baseline = BaselineProject is null ? Before(incident) : Baseline };
    }

    /// <summary>What a window really covers, where it was read open-ended: from its first to its last record.</summary>
    public static TelemetryWindow Extent(TelemetryWindow window)
    {
        var times = window.Spans.Select(span => span.StartNanos)
            .Concat(window.Spans.Select(span => span.EndNanos))
            .Concat(window.Logs.Select(log => log.TimeNanos))
            .Concat(
                window.Series.Where(series => series.Points.Count > 0)
                    .SelectMany(series => new[] { series.Points[0].TimeNanos, series.Points[^1].TimeNanos }))
            .DefaultIfEmpty(0);
        var (first, last) = times.Aggregate(
            (long.MaxValue, long.MinValue), (range, time) => (Math.Min(range.Item1, time), Math.Max(range.Item2, time)));
        return window with { StartNanos = first, EndNanos = last + 1 };
    }

    private static TimeSpan Max(TimeSpan a, TimeSpan b) => a > b ? a : b;

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;

    private static DateTimeOffset Max(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
