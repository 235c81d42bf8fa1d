using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>
/// The evaluation repeated with less to see: each signal away, two at once, half the baseline, another day's baseline, a window cut early
/// or late, no baseline.
/// </summary>
internal static class Robustness
{
    public static IEnumerable<(string Variant, RcaReport Report)> Run(OfflineRca offline)
    {
        var minute = TimeSpan.FromMinutes(1);
        RcaReport Report(Handicap handicap, TimeSpan shift = default, bool controls = true) =>
            new(offline.Run(handicap, shift), controls ? [.. offline.RunControls(handicap)] : [], 1);

        yield return ("as given", Report(static (_, incident, baseline) => (incident, baseline)));
        yield return ("without traces",
            Report(static (_, incident, baseline) => (incident with { Spans = [] }, baseline with { Spans = [] })));
        yield return ("without logs", Report(static (_, incident, baseline) => (incident with { Logs = [] }, baseline with { Logs = [] })));
        yield return ("without metrics",
            Report(static (_, incident, baseline) => (incident with { Series = [] }, baseline with { Series = [] })));
        yield return ("traces alone",
            Report(static (_, incident, baseline) => (incident with { Logs = [], Series = [] }, baseline with { Logs = [], Series = [] })));
        yield return ("logs alone",
            Report(static (_, incident, baseline) =>
                (incident with { Spans = [], Series = [] }, baseline with { Spans = [], Series = [] })));
        yield return ("metrics alone",
            Report(static (_, incident, baseline) => (incident with { Spans = [], Logs = [] }, baseline with { Spans = [], Logs = [] })));
        yield return ("half the baseline", Report(static (_, incident, baseline) => (incident, Half(baseline))));
        yield return ("another day's baseline",
            Report((day, incident, _) => (incident, offline.Baselines.First(pair => pair.Key != day).Value), controls: false));
        yield return ("window 60 s early", Report(static (_, incident, baseline) => (incident, baseline), -minute, controls: false));
        yield return ("window 60 s late", Report(static (_, incident, baseline) => (incident, baseline), minute, controls: false));
        yield return ("no baseline", Report(static (_, incident, _) => (incident, null)));
    }

    /// <summary>Every second trace, with its logs.</summary>
    private static TelemetryWindow Half(TelemetryWindow baseline)
    {
        var kept = baseline.Spans.Select(static span => span.TraceId).Distinct(StringComparer.Ordinal)
            .Where(static (_, index) => index % 2 == 0).ToHashSet(StringComparer.Ordinal);
        return baseline with
        {
            Spans = [.. baseline.Spans.Where(span => kept.Contains(span.TraceId))],
            Logs = [.. baseline.Logs.Where(log => log.TraceId is null || kept.Contains(log.TraceId))],
        };
    }
}
