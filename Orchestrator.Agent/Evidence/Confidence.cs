namespace Orchestrator.Agent.Evidence;

/// <summary>
/// How sure a ranked cause is: how far above chance it stands, and how far from the causes beside it (docs/rca-method.md, reliability
/// table).
/// </summary>
internal static class Confidence
{
    /// <summary>A cause that just passes the limit is as likely wrong as right.</summary>
    private const double AtTheLimit = 0.5;

    public static double Of(Hypothesis hypothesis, List<Hypothesis> claimed, double leastClaim)
    {
        var rivals = claimed.Where(other => other.Service != hypothesis.Service).Sum(static other => Weight(other.Score));
        var share = Weight(hypothesis.Score) / (Weight(hypothesis.Score) + rivals);
        var strength = 1 - (AtTheLimit * Math.Exp(-(hypothesis.Score - leastClaim) / leastClaim));
        return Math.Round(Math.Clamp(share * strength, 0.01, 0.99), 3);
    }

    /// <summary>A rival ten nats behind keeps about a third of its say: scores are compressed and share sources.</summary>
    private static double Weight(double score) => Math.Exp(score / 10);
}
