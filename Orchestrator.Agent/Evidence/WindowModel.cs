namespace Orchestrator.Agent.Evidence;

/// <summary>A log record with the statement that wrote it.</summary>
internal readonly record struct Line(LogRecord Log, LogStatement Statement);

/// <summary>
/// One run of an operation: a span and the log records written in it. Without traces, a run is what the log records say of a span.
/// </summary>
/// <param name="Lines">Ascending by time.</param>
internal sealed record Run(string Service, string Operation, SpanNode? Node, string? TraceId, string? SpanId, List<Line> Lines)
{
    /// <summary>An everyday error touched it (<see cref="EverydayErrors"/>).</summary>
    public bool Everyday { get; set; }

    public long StartNanos => Node?.Span.StartNanos ?? Lines[0].Log.TimeNanos;
}

/// <summary>A window prepared for the channels: trees, runs, and log statements.</summary>
internal sealed class WindowModel
{
    public WindowModel(TelemetryWindow window)
    {
        Window = window;
        Traces = new TraceIndex(window.Spans);
        Services = new(Traces.Services, StringComparer.Ordinal);
        var byRun = new Dictionary<(string?, string?), List<Line>>();
        var seen = new HashSet<(string?, long, string)>();
        foreach (var log in window.Logs)
        {
            Services.Add(log.Service);
            if (log.EventName == ChangeEvent.Name || log.Attributes.ContainsKey("change.type")
                || !seen.Add((log.SpanId, log.TimeNanos, log.Body)))
            {
                continue;
            }

            var line = new Line(log, LogStatement.Of(log));
            Lines.Add(line);
            if (log.SpanId is { Length: > 0 })
            {
                if (!byRun.TryGetValue((log.TraceId, log.SpanId), out var lines))
                {
                    byRun[(log.TraceId, log.SpanId)] = lines = [];
                }

                lines.Add(line);
            }
        }

        foreach (var node in Traces.ChildrenFirst)
        {
            byRun.Remove((node.Span.TraceId, node.Span.SpanId), out var lines);
            lines?.Sort(static (a, b) => a.Log.TimeNanos.CompareTo(b.Log.TimeNanos));
            Runs.Add(new Run(node.Service, node.Operation, node, node.Span.TraceId, node.Span.SpanId, lines ?? []));
        }

        foreach (var ((trace, span), lines) in byRun)
        {
            lines.Sort(static (a, b) => a.Log.TimeNanos.CompareTo(b.Log.TimeNanos));
            Runs.Add(new Run(lines[0].Log.Service, $"{lines[0].Log.Service}|{lines[0].Statement.Key}", null, trace, span, lines));
        }
    }

    public TelemetryWindow Window { get; }

    public TraceIndex Traces { get; }

    public List<Line> Lines { get; } = [];

    public List<Run> Runs { get; } = [];

    public HashSet<string> Services { get; }

    /// <summary>How much was going on, to compare rates: traces, or runs seen in logs.</summary>
    public double Traffic => Math.Max(1, Traces.TraceCount > 0 ? Traces.TraceCount : Runs.Select(static run => run.TraceId)
        .Distinct(StringComparer.Ordinal).Count());
}
