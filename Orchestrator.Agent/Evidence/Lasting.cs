namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Whether a change lasts. A fault begins and stays; a burst of errors comes and goes, however many requests it touches. So the stretch of
/// the window is looked for in which the change holds best, and what holds for a few seconds only weighs little.
/// </summary>
internal static class Lasting
{
    /// <summary>What lasts less than this is a burst, as happens every day.</summary>
    private const double BurstSeconds = 15;

    /// <summary>The most a burst weighs, in nats, and what each further second adds up to <see cref="SureSeconds"/>.</summary>
    private const double BurstNats = 4;
    private const double NatsPerSecond = 1.6;
    private const double SureSeconds = 30;

    /// <summary>
    /// The change must touch at least this share of the runs in its stretch, and be this many times as frequent as before: drift of the
    /// load's mix does less.
    /// </summary>
    private const double LeastShare = 0.1;
    private const double LeastRatio = 3;

    /// <summary>Or what happened otherwise must have become this many times as rare.</summary>
    private const double OtherRatio = 6;

    /// <summary>Starts and ends tried for the stretch.</summary>
    private const int Candidates = 16;

    /// <summary>
    /// The log likelihood ratio of the best stretch against the baseline's rate, in nats, with its price for having been looked for.
    /// </summary>
    /// <param name="trials">When a run began and whether it shows the change; any order.</param>
    /// <param name="surprise">How much a rate in a stretch surprises, given the baseline's: hits, trials, before, history.</param>
    /// <param name="unseen">What it adds, in nats, that the change is seen nowhere else; at most as much again as the rates tell.</param>
    public static double Score(List<(long Nanos, bool Hit)> trials, double before, double history, Func<int, int, double, double,
        double> surprise, double unseen = 0)
    {
        trials.Sort(static (a, b) => a.Nanos.CompareTo(b.Nanos));
        var hits = Enumerable.Range(0, trials.Count).Where(index => trials[index].Hit).ToList();
        var upTo = new int[trials.Count + 1];
        for (var i = 0; i < trials.Count; i++)
        {
            upTo[i + 1] = upTo[i] + (trials[i].Hit ? 1 : 0);
        }

        var usual = (before + 1) / (history + 1);
        var best = 0.0;
        var tried = Math.Min(Candidates, hits.Count);
        for (var a = 0; a < tried; a++)
        {
            for (var b = a; b < tried; b++)
            {
                // The stretch runs from one hit to another; where it takes the last one it also has to hold to the window's end.
                var from = hits[a * hits.Count / tried];
                var to = b == tried - 1 ? trials.Count : hits[((b + 1) * hits.Count / tried) - 1] + 1;
                var count = upTo[to] - upTo[from];
                var others = (to - from - count) / (double)(to - from);
                if (count < LeastShare * (to - from) || (count < LeastRatio * usual * (to - from) && others * OtherRatio > 1 - usual))
                {
                    continue;
                }

                var price = Math.Log(1 + a) + Math.Log(tried - b);
                var seconds = (trials[to - 1].Nanos - trials[from].Nanos) / 1e9;
                // The runs of the window outside the stretch are as usual too.
                var elsewhere = before + hits.Count - count;
                var score =
                    (surprise(count, to - from, elsewhere, history + trials.Count - (to - from)) * Evenness(upTo, from, to)) - price;
                score += elsewhere > 0 ? 0 : Math.Clamp(score, 0, unseen);
                best = Math.Max(best, seconds >= SureSeconds ? score : Math.Min(score, BurstNats
                    + (NatsPerSecond * Math.Max(0, seconds - BurstSeconds))));
            }
        }

        return best;
    }

    /// <summary>1 when both halves of the stretch show the change alike, 0 when one has none of it.</summary>
    private static double Evenness(int[] upTo, int from, int to)
    {
        var middle = (from + to) / 2;
        if (middle == from)
        {
            return 1;
        }

        var (first, second) = ((double)(upTo[middle] - upTo[from]) / (middle - from), (double)(upTo[to] - upTo[middle]) / (to - middle));
        return Math.Min(1, 2 * Math.Min(first, second) / Math.Max(1e-9, Math.Max(first, second)));
    }
}
