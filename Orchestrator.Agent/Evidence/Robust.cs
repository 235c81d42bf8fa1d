namespace Orchestrator.Agent.Evidence;

/// <summary>Order statistics: they hold with few samples and with outliers.</summary>
internal static class Robust
{
    public static double[] Sorted(IEnumerable<double> values)
    {
        var sorted = values.ToArray();
        Array.Sort(sorted);
        return sorted;
    }

    /// <summary>The quantile of ascending values, interpolated; NaN for none.</summary>
    public static double Quantile(double[] sorted, double share)
    {
        if (sorted.Length == 0)
        {
            return double.NaN;
        }

        var at = share * (sorted.Length - 1);
        var low = (int)at;
        return low + 1 < sorted.Length ? sorted[low] + ((at - low) * (sorted[low + 1] - sorted[low])) : sorted[low];
    }

    /// <summary>The smallest value that at least this share of all, which must be some, does not exceed.</summary>
    public static double NearestRank(IEnumerable<double> values, double share)
    {
        var sorted = Sorted(values);
        return sorted[(int)Math.Ceiling(share * sorted.Length) - 1];
    }

    public static double Median(IEnumerable<double> values) => Quantile(Sorted(values), 0.5);
}
