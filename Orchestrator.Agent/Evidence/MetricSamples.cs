namespace Orchestrator.Agent.Evidence;

/// <summary>What a series said at a time.</summary>
/// <param name="Point">The stored point that shows it.</param>
/// <param name="Value">The point's value, or the rate or mean computed from it and its neighbours.</param>
internal readonly record struct MetricSample(MetricPoint Point, double Value)
{
    public long TimeNanos => Point.TimeNanos;
}

/// <summary>The points of a series as values that compare with each other: gauges as they are, counters as rates.</summary>
internal static class MetricSamples
{
    /// <summary>What is measured oftener than this is read as means over it: the highest of many moments says little.</summary>
    private const long MeanNanos = 15_000_000_000;

    /// <param name="startNanos">Means are counted from here, so that none has a share of both sides of it.</param>
    public static IReadOnlyList<MetricSample> Of(MetricSeries series, long startNanos)
    {
        var samples = Rates(series).Where(static sample => double.IsFinite(sample.Value)).ToList();
        var often = samples.Count > 2 && (samples[^1].TimeNanos - samples[0].TimeNanos) / (samples.Count - 1) < MeanNanos / 2;
        return !often ? samples
            : [.. samples.GroupBy(sample => Math.Floor((double)(sample.TimeNanos - startNanos) / MeanNanos))
                .Select(static slot => new MetricSample(slot.MaxBy(static sample => sample.Value).Point,
                    slot.Average(static sample => sample.Value)))];
    }

    /// <summary>For a counter, its growth per second; one that falls began anew, unless nothing but its type calls it a counter.</summary>
    private static IEnumerable<MetricSample> Rates(MetricSeries series)
    {
        const int sum = 2;
        var points = series.Points;
        var named = series.Name.EndsWith("_total", StringComparison.Ordinal);
        var falls = points.Zip(points.Skip(1)).Any(static pair => pair.Second.Value < pair.First.Value);
        if (points.Count < 3 || !(named || (series.Type == sum && !falls)))
        {
            return points.Select(static point => new MetricSample(point, point.Value));
        }

        return points.Zip(points.Skip(1), static (before, now) => new MetricSample(now,
            (now.Value - (now.Value < before.Value ? 0 : before.Value)) / Math.Max(1e-9, (now.TimeNanos - before.TimeNanos) / 1e9)));
    }
}
