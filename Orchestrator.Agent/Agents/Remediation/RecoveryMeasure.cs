using Orchestrator.Agent.Evidence;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>The number that tells an incident from the time before it, and where it must come back to for the incident to be over.</summary>
/// <param name="Query">As <see cref="Validation"/> reads it.</param>
/// <param name="Threshold">As <see cref="Validation"/> reads it; the baseline keeps it, the incident does not.</param>
internal sealed record RecoveryMeasure(string Query, string Threshold)
{
    /// <summary>Up to this share of failures, a service is well that has none otherwise.</summary>
    private const double LeastErrorRate = 0.01;

    /// <summary>What is below this many times the baseline's number is the same again.</summary>
    private const double Same = 1.5;

    /// <summary>And so are times that differ by scheduling alone, in ms.</summary>
    private const double ResolutionMs = 2;

    /// <summary>A percentile of fewer spans is that of single requests.</summary>
    private const int LeastSpans = 20;

    /// <summary>The numbers of services that no longer are what they were, the one that rose most first.</summary>
    /// <param name="incident">Spans since the onset.</param>
    /// <param name="baseline">Spans of the healthy time; may be empty.</param>
    public static List<RisenNumber> Risen(IEnumerable<SpanRecord> incident, IEnumerable<SpanRecord> baseline)
    {
        var usual = baseline.ToLookup(static span => span.Service);
        return [.. incident.GroupBy(static span => span.Service)
            .SelectMany(group => Compare(group.Key, [.. group], [.. usual[group.Key]]))
            .Where(static number => number.Times > 1)
            .OrderByDescending(static number => number.Times)];
    }

    /// <summary>
    /// What shows the incident at <paramref name="service"/> or, where its own numbers do not, at the service where it shows most; null
    /// when no number does: then nobody could see that a fix has helped.
    /// </summary>
    public static RecoveryMeasure? Of(string service, List<RisenNumber> risen) =>
        (risen.Find(number => number.Service == service) ?? risen.FirstOrDefault())?.Measure;

    private static IEnumerable<RisenNumber> Compare(string service, List<SpanRecord> incident, List<SpanRecord> usual)
    {
        var rate = usual.Count == 0 ? LeastErrorRate : Math.Max(LeastErrorRate, Math.Round(Same * Validation.ErrorRate(usual), 4));
        yield return new(
            service, Validation.ErrorRate(incident) / rate,
            new($"error_rate({service})", FormattableString.Invariant($"< {rate:0.####}")));
        if (Math.Min(incident.Count, usual.Count) >= LeastSpans)
        {
            var longest = Math.Ceiling((Same * Validation.P95Ms(usual)) + ResolutionMs);
            yield return new(
                service, Validation.P95Ms(incident) / longest, new($"p95_ms({service})", FormattableString.Invariant($"< {longest:0}")));
        }
    }
}

/// <summary>A number of a service in an incident.</summary>
/// <param name="Times">The number as a multiple of what it must come back to.</param>
internal sealed record RisenNumber(string Service, double Times, RecoveryMeasure Measure);
