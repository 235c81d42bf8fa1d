namespace Orchestrator.Agent.Evidence;

/// <summary>Slow spans of one operation, or slow calls along one edge, of a service.</summary>
/// <param name="Excess">Log-exceedance above what the baseline's own outliers would give, in nats.</param>
/// <param name="Slow">Slowest first.</param>
/// <param name="UsualMs">The baseline's median.</param>
internal sealed record Slowdown(string Service, string? Callee, string Operation, double Excess, List<TimePiece> Slow, int Samples,
    double UsualMs)
{
    public bool IsCall => Callee is not null;

    /// <summary>Who waited for whom.</summary>
    public Edge Edge => Edge.Of(Slow[0]);

    /// <summary>The time was spent outside the service's own code: on the way to another service, or in a query.</summary>
    public bool Waits => IsCall || Slow[0].Node.IsOutbound;
}

/// <summary>One service waiting for another, or on its way back from one to the next.</summary>
/// <param name="Before">The service it comes back from; null where there is none, or the caller's span of the call has it apart.</param>
/// <param name="HasSpan">The call has a span on the caller's side, so that the time outside the server is no work of the caller's.</param>
internal readonly record struct Edge(string Caller, string Callee, string? Before, bool HasSpan)
{
    public static Edge Of(TimePiece way) => new(way.Node.Service, way.Callee!.Service, way.Before?.Service, way.Node.IsCall);
}

/// <summary>
/// Latency shift per operation: a span's own time against its children's, and a call's time outside its server span (network and queues).
/// </summary>
internal static class LatencyChannel
{
    /// <summary>Fewer times than this are no habit.</summary>
    public const int LeastHistory = 3;

    /// <summary>One wild value must not speak for many, in nats.</summary>
    private const double MostPerSpan = 6;

    /// <summary>More samples of one operation than this share their causes and say nothing more.</summary>
    private const double MostSamples = 20;

    /// <summary>
    /// A thin baseline hides an operation's outliers: this many imagined samples have as many as operations have on average.
    /// </summary>
    private const double Prior = 10;

    /// <summary>The baseline's outlier rate is itself uncertain: this much of it again is expected.</summary>
    private const double Slack = 1.5;

    /// <summary>This many times as many calls of a service are a better history than a thin one of an edge's own.</summary>
    private const int Better = 4;

    /// <summary>Differences below this are scheduling, in ms.</summary>
    private const double ResolutionMs = 2;

    /// <summary>A fault slows runs in general; single slow ones, in less than this share, are hiccups.</summary>
    private const double GeneralShare = 0.25;

    /// <summary>Slowness adding less than this share to its request is nobody's incident.</summary>
    private const double FeltShare = 0.1;

    /// <param name="repeating">Runs that call again what they called before: what they wait between the tries is no work of theirs.</param>
    public static List<Slowdown> Find(WindowModel incident, WindowModel baseline, HashSet<SpanNode> repeating)
    {
        var usual = Usual(baseline);
        var excess = new Dictionary<TimePiece, double>();
        var groups = incident.Traces.ChildrenFirst.SelectMany(TimePiece.Of)
            .Where(piece => piece.Callee is not null || !repeating.Contains(piece.Node)).GroupBy(static piece => piece.Key)
            .Select(group => (Pieces: group.ToList(), Usual: History(usual, group.First()))).Where(static group => group.Usual is not null)
                .ToList();
        foreach (var (pieces, times) in groups)
        {
            var median = Robust.Quantile(times!, 0.5);
            foreach (var piece in pieces)
            {
                excess[piece] = Math.Max(0, piece.Ms - median);
            }
        }

        var outliers = usual.GroupBy(static pair => pair.Key.IsCall).ToDictionary(
            static kind => kind.Key,
            static kind => kind.Average(static pair => pair.Value.Average(time => Exceedance(time, Limit(pair.Value)))));
        var explained = Explained(incident, excess);
        var requests = Requests(incident);
        var found = new List<Slowdown>();
        foreach (var (pieces, times) in groups)
        {
            var limit = Limit(times!);
            var before = (times!.Sum(time => Exceedance(time, limit)) + (Prior * outliers[pieces[0].Callee is not null])) / (times!.Length
                + Prior);
            var slow = pieces.Where(piece => piece.Ms > limit && !explained.Contains(piece)).OrderByDescending(static piece => piece.Ms)
                .ToList();
            var sum = slow.Sum(piece => Exceedance(piece.Ms, limit) * Math.Min(1, excess[piece] / (FeltShare * requests[piece.Node])));
            var net = (sum - (Slack * before * pieces.Count)) * Math.Min(1, MostSamples / pieces.Count) * Math.Min(1,
                slow.Count / (GeneralShare * pieces.Count));
            if (net > 0 && slow.Count > 1)
            {
                found.Add(new(slow[0].Node.Service, slow[0].Callee?.Service, slow[0].Node.Span.Name, net, slow, pieces.Count,
                    Robust.Quantile(times!, 0.5)));
            }
        }

        return found;
    }

    /// <summary>
    /// Times by operation or call; for calls also by the two services, by the called one and over all, as a network is alike for all that
    /// cross it.
    /// </summary>
    private static Dictionary<(string Path, bool IsCall), double[]> Usual(WindowModel baseline)
    {
        var calls = baseline.Traces.ChildrenFirst.Where(static node => node.IsCall).ToList();
        return baseline.Traces.ChildrenFirst.SelectMany(TimePiece.Of).GroupBy(static piece => piece.Key, static piece => piece.Ms)
            .Concat(calls.GroupBy(EdgeKey, static call => call.GapMs))
            .Concat(calls.GroupBy(CalleeKey, static call => call.GapMs))
            .Concat(calls.GroupBy(static _ => s_anyCall, static call => call.GapMs))
            .Where(static group => group.Count() >= LeastHistory)
            .ToDictionary(static group => group.Key, static group => Robust.Sorted(group));
    }

    /// <summary>
    /// A call that the baseline has few of may be fast or slow by halves (a connection reused or opened) without its having shown: callers
    /// that know the service far better lend theirs.
    /// </summary>
    private static double[]? History(Dictionary<(string Path, bool IsCall), double[]> usual, TimePiece piece) =>
        usual.TryGetValue(piece.Key, out var own) ? own.Length < MostSamples && piece.Node.IsCall
            && usual.TryGetValue(CalleeKey(piece.Node), out var lent) && lent.Length >= Better * own.Length && Limit(lent) >= Limit(own)
                ? lent : own
        : piece.Node.IsCall && (usual.TryGetValue(EdgeKey(piece.Node), out own) || usual.TryGetValue(s_anyCall, out own)) ? own
        : null;

    /// <summary>The duration of the request each span belongs to, in ms.</summary>
    private static Dictionary<SpanNode, double> Requests(WindowModel model)
    {
        var requests = new Dictionary<SpanNode, double>();
        foreach (var node in model.Traces.ChildrenFirst.Reverse())
        {
            requests[node] = node.Parent is { } parent ? requests[parent] : node.DurationMs;
        }

        return requests;
    }

    private static readonly (string Path, bool IsCall) s_anyCall = (">", true);

    private static (string Path, bool IsCall) CalleeKey(SpanNode call) => ($">{call.Children[0].Service}", true);

    private static (string Path, bool IsCall) EdgeKey(SpanNode call) => ($"{call.Service}>{call.Children[0].Service}", true);

    /// <summary>
    /// Pieces whose slowness is no longer theirs: what lies below them lost at least half as much time. What the called service itself lost
    /// does not explain the way to it, as one fault of that service makes both slow.
    /// </summary>
    private static HashSet<TimePiece> Explained(WindowModel incident, Dictionary<TimePiece, double> excess)
    {
        var below = new Dictionary<SpanNode, double>();
        var within = new Dictionary<SpanNode, double>();
        var explained = new HashSet<TimePiece>();
        double Within(SpanNode? server) => server is null ? 0 : within.GetValueOrDefault(server);
        foreach (var node in incident.Traces.ChildrenFirst)
        {
            var under = below.GetValueOrDefault(node);
            var (lost, inside) = (under, within.GetValueOrDefault(node));
            foreach (var piece in TimePiece.Of(node))
            {
                var own = excess.GetValueOrDefault(piece);
                if (own > 0 && under - Within(piece.Callee) - Within(piece.Before) >= own / 2)
                {
                    explained.Add(piece);
                }
                else
                {
                    lost += own;
                    inside += own;
                }
            }

            within[node] = inside;
            if (node.Parent is { } parent)
            {
                below[parent] = below.GetValueOrDefault(parent) + lost;
                if (parent.Service == node.Service)
                {
                    within[parent] = within.GetValueOrDefault(parent) + inside;
                }
            }
        }

        return explained;
    }

    private static double Limit(double[] sorted)
    {
        var median = Robust.Quantile(sorted, 0.5);
        return Math.Max(Math.Max(3 * median, 1.5 * Robust.Quantile(sorted, 0.75)), median + ResolutionMs);
    }

    private static double Exceedance(double time, double limit) => time <= limit ? 0 : Math.Min(MostPerSpan, Math.Log(time / limit));
}
