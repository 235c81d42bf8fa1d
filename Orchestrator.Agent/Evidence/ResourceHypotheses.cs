namespace Orchestrator.Agent.Evidence;

/// <summary>Faults of a service's resources: slow own time, slow calls along its edges, instance metrics out of range.</summary>
internal static class ResourceHypotheses
{
    /// <summary>
    /// What a metric shift is worth when the service's requests are measured and none is slow: enough for a claim where the resource is
    /// used up and stays so, else, as a job of a moment looks the same, never.
    /// </summary>
    private const double Uncorroborated = 0.4;
    private const double MostOfAMoment = 8;

    /// <summary>Slowness of this much, in nats, corroborates a metric.</summary>
    private const double Corroboration = 4;

    public static IEnumerable<Hypothesis> Build(Signals signals)
    {
        var edges = AssignEdges(signals);
        var services = signals.Slowdowns.SelectMany(static slow => new[] { slow.Service, slow.Callee ?? slow.Service })
            .Concat(signals.Metrics.Select(static shift => shift.Service)).Distinct(StringComparer.Ordinal);
        foreach (var service in services)
        {
            var own = signals.Slowdowns.Where(slow => !slow.IsCall && slow.Service == service).OrderByDescending(static slow => slow.Excess)
                .ToList();
            var calls = edges.GetValueOrDefault(service, []);
            var (self, network) = (own.Sum(static slow => slow.Excess), calls.Sum(static slow => slow.Excess));
            var shifts = signals.Metrics.Where(shift => shift.Service == service).ToList();
            var latency = self + network;
            var strongest = Strongest(latency >= Corroboration ? shifts.FindAll(static shift => !shift.FellBack) : shifts);
            var measured = signals.Incident.Traces.Services.Count > 0;
            var refused = signals.Unanswered.Where(found => found.Missing!.Service == service && found.Score >= Signals.Explaining)
                .ToList();
            var gone = refused.Sum(static found => found.Score) + signals.Failures.Where(found => found.Service == service
                && found.Spans.Exists(node => node.Service != service))
                .Sum(static found => found.Score);
            var metric = strongest is null ? 0 : measured ? Corroborated(strongest, latency + gone) : strongest.Score;
            var kind = metric >= Signals.TellingShift ? strongest!.Resource : Kind(service, own, calls, strongest, signals);
            var net = measured ? null : shifts.Find(static shift => shift.Resource == "network");
            var score = Surprise.Compress(latency) + metric + (metric >= Signals.TellingShift ? Surprise.Compress(gone) : net?.Score ?? 0);
            if (score <= 0)
            {
                continue;
            }

            var evidence = new List<Evidence>();
            var first = long.MaxValue;
            foreach (var shift in shifts.Where(shift => shift.Resource == kind).Take(2))
            {
                evidence.Add(new("metric", Claim(shift), service, SeriesId: shift.Series.SeriesId, TimeNanos: shift.Peak.TimeNanos,
                    Metric: shift.Series.Name, Value: shift.Peak.Point.Value));
                first = Math.Min(first, shift.Peak.TimeNanos);
            }

            foreach (var slow in calls.OrderByDescending(static slow => slow.Excess).Take(kind == "network" ? 3 : 1)
                .Concat(own.Take(kind == "network" ? 1 : 2)))
            {
                evidence.Add(CodeHypotheses.OfSpan(slow.Slow[0].Node, Claim(slow)));
                first = Math.Min(first, slow.Slow.Min(static piece => piece.Node.Span.StartNanos));
            }

            foreach (var found in refused.Take(1))
            {
                evidence.Add(CodeHypotheses.OfSpan(found.Broken[0].Run.Node!,
                    $"{found.Service} did not reach {service} here: {found.Expected} " +
                    $"is missing in {found.Broken.Count} of {found.Runs} runs"));
            }

            var (type, detail) = kind switch
            {
                "cpu" => ("cpu_contention", strongest is not null && metric >= Signals.TellingShift
                    ? $"{strongest.Series.Name} of {strongest.Series.Instance ?? service}" : $"own time of {service}"),
                "memory" => ("memory_exhaustion", $"{strongest!.Series.Name} of {strongest.Series.Instance ?? service}"),
                "network" => ("network_delay", calls.Count == 0 ? $"whatever {service} waits for"
                    : $"calls {string.Join(", ", calls.Select(Way).Distinct(StringComparer.Ordinal).Take(4))}"),
                _ => ("slow_operation", own.Count > 0 ? own[0].Operation : service),
            };
            yield return new(service, type, new(kind, detail), score, evidence, first);
        }
    }

    /// <summary>What a metric shift weighs beside that much trouble of the service's requests, in nats.</summary>
    private static double Corroborated(MetricShift shift, double trouble)
    {
        const double perNat = 4;
        var weight = Math.Min(1, Uncorroborated + ((1 - Uncorroborated) * trouble / Corroboration));
        return shift is { Saturated: true, Exhausted: true } ? weight * shift.Score
            : Math.Min(weight * shift.Score, MostOfAMoment + (perNat * trouble));
    }

    /// <summary>
    /// The resource whose metric left its range most. Memory that runs out keeps the processor busy too, but not the other way round.
    /// </summary>
    private static MetricShift? Strongest(List<MetricShift> shifts)
    {
        const double filled = 1.25;
        var cpu = shifts.Find(static shift => shift.Resource == "cpu");
        var memory = shifts.Find(static shift => shift.Resource == "memory");
        return memory is not null && (cpu is null || memory.Score > cpu.Score
            || (memory.Rise >= filled && memory.Score >= Signals.TellingShift && !cpu.Saturated)) ? memory : cpu;
    }

    /// <summary>
    /// What makes a service slow when no metric moved. A processor that is measured and not busy starves nobody: such a service waits for
    /// something outside it. Where nothing is measured: a starved processor slows whatever the service does itself, and the calls it makes;
    /// a slow network slows calls and queries and leaves the service's own time alone.
    /// </summary>
    private static string Kind(string service, List<Slowdown> own, List<Slowdown> calls, MetricShift? shift, Signals signals)
    {
        const double ownShare = 0.2;
        const int breadth = 3;
        var waiting = own.Where(static slow => slow.Waits).ToList();
        own = own.Except(waiting).ToList();
        var self = own.Sum(static slow => slow.Excess);
        var network = calls.Concat(waiting).Sum(static slow => slow.Excess);
        if (shift is { Resource: "cpu", Score: >= Corroboration } && self > ownShare * (self + network))
        {
            return "cpu";
        }

        if (shift is { Resource: "cpu", Exhausted: true } && self > ownShare * (self + network))
        {
            return "cpu";
        }

        if (signals.Incident.Window.Series.Any(series => series.Service == service && MetricChannel.Resource(series.Name) == "cpu"))
        {
            return network > ownShare * (self + network) || own.Count >= breadth ? "network" : "code";
        }

        var made = calls.Where(call => call.Service == service).Sum(static call => call.Excess);
        var starved = self > ownShare * (self + network) && (own.Count >= breadth || (made > network - made && own.Count > 0));
        return starved ? "cpu" : network > self || self == 0 ? "network" : own.Count >= breadth ? "cpu" : "code";
    }

    private static string Claim(MetricShift shift)
    {
        var (name, now, here) = (shift.Series.Name, Number(shift.Peak.Value), Number(shift.Peak.Point.Value));
        return $"{name} rose to {now}{(now == here ? "" : $" by its points here, of which this is {here}")}; "
            + $"at most {Number(shift.UsualHigh)} before";
    }

    private static string Claim(Slowdown slow) => slow.IsCall
        ? $"{slow.Slow.Count} of {slow.Samples} calls {Way(slow)} ({slow.Operation}) spent long outside the server, {Times(slow)}"
        : $"{slow.Slow.Count} of {slow.Samples} runs of {slow.Operation} spent long in themselves, {Times(slow)}";

    private static string Way(Slowdown slow) => $"{slow.Service} -> {slow.Callee}";

    private static string Times(Slowdown slow) => $"here {Number(slow.Slow[0].Ms)} ms; usual {Number(slow.UsualMs)} ms";

    private static string Number(double value) => CodeHypotheses.Number(value);

    /// <summary>
    /// The slow edges are explained by as few services as can be: each time the one whose edges, own time and metrics are out of the usual
    /// the most and the most generally.
    /// </summary>
    private static Dictionary<string, List<Slowdown>> AssignEdges(Signals signals)
    {
        var all = Edges(signals.Incident).Where(Edges(signals.Baseline).Contains).ToList();
        var own = signals.Slowdowns.Where(static found => !found.IsCall).ToLookup(static found => found.Service, StringComparer.Ordinal);
        var metrics = signals.Metrics.Where(static shift => shift is { FellBack: false, Score: >= Signals.TellingShift })
            .ToLookup(static shift => shift.Service, StringComparer.Ordinal);
        var open = signals.Slowdowns.Where(static found => found.IsCall).ToList();
        var assigned = new Dictionary<string, List<Slowdown>>(StringComparer.Ordinal);
        while (open.Count > 0)
        {
            var best = open.SelectMany(static found => Roles(found.Edge)).Distinct()
                .Select(role => (role.Service, Slow: open.FindAll(found => role.Slows(found.Edge)), Edges: all.Count(role.Slows)))
                .MaxBy(role => (role.Slow.Sum(static found => found.Excess) + own[role.Service].Sum(static found => found.Excess)
                        + metrics[role.Service].Select(static shift => shift.Score).DefaultIfEmpty().Max())
                    * Math.Min(1, (double)role.Slow.Select(static found => found.Edge).Distinct().Count() / role.Edges));
            if (!assigned.TryGetValue(best.Service, out var list))
            {
                assigned[best.Service] = list = [];
            }

            list.AddRange(best.Slow);
            open.RemoveAll(best.Slow.Contains);
        }

        return assigned;
    }

    /// <summary>A way in which a service slows edges.</summary>
    /// <param name="Answers">It slows the ways to it and back.</param>
    /// <param name="Asks">It slows its own calls; a slow network does both, as it slows whatever the service sends.</param>
    private readonly record struct Role(string Service, bool Answers, bool Asks)
    {
        public bool Slows(Edge edge) =>
            (Answers && (edge.Callee == Service || edge.Before == Service)) || (Asks && edge.Caller == Service);
    }

    /// <summary>
    /// The roles that can have slowed an edge, the likelier first. That a service slows nothing but its own calls is work of its own, which
    /// a call's span would have kept apart.
    /// </summary>
    private static IEnumerable<Role> Roles(Edge edge)
    {
        foreach (var callee in new[] { edge.Callee, edge.Before }.OfType<string>())
        {
            yield return new(callee, Answers: true, Asks: false);
            yield return new(callee, Answers: true, Asks: true);
        }

        yield return new(edge.Caller, Answers: true, Asks: true);
        if (!edge.HasSpan)
        {
            yield return new(edge.Caller, Answers: false, Asks: true);
        }
    }

    /// <summary>Who waits for whom, where there are enough calls to judge them.</summary>
    private static HashSet<Edge> Edges(WindowModel model) =>
        model.Traces.ChildrenFirst.SelectMany(TimePiece.Of).Where(static piece => piece.Callee is not null).GroupBy(Edge.Of)
            .Where(static edge => edge.Count() >= LatencyChannel.LeastHistory)
            .Select(static edge => edge.Key).ToHashSet();
}
