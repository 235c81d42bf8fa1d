using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>
/// Splits a window that has no earlier baseline at the moment its behaviour changed most, so that its first part can serve as the baseline
/// of the rest.
/// </summary>
internal static class OnsetFinder
{
    private const int Bins = 60;
    private const int LeastBins = 5;

    /// <summary>A split whose parts differ less than this many standard errors is no onset.</summary>
    private const double LeastContrast = 4;

    /// <summary>The start of the changed part; null when no split separates two different halves.</summary>
    public static DateTimeOffset? Find(TelemetryWindow window)
    {
        // Bins over the time that holds records: a service that was started minutes ago has no hour to look back on.
        var covered = WindowChoice.Extent(window);
        var width = (covered.EndNanos - covered.StartNanos) / Bins;
        if (width <= 0)
        {
            return null;
        }

        var errors = new double[Bins];
        var counts = new double[Bins];
        var latencies = new List<double>[Bins];
        for (var i = 0; i < Bins; i++)
        {
            latencies[i] = [];
        }

        foreach (var span in window.Spans)
        {
            var bin = Bin(span.StartNanos);
            counts[bin]++;
            errors[bin] += span.Status == 2 ? 1 : 0;
            latencies[bin].Add(Math.Log(1 + span.DurationNanos / 1e6));
        }

        foreach (var log in window.Logs)
        {
            errors[Bin(log.TimeNanos)] += log.Severity >= 17 ? 1 : 0;
        }

        var latency = latencies.Select(values => values.Count == 0 ? 0 : values.Average()).ToArray();
        var rate = errors.Zip(counts, (failed, all) => failed / Math.Max(1, all)).ToArray();
        var best = Math.Max(Strongest(rate).Contrast, Strongest(latency).Contrast);
        if (best < LeastContrast)
        {
            return null;
        }

        var split = Strongest(rate).Contrast >= Strongest(latency).Contrast ? Strongest(rate).Bin : Strongest(latency).Bin;
        return TimeWindow.Time(covered.StartNanos + split * width);

        int Bin(long nanos) => (int)Math.Clamp((nanos - covered.StartNanos) / width, 0, Bins - 1);
    }

    /// <summary>The split with the largest rise, in standard errors of the difference of both means.</summary>
    private static (int Bin, double Contrast) Strongest(double[] values)
    {
        var best = (Bin: 0, Contrast: 0.0);
        for (var split = LeastBins; split <= values.Length - LeastBins; split++)
        {
            var (before, after) = (values[..split], values[split..]);
            var rise = after.Average() - before.Average();
            var error = Math.Sqrt((Variance(before) / before.Length) + (Variance(after) / after.Length));
            var contrast = rise <= 0 ? 0 : rise / Math.Max(error, 1e-3);
            if (contrast > best.Contrast)
            {
                best = (split, contrast);
            }
        }

        return best;
    }

    private static double Variance(double[] values)
    {
        var mean = values.Average();
        return values.Sum(value => (value - mean) * (value - mean)) / values.Length;
    }
}
