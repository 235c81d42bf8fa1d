using System.Globalization;
using System.Text.RegularExpressions;
using Orchestrator.Agent.Agents.Sre;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>
/// Whether a service is well, as a number compared with a threshold. Queries: <c>error_rate(service)</c> (0..1, of what the
/// diagnosis calls a failure), <c>p95_ms(service)</c>, <c>spans(service)</c>; thresholds: <c>&lt;</c>, <c>&lt;=</c>, <c>&gt;</c>,
/// <c>&gt;=</c> or <c>==</c> and a number.
/// </summary>
internal sealed partial class Validation(ReadTelemetry read, PhoenixClient phoenix)
{
    /// <summary>The query's value over a window; null when the query is not understood or there is no span to judge by.</summary>
    public async Task<double?> EvaluateAsync(string project, string query, TimeWindow window, CancellationToken cancellationToken)
    {
        var parsed = Query().Match(query);
        if (!parsed.Success)
        {
            return null;
        }

        var telemetry = await phoenix.PatientlyAsync(stop =>
            read(project, "spans", window.StartNanos, window.EndNanos, stop), cancellationToken);
        var spans = telemetry.Spans.Where(span => span.Service == parsed.Groups["service"].Value).ToList();
        return (parsed.Groups["name"].Value, spans.Count) switch
        {
            ("spans", var count) => count,
            (_, 0) => null,
            ("error_rate", _) => ErrorRate(spans),
            _ => P95Ms(spans),
        };
    }

    /// <summary>The share of the spans that failed, 0..1; there must be one.</summary>
    public static double ErrorRate(IReadOnlyCollection<SpanRecord> spans) =>
        spans.Count(static span => FailureChannel.FailureOf(span) is not null) / (double)spans.Count;

    /// <summary>The 95th percentile of the spans' durations in ms; there must be one.</summary>
    public static double P95Ms(IReadOnlyCollection<SpanRecord> spans) =>
        Robust.NearestRank(spans.Select(static span => span.DurationNanos / 1e6), 0.95);

    /// <summary>Whether the value keeps the threshold; null when the threshold is not understood.</summary>
    public static bool? Holds(double value, string threshold)
    {
        var parsed = Threshold().Match(threshold);
        if (!parsed.Success || !double.TryParse(parsed.Groups["number"].ValueSpan, CultureInfo.InvariantCulture, out var limit))
        {
            return null;
        }

        return parsed.Groups["operator"].Value switch
        {
            "<" => value < limit,
            "<=" => value <= limit,
            ">" => value > limit,
            ">=" => value >= limit,
            _ => Math.Abs(value - limit) < 1e-9,
        };
    }

    [GeneratedRegex(@"^\s*(?<name>error_rate|p95_ms|spans)\(\s*(?<service>\S|\S.*\S)\s*\)\s*$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Query();

    [GeneratedRegex(@"^\s*(?<operator><=|>=|==|<|>)\s*(?<number>-?\d+(\.\d+)?([eE]-?\d+)?)\s*$", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Threshold();
}
