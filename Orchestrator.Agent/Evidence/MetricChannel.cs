namespace Orchestrator.Agent.Evidence;

/// <summary>A resource metric of a service that left the range it had before.</summary>
/// <param name="Resource"><c>cpu</c>, <c>memory</c> or <c>network</c>.</param>
/// <param name="Score">In nats, before any corroboration.</param>
/// <param name="Saturated">The resource came near its limit, and was not there before. Where no limit is measured: a processor may have any
/// amount left, but memory that grows and stays is held by something.</param>
/// <param name="Lasts">Several points since the rise, nearly all of them well above the usual range: no job of a moment.</param>
/// <param name="FellBack">Several points since the rise, and not nearly all of them are: a job of a moment.</param>
internal sealed record MetricShift(string Service, string Resource, MetricSeries Series, MetricSample Peak, double UsualHigh, double Score,
    bool Saturated, bool Lasts, bool FellBack)
{
    public double Rise => Peak.Value / UsualHigh;

    /// <summary>
    /// The resource itself is in trouble, whatever the requests say: it grew by nearly a third and more, or memory filled up, and stays
    /// there.
    /// </summary>
    public bool Exhausted => Lasts && (Rise >= 1.3 || (Saturated && Resource == "memory"));
}

/// <summary>
/// Instance metrics against the range learned from the baseline and from the points before the window. Names tell the resource, units are
/// not trusted: a series is compared with itself only, and a shift that most services share is load, not fault.
/// </summary>
internal static class MetricChannel
{
    private const double Top = 0.95;
    private const double NatsPerDeviation = 6;
    private const double MostNats = 48;

    public static List<MetricShift> Find(TelemetryWindow incident, TelemetryWindow? baseline)
    {
        var history = new Dictionary<(string, string, string), List<double>>();
        foreach (var series in baseline?.Series ?? [])
        {
            History(history, series).AddRange(MetricSamples.Of(series, incident.StartNanos).Select(static sample => sample.Value));
        }

        var shifts = new List<(MetricShift Shift, double Deviation, double? Share)>();
        foreach (var series in incident.Series)
        {
            if (Resource(series.Name) is not { } resource)
            {
                continue;
            }

            var values = MetricSamples.Of(series, incident.StartNanos);
            var usual = History(history, series);
            var recent = values.Where(point => point.TimeNanos < incident.StartNanos).Select(static point => point.Value).ToList();
            // What memory a process holds depends on how long it runs: only its own recent past compares.
            var reference = Robust.Sorted(resource == "memory" && recent.Count > 0 ? recent : usual.Concat(recent));
            var inside = values.Where(point => point.TimeNanos >= incident.StartNanos).ToList();
            if (reference.Length == 0 || inside.Count == 0)
            {
                continue;
            }

            var peak = inside.MaxBy(static point => point.Value);
            // With many values the very highest says little.
            var (low, high) = (Robust.Quantile(reference, 1 - Top), Robust.Quantile(reference, Top));
            if (high <= 0 || peak.Value <= 0)
            {
                continue;
            }

            var spread = Math.Log(high / Math.Max(low, high / 1000));
            var noise = Math.Max(resource != "memory" ? 0.15 : recent.Count > 0 ? 0.04 : 0.25, 0.25 * spread) * (reference.Length < 3 ? 2
                : 1);
            var rise = Math.Log(peak.Value / high);
            var since = Since(inside, Math.Sqrt(high * peak.Value));
            shifts.Add((new(series.Service, resource, series, peak, high, 0, false, since.Lasts, since.FellBack), rise < s_noticeable
                ? Math.Min(rise, 0) : rise / noise * Math.Min(1, Math.Pow(rise / LeastRise(resource), 2)),
                peak.Value / Whole(series, usual.Concat(values.Select(static point => point.Value)))));
        }

        var load = shifts.GroupBy(static shift => shift.Shift.Series.Name, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => Math.Max(0,
            Robust.Median(group.Select(static shift => shift.Deviation))), StringComparer.Ordinal);
        var use = shifts.Where(static shift => shift.Share is not null)
            .GroupBy(static shift => (shift.Shift.Service, shift.Shift.Resource))
            .ToDictionary(static group => group.Key, static group => group.Max(static shift => shift.Share!.Value));
        return shifts.Select(shift => shift.Shift with
        {
            Saturated = use.TryGetValue((shift.Shift.Service, shift.Shift.Resource), out var share)
                    ? Reaches(Pressing, Pressing, share, shift.Shift.Rise) || Reaches(Full, NotFull, share, shift.Shift.Rise)
                    : shift.Shift.Resource == "memory" && shift.Shift.Rise >= GrownMemory,
            Score = Math.Min(MostNats, NatsPerDeviation * (shift.Deviation - load[shift.Shift.Series.Name])) *
                    Math.Min(1, Math.Pow(use.GetValueOrDefault((shift.Shift.Service, shift.Shift.Resource), 1) / Pressing, 2)),
        })
            .Where(static shift => shift.Score > 0)
            .OrderByDescending(static shift => shift.Score)
            .ToList();
    }

    /// <summary>
    /// Below this share of its limit a resource presses nobody, however much its use grew: the score falls with the square of the share.
    /// </summary>
    private const double Pressing = 0.8;

    /// <summary>From below the second to the first of these shares, a resource that was pressed is used up.</summary>
    private const double Full = 0.95;
    private const double NotFull = 0.9;

    /// <summary>Without a limit: memory moves by some hundredths in minutes while nothing is wrong.</summary>
    private const double GrownMemory = 1.3;

    private static bool Reaches(double limit, double from, double share, double rise) => share >= limit && share / rise < from;

    private static readonly double s_noticeable = Math.Log(1.15);

    /// <summary>
    /// What a series in shares of a limit calls the whole of it, by its unit or name, else by its values; null for other series.
    /// </summary>
    private static double? Whole(MetricSeries series, IEnumerable<double> values)
    {
        // A share of one is hardly ever more than this, and a service hardly ever uses so few hundredths all the time.
        const double mostOfOne = 1.5;
        return series.Unit == "%" || series.Name.Contains('%', StringComparison.Ordinal)
            || series.Name.Contains("percent", StringComparison.OrdinalIgnoreCase) ? 100
            : !series.Name.Contains("utili", StringComparison.OrdinalIgnoreCase) ? null
            : values.Any(static value => value > mostOfOne) ? 100 : 1;
    }

    /// <summary>What became of the rise, told by the points from the first one well above the usual range on.</summary>
    private static (bool Lasts, bool FellBack) Since(List<MetricSample> inside, double risen)
    {
        const int few = 2;
        const double most = 0.75;
        var since = inside.OrderBy(static point => point.TimeNanos).SkipWhile(point => point.Value < risen).ToList();
        var stays = since.Count(point => point.Value >= risen) >= most * since.Count;
        return (since.Count >= few && stays, since.Count >= few && !stays);
    }

    /// <summary>
    /// The resource a metric's name speaks of; null for other metrics and for those of a shared machine, which accuse no service.
    /// </summary>
    internal static string? Resource(string name)
    {
        var words = name.ToLowerInvariant().Split(['.', '_', '-', '/', ' ', '(', ')', '%'], StringSplitOptions.RemoveEmptyEntries);
        bool Has(params ReadOnlySpan<string> parts)
        {
            foreach (var part in parts)
            {
                if (Array.Exists(words, word => word.StartsWith(part, StringComparison.Ordinal)))
                {
                    return true;
                }
            }

            return false;
        }

        return Has("node", "host", "limit") && !Has("utilization", "utilisation") || Has("node", "host") ? null
            : Has("cpu") ? "cpu"
            : Has("mem", "heap", "rss") ? "memory"
            : Has("network", "net", "rtt", "tcp") && Has("latency", "delay", "rtt", "p50", "p90", "p95", "p99", "p90ms", "networkp",
                "duration") ? "network"
            : null;
    }

    private static double LeastRise(string resource) => resource == "memory" ? Math.Log(1.15) : Math.Log(2.5);

    private static List<double> History(Dictionary<(string, string, string), List<double>> history, MetricSeries series)
    {
        var kind = string.Join(',', series.Attributes.OrderBy(static pair => pair.Key, StringComparer.Ordinal)
            .Select(static pair => $"{pair.Key}={pair.Value}"));
        var key = (series.Service, series.Name, kind);
        if (!history.TryGetValue(key, out var values))
        {
            history[key] = values = [];
        }

        return values;
    }
}
