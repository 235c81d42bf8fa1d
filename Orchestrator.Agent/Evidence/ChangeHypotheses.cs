namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Faults that somebody's change brought about. A change is blamed only when its own target is in trouble, the trouble came after it, and
/// the trouble is of the kind such a change can cause; a change beside an unrelated fault is left alone.
/// </summary>
internal static class ChangeHypotheses
{
    /// <summary>Trouble of the target must weigh this much, in nats, before a change can be its cause.</summary>
    private const double LeastTrouble = 6;

    /// <summary>What a change that fits adds: cause and effect in order are rarely chance.</summary>
    private const double Fits = 12;

    /// <summary>Clocks of the control plane and of the services may differ by this much.</summary>
    private const long ClockSlackNanos = 5_000_000_000;

    public static IEnumerable<Hypothesis> Build(Signals signals, IReadOnlyList<Hypothesis> others)
    {
        foreach (var group in signals.Changes.GroupBy(change => TargetOf(change, signals)).Where(static group => group.Key is not null))
        {
            var service = group.Key!;
            var trouble = others.Where(other => other.Service == service).MaxBy(static other => other.Score);
            if (trouble is null || trouble.Score < LeastTrouble)
            {
                continue;
            }

            var symptoms = Symptoms.Of(service, signals);
            var blamed = group.Where(change => change.Log.TimeNanos <= trouble.FirstNanos + ClockSlackNanos
                || change.Log.TimeNanos <= symptoms.FirstNanos + ClockSlackNanos)
                .Select(change => (Change: change, Kind: ChangeKind.Of(change, group)))
                .Where(pair => pair.Kind is not null && pair.Kind.CanCause(symptoms))
                .OrderByDescending(static pair => pair.Kind!.Rank)
                .ThenByDescending(static pair => pair.Change.Log.TimeNanos)
                .FirstOrDefault();
            if (blamed.Kind is null)
            {
                continue;
            }

            var change = blamed.Change;
            var evidence = new List<Evidence>
            {
                CodeHypotheses.OfLog(change.Log,
                    $"{change.Type} of {change.Target}: {change.Field} went from '{change.Before}' to '{change.After}' " +
                    "just before the trouble began", null),
            };
            evidence.AddRange(trouble.Evidence);
            yield return new(
                service, blamed.Kind.FaultType, new(blamed.Kind.Location,
                    $"{change.Field}: {change.Before} -> {change.After} ({change.Id})"), trouble.Score + Fits, evidence,
                Math.Min(symptoms.FirstNanos, trouble.FirstNanos));
        }
    }

    /// <summary>The service a change was made to: named as such, or the one whose name the target contains.</summary>
    private static string? TargetOf(ChangeEvent change, Signals signals)
    {
        var services = signals.Incident.Services.Concat(signals.Baseline.Services).Distinct(StringComparer.Ordinal).ToList();
        return services.Find(service => service == change.Target)
            ?? services.Where(service => change.Target.Contains(service, StringComparison.OrdinalIgnoreCase))
                .MaxBy(static service => service.Length);
    }
}
