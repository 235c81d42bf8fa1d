namespace Orchestrator.Agent.Evidence;

/// <summary>Without a baseline: the window is cut where its later part differs most from its earlier part.</summary>
internal static class OnsetSearch
{
    private static readonly double[] s_cuts = [0.25, 0.4, 0.55, 0.7];

    /// <summary>Share of the window left out between the parts: requests that span the onset belong to neither.</summary>
    private const double Guard = 0.02;

    public static Diagnosis Diagnose(TelemetryWindow window, Func<TelemetryWindow, TelemetryWindow, Diagnosis> compare)
    {
        var times = window.Spans.Select(static span => span.StartNanos).Concat(window.Logs.Select(static log => log.TimeNanos))
            .DefaultIfEmpty(window.StartNanos).ToList();
        var (first, last) = (Math.Max(window.StartNanos, times.Min()), times.Max() + 1);
        return s_cuts.Select(cut =>
            {
                var at = first + (long)(cut * (last - first));
                return compare(Slice(window, at, window.EndNanos), Slice(window, window.StartNanos, at - (long)(Guard * (last - first))));
            })
            .MaxBy(static diagnosis => diagnosis.Causes.Count > 0 ? diagnosis.Findings[0].Score : 0)!;
    }

    /// <summary>
    /// The part of a window in [<paramref name="from"/>, <paramref name="to"/>), whole traces by the start of their first span; metrics
    /// keep their history.
    /// </summary>
    public static TelemetryWindow Slice(TelemetryWindow window, long from, long to)
    {
        var starts = new Dictionary<string, long>(StringComparer.Ordinal);
        foreach (var span in window.Spans)
        {
            starts[span.TraceId] = Math.Min(starts.GetValueOrDefault(span.TraceId, long.MaxValue), span.StartNanos);
        }

        bool Inside(long time) => time >= from && time < to;
        return window with
        {
            StartNanos = from,
            EndNanos = to,
            Spans = [.. window.Spans.Where(span => Inside(starts[span.TraceId]))],
            Logs = [.. window.Logs.Where(log =>
                Inside(log.TraceId is { Length: > 0 } trace && starts.TryGetValue(trace, out var start) ? start : log.TimeNanos))],
            Series = [.. window.Series.Select(series => series with { Points = [.. series.Points.Where(point => point.TimeNanos < to)] })],
        };
    }
}
