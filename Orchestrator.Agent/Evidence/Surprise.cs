namespace Orchestrator.Agent.Evidence;

/// <summary>How unlikely what was seen is under the baseline, in nats; 0 = as usual. Small samples weigh little by themselves.</summary>
internal static class Surprise
{
    /// <summary>
    /// Log likelihood ratio of <paramref name="hits"/> in <paramref name="trials"/> against a baseline of <paramref name="before"/> in
    /// <paramref name="history"/>; 0 unless the rate rose.
    /// </summary>
    public static double Binomial(int hits, int trials, double before, double history)
    {
        if (hits <= 0 || trials <= 0)
        {
            return 0;
        }

        var usual = (before + 0.5) / (history + 1);
        var now = Math.Min((double)hits / trials, 1);
        if (now <= usual)
        {
            return 0;
        }

        var rest = now < 1 ? (trials - hits) * Math.Log((1 - now) / (1 - usual)) : 0;
        return (hits * Math.Log(now / usual)) + rest;
    }

    /// <summary>
    /// Log likelihood ratio of two rates against one common rate; 0 unless the rate rose. Unlike <see cref="Binomial"/> it doubts a thin
    /// baseline as much as a thin window: for ways a program takes, of which none is rare by nature, while failures are.
    /// </summary>
    public static double TwoRates(int hits, int trials, double before, double history)
    {
        if (hits <= 0 || trials <= 0 || history <= 0 || hits * history <= before * trials)
        {
            return 0;
        }

        return Likelihood(hits, trials) + Likelihood(before, history) - Likelihood(hits + before, trials + history);
    }

    /// <summary>Log likelihood of a share at its best rate.</summary>
    private static double Likelihood(double hits, double trials)
    {
        static double Term(double part, double whole) => part <= 0 ? 0 : part * Math.Log(part / whole);
        return Term(hits, trials) + Term(trials - hits, trials);
    }

    /// <summary>Evidence of many small observations grows slower than their count: they share causes. Linear while small.</summary>
    public static double Compress(double nats) => Scale * Math.Log(1 + (Math.Max(0, nats) / Scale));

    private const double Scale = 25;
}
