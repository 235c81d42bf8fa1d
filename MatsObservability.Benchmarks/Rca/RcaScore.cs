namespace MatsObservability.Benchmarks.Rca;

/// <summary>One ranked cause of a result, from the engine or from the API.</summary>
/// <param name="Cited">Claims, quotes and cited record bodies: where a log statement can be named.</param>
internal sealed record RankedCause(string Service, string FaultType, string Kind, string Detail,
    double Confidence, IReadOnlyList<string> Cited);

/// <summary>A case's result beside its truth.</summary>
internal sealed record CaseScore(RcaCase Case, IReadOnlyList<RankedCause> Ranked, double Seconds)
{
    /// <summary>1-based rank of the true service among distinct services; 0 when it is not there.</summary>
    public int Rank =>
        Ranked.Select(static cause => cause.Service).Distinct(StringComparer.Ordinal).ToList().IndexOf(Case.RootCause.Service) + 1;

    public bool Within(int k) => Rank > 0 && Rank <= k;

    /// <summary>
    /// The first cause names the true service and the right resource, or for code faults cites one of the two statements of the label;
    /// where the label names none, as the system has no logs, it says that the code is at fault.
    /// </summary>
    public bool InnerRight => Ranked.Count > 0 && Ranked[0].Service == Case.RootCause.Service && Case.RootCause.Fault switch
    {
        "cpu" or "cpu_contention" or "cpu_consumed" => Ranked[0].Kind == "cpu",
        "network" or "network_delay" or "network_loss" => Ranked[0].Kind == "network",
        "memory" or "memory_exhaustion" => Ranked[0].Kind == "memory",
        _ => Statements is [] ? Ranked[0].Kind == "code" : Statements.Any(statement => Ranked[0].Cited.Any(text => Names(text, statement))),
    };

    private List<string> Statements =>
        [.. (Case.RootCause.Evidence ?? "").Split('_').Where(static part => part.Contains('#', StringComparison.Ordinal))];

    /// <summary>The statement as a whole: <c>X#3</c> is not named by <c>X#31</c>.</summary>
    private static bool Names(string text, string statement)
    {
        for (var at = text.IndexOf(statement, StringComparison.Ordinal); at >= 0; at = text.IndexOf(
            statement, at + 1, StringComparison.Ordinal))
        {
            var end = at + statement.Length;
            if ((end == text.Length || !char.IsDigit(text[end])) && (at == 0 || !char.IsLetterOrDigit(text[at - 1])))
            {
                return true;
            }
        }

        return false;
    }
}
