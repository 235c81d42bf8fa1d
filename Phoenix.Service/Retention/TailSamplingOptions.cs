namespace Phoenix.Service.Retention;

/// <summary>
/// Which stored traces are kept once they have gone quiet. Traces are acknowledged and stored first, counted in metrics and minute series,
/// and pruned after the decision window, so nothing waits in memory and nothing acknowledged depends on the decision.
/// </summary>
internal sealed class TailSamplingOptions
{
    public const string Section = "Phoenix:TailSampling";

    /// <summary>Off: every trace is kept.</summary>
    public bool Enabled { get; set; }

    /// <summary>How long a trace must not have grown before it is decided.</summary>
    public TimeSpan DecisionWindow { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Share of the unremarkable traces that is kept, by trace id: 0 to 1.</summary>
    public double Ratio { get; set; } = 0.1;

    /// <summary>Traces that cost more are kept, in USD.</summary>
    public double CostAboveUsd { get; set; } = 0.01;

    /// <summary>Traces that took longer are kept.</summary>
    public TimeSpan LongerThan { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>Most traces decided in one step; bounds memory and how long writers wait for a removal.</summary>
    public int StepTraces { get; set; } = 1000;

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(TailSamplingOptions options)
    {
        if (options.DecisionWindow < TimeSpan.FromSeconds(1) || options.DecisionWindow > TimeSpan.FromHours(1))
        {
            yield return $"{Key(nameof(DecisionWindow))} must be from 1 s to 1 h, got {options.DecisionWindow}";
        }

        if (options.Ratio is not (>= 0 and <= 1))
        {
            yield return $"{Key(nameof(Ratio))} must be from 0 to 1, got {options.Ratio}";
        }

        if (options.CostAboveUsd is not (>= 0 and <= 1_000_000))
        {
            yield return $"{Key(nameof(CostAboveUsd))} must be from 0 to 1000000, got {options.CostAboveUsd}";
        }

        if (options.LongerThan < TimeSpan.Zero || options.LongerThan > TimeSpan.FromDays(30))
        {
            yield return $"{Key(nameof(LongerThan))} must be from 0 to 30 days, got {options.LongerThan}";
        }

        if (options.StepTraces is < 1 or > 10_000)
        {
            yield return $"{Key(nameof(StepTraces))} must be from 1 to 10000, got {options.StepTraces}";
        }
    }

    private static string Key(string property) => $"{Section}:{property}";
}
