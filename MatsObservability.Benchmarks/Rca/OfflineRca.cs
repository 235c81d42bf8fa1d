using System.Diagnostics;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>A change of what the engine gets to see.</summary>
internal delegate (TelemetryWindow Incident, TelemetryWindow? Baseline) Handicap(
    string baselineDay, TelemetryWindow incident, TelemetryWindow baseline);

/// <summary>
/// The evaluation without servers: the engine directly on the files. What the full run adds is storage, API and verification.
/// </summary>
internal sealed class OfflineRca(RcaCases cases)
{
    private readonly Dictionary<string, TelemetryWindow> _baselines = cases.Baselines.ToDictionary(
        static day => day, cases.ReadBaseline, StringComparer.Ordinal);

    public IReadOnlyDictionary<string, TelemetryWindow> Baselines => _baselines;

    public List<CaseScore> Run(Handicap handicap, TimeSpan shift = default) =>
    [
        .. cases.All.Select(given =>
        {
            var (incident, baseline) = handicap(given.Baseline, cases.ReadCase(given, shift), _baselines[given.Baseline]);
            var start = Stopwatch.GetTimestamp();
            var diagnosis = EvidenceEngine.Diagnose(incident, baseline);
            return Score(given, incident, diagnosis, Stopwatch.GetElapsedTime(start));
        }),
    ];

    /// <summary>The fault-free windows under the same change, with what was blamed; null = nothing, as it should be.</summary>
    public IEnumerable<(string Name, string? Blamed)> RunControls(Handicap? handicap = null)
    {
        foreach (var control in Controls.Of(cases))
        {
            var incident = RcaCases.Cut(_baselines[control.Day], control.Part.Start, control.Part.End);
            var baseline = _baselines[control.BaselineDay];
            if (control.BaselinePart is { } part)
            {
                baseline = RcaCases.Cut(baseline, part.Start, part.End);
            }

            yield return (control.Name, Blamed(control.BaselineDay, incident, baseline));
        }

        foreach (var given in cases.FaultFree)
        {
            yield return (given.Id, Blamed(given.Baseline, cases.ReadCase(given), _baselines[given.Baseline]));
        }

        string? Blamed(string day, TelemetryWindow incident, TelemetryWindow baseline)
        {
            var (seen, against) = handicap?.Invoke(day, incident, baseline) ?? (incident, baseline);
            var diagnosis = EvidenceEngine.Diagnose(seen, against);
            return diagnosis.Causes.Count == 0
                ? null
                : $"{diagnosis.Causes[0].Service} {diagnosis.Causes[0].FaultType} {diagnosis.Causes[0].Location.Detail}";
        }
    }

    private static CaseScore Score(RcaCase given, TelemetryWindow window, Diagnosis diagnosis, TimeSpan took)
    {
        var bodies = window.Logs.ToDictionary(static log => log.RecordId, static log => log.Body);
        return new(given, [.. diagnosis.Causes.Select(cause => new RankedCause(
            cause.Service, cause.FaultType, cause.Location.Kind, cause.Location.Detail, cause.Confidence,
            [cause.Location.Detail,
                .. cause.Evidence.SelectMany(item => new[] { item.Claim, item.RecordId is { } id ? bodies[id] : "" })]))],
                took.TotalSeconds);
    }
}
