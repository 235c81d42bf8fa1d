namespace Orchestrator.Agent.Evidence;

/// <summary>What every channel saw in one window against one baseline.</summary>
internal sealed record Signals(
    WindowModel Incident, WindowModel Baseline, List<SequenceBreak> Breaks, List<FailureShift> Failures, List<Slowdown> Slowdowns,
        List<MetricShift> Metrics,
    List<ChangeEvent> Changes)
{
    /// <summary>A metric shift of this much, in nats, tells of a resource in trouble.</summary>
    public const double TellingShift = 12;

    /// <summary>Spans of this system say when they fail.</summary>
    public bool TellsFailures { get; } = Incident.Window.Spans.Concat(Baseline.Window.Spans)
        .Any(FailureChannel.Tells);

    /// <summary>Calls that never reached a service with a resource in trouble: its trouble, not the callers'.</summary>
    public required List<SequenceBreak> Unanswered { get; init; }

    /// <summary>A break or failure must weigh this much, in nats, before it explains what is upstream of it.</summary>
    public const double Explaining = 5;

    /// <summary>Slowness must weigh this much, in nats, before it explains failures upstream of it.</summary>
    private const double Slow = 10;

    /// <remarks>
    /// 1 everyday errors leave the comparison; 2 sequences and failures are found everywhere; 3 those that weigh enough explain their
    /// callers; 4 they are found again without what is explained, by them or by slowness below, as callers give up on the slow; 5 metrics
    /// and changes join.
    /// </remarks>
    public static Signals Read(TelemetryWindow window, TelemetryWindow before)
    {
        var incident = new WindowModel(window);
        var baseline = new WindowModel(before);
        EverydayErrors.Mark(incident, baseline); // 1

        var nothing = new Blame(incident.Traces, [], []);
        var breaks = FindBreaks(incident, baseline, nothing, nothing); // 2
        var failures = FailureChannel.Find(incident, baseline, nothing.Explains);

        var troubled = breaks.Where(static found => found.Score >= Explaining).SelectMany(static found => found.Broken)
            .Select(static run => run.Run.Node).OfType<SpanNode>().ToHashSet(); // 3
        var failed = failures.Where(static found => found.Score >= Explaining)
            .SelectMany(static found => found.Spans, static (found, node) => (found.Service, Node: node)).ToList();
        troubled.UnionWith(failed.Where(static found => found.Service == found.Node.Service).Select(static found => found.Node));
        var silent = failed.Where(static found => found.Service != found.Node.Service).Select(static found => found.Node).ToHashSet();
        foreach (var log in failures.Where(static found => found.Score >= Explaining).SelectMany(static found => found.Logs))
        {
            if (incident.Traces.Find(log.TraceId, log.SpanId) is { } node)
            {
                troubled.Add(node);
            }
        }

        var blame = new Blame(incident.Traces, troubled, silent);
        var repeating = breaks.Where(static found => found.Score >= Explaining && found.Repeats).SelectMany(static found => found.Broken)
            .Select(static run => run.Run.Node).OfType<SpanNode>().ToHashSet();
        var slowdowns = LatencyChannel.Find(incident, baseline, repeating); // 4
        var late = slowdowns.Where(static found => found.Excess >= Slow).SelectMany(static found => found.Slow)
            .SelectMany(static piece => new[] { piece.Callee ?? piece.Node, piece.Before }).OfType<SpanNode>();
        var waited = new Blame(incident.Traces, [.. troubled, .. late], silent);
        var left = FindBreaks(incident, baseline, blame, waited);
        var metrics = MetricChannel.Find(window, before); // 5
        var pressed = metrics.Where(static shift => shift.Resource != "network" && shift.Score >= TellingShift && shift.Exhausted)
            .Select(static shift => shift.Service).ToHashSet(StringComparer.Ordinal);
        var unanswered = left.Where(found => found.Missing is { } missing && missing.Service != found.Service
            && pressed.Contains(missing.Service)).ToList();
        return new(
            incident, baseline, left.Except(unanswered).ToList(), FailureChannel.Find(incident, baseline, waited.Explains), slowdowns,
            metrics, ChangeEvent.Find(window))
        {
            Unanswered = unanswered,
        };
    }

    private static List<SequenceBreak> FindBreaks(WindowModel incident, WindowModel baseline, Blame blame, Blame waited) =>
    [
        .. SequenceChannel.Find(incident, baseline, SequenceChannel.LogSteps, inLogs: true, run => blame.Explains(run.Node)),
        .. SequenceChannel.Find(incident, baseline, SequenceChannel.CallSteps, inLogs: false, run => waited.Explains(run.Node)),
    ];
}
