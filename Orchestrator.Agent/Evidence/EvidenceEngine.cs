namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Finds the root cause of an incident in its telemetry, by comparison with fault-free telemetry. Pure: no I/O, no clock, no chance.
/// </summary>
public static class EvidenceEngine
{
    /// <summary>A cause that weighs less, in nats, is not claimed: fault-free windows differ by chance this much.</summary>
    private const double LeastClaim = 12;

    /// <summary>
    /// The same where the baseline is a part of the window itself, chosen among several: more chances to differ, and less history.
    /// </summary>
    private const double SearchedClaim = 20;

    /// <summary>Fewer records than this are too little to say anything.</summary>
    private const int LeastRecords = 5;

    private const int MostCauses = 5;
    private const int MostFindings = 12;

    /// <summary>Compares a window with its baseline and ranks the services that explain the difference.</summary>
    /// <param name="incident">Metric points before <see cref="TelemetryWindow.StartNanos"/> serve as their series' history.</param>
    /// <param name="baseline">Fault-free telemetry of the same system; null = the onset is looked for inside the window, and what lies
    /// before it is the baseline.</param>
    public static Diagnosis Diagnose(TelemetryWindow incident, TelemetryWindow? baseline)
    {
        var notes = new List<string>(incident.Gaps.Select(static gap => $"Not seen in the window: {gap}")
            .Concat((baseline?.Gaps ?? []).Select(static gap => $"Not seen in the baseline: {gap}")));
        if (incident.Spans.Count + incident.Logs.Count + incident.Series.Count < LeastRecords)
        {
            return new(Verdict.NoData, [], [], null, [.. notes, "Too little telemetry in the window to say anything."]);
        }

        foreach (var (name, count) in new[] { ("spans", incident.Spans.Count), ("logs", incident.Logs.Count),
            ("metrics", incident.Series.Count) })
        {
            if (count == 0)
            {
                notes.Add($"The window has no {name}.");
            }
        }

        if (baseline is null)
        {
            notes.Add("No baseline given: the part of the window before the onset serves as one.");
            return OnsetSearch.Diagnose(incident, (later, earlier) => Compare(later, earlier, notes, SearchedClaim));
        }

        return Compare(incident, baseline, notes, LeastClaim);
    }

    private static Diagnosis Compare(TelemetryWindow incident, TelemetryWindow baseline, List<string> notes, double leastClaim)
    {
        var signals = Signals.Read(incident, baseline);
        var found = CodeHypotheses.Build(signals).Concat(ResourceHypotheses.Build(signals))
            .Where(static hypothesis => hypothesis.Evidence.Count > 0).ToList();
        var hypotheses = found.Concat(ChangeHypotheses.Build(signals, found))
            .OrderByDescending(static hypothesis => hypothesis.Score)
            .ThenBy(static hypothesis => hypothesis.Service, StringComparer.Ordinal)
            .ToList();
        var findings = hypotheses.Take(MostFindings)
            .Select(static hypothesis => new Finding(hypothesis.Service, $"{hypothesis.FaultType}: {hypothesis.Location.Detail}",
                hypothesis.Score, hypothesis.Evidence)).ToList();
        var claimed = hypotheses.Where(hypothesis => hypothesis.Score >= leastClaim).ToList();
        if (claimed.Count == 0)
        {
            return new(Verdict.Healthy, [], findings, null, notes);
        }

        var causes = claimed.DistinctBy(static hypothesis => hypothesis.Service).Take(MostCauses)
            .Select((hypothesis, rank) => new RootCause(hypothesis.Service, hypothesis.FaultType, hypothesis.Location,
                Confidence.Of(hypothesis, claimed, leastClaim), hypothesis.Evidence))
            .ToList();
        return new(Verdict.Incident, causes, findings, claimed[0].FirstNanos, notes);
    }
}
