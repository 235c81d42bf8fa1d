namespace Orchestrator.Agent.Evidence;

/// <summary>A span in its tree. Built once per window; repeated spans (a retry's work) are kept once.</summary>
internal sealed class SpanNode(SpanRecord span)
{
    public SpanRecord Span { get; } = span;

    public string Service => Span.Service;

    public SpanNode? Parent { get; set; }

    /// <summary>By start time.</summary>
    public List<SpanNode> Children { get; } = [];

    /// <summary>
    /// Service, span name and, where the parent is in the same service, the parent's name: what makes two spans comparable.
    /// </summary>
    public string Operation { get; set; } = "";

    /// <summary>Duration without the union of the children's times, in ms.</summary>
    public double SelfMs { get; set; }

    /// <summary>An everyday error (one the baseline also has) touched this span: its course says nothing about a fault.</summary>
    public bool Everyday { get; set; }

    /// <summary>
    /// True when this span only carries a call to one server span of another service. A server span with one call inside is a run, not a
    /// call.
    /// </summary>
    public bool IsCall => Children.Count == 1 && Wraps;

    /// <summary>The same for a call that may have been made again: all children are one operation of another service.</summary>
    public bool Wraps => Children.Count > 0 && Children[0].Service != Service
        && Children.TrueForAll(child => child.Operation == Children[0].Operation) &&
        (IsClient || (!KindsTold && Span.Kind is not (Server or Consumer) && Parent?.Service == Service));

    /// <summary>
    /// Spans of this service say what they are, so one that does not say that it calls is the service's own work. Else any inner span may
    /// be a call.
    /// </summary>
    public bool KindsTold { get; set; }

    public bool IsClient => Span.Kind is Client or Producer;

    public bool TellsKind => IsClient || Span.Kind is Server or Consumer;

    /// <summary>
    /// True when this span waits for something that leaves no span of its own, such as a database: a client span without a server span, or
    /// a query by its name.
    /// </summary>
    public bool IsOutbound => Children.Count == 0 && (Span.Kind == Client
        || (Span.Kind is not (Server or Consumer) && (Span.Attributes.ContainsKey("db.system") || IsQuery(Span.Name))));

    /// <summary>Call time outside the server's own span: both network ways and queues, in ms.</summary>
    public double GapMs => Math.Max(0, (Span.DurationNanos - Children[0].Span.DurationNanos) / 1e6);

    public double DurationMs => Span.DurationNanos / 1e6;

    private const int Server = 2, Client = 3, Producer = 4, Consumer = 5;
    private static readonly string[] s_queries = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "FIND ", "SET ", "GET ", "HGET ", "MGET ",
        "EVAL ", "QUERY "];

    /// <summary>Database spans are named by their statement; a web route after the verb starts with a slash.</summary>
    private static bool IsQuery(string name) => Array.Exists(s_queries, verb => name.StartsWith(verb, StringComparison.OrdinalIgnoreCase))
        && name.IndexOf('/', StringComparison.Ordinal) < 0;
}

/// <summary>The spans of a window as trees.</summary>
internal sealed class TraceIndex
{
    private readonly Dictionary<(string Trace, string Span), SpanNode> _nodes;

    public TraceIndex(IReadOnlyList<SpanRecord> spans)
    {
        _nodes = new(spans.Count);
        foreach (var span in spans)
        {
            _nodes.TryAdd((span.TraceId, span.SpanId), new SpanNode(span));
        }

        foreach (var node in _nodes.Values)
        {
            if (node.Span.ParentId is { } parent && _nodes.TryGetValue((node.Span.TraceId, parent), out var found) && found != node)
            {
                node.Parent = found;
                found.Children.Add(node);
            }
        }

        ChildrenFirst = Order();
        var telling = ChildrenFirst.Where(static node => node.TellsKind).Select(static node => node.Service)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var node in ChildrenFirst)
        {
            node.KindsTold = telling.Contains(node.Service);
            node.Children.Sort(static (a, b) => a.Span.StartNanos.CompareTo(b.Span.StartNanos));
            node.SelfMs = Self(node);
            var context = node.Parent is { } up && up.Service == node.Service ? up.Span.Name : "";
            node.Operation = $"{node.Service}|{LogStatement.MaskName(node.Span.Name)}|{LogStatement.MaskName(context)}";
            Services.Add(node.Service);
        }

        TraceCount = _nodes.Keys.Select(static key => key.Trace).Distinct(StringComparer.Ordinal).Count();
    }

    /// <summary>Every span, a child always before its parent.</summary>
    public IReadOnlyList<SpanNode> ChildrenFirst { get; }

    public HashSet<string> Services { get; } = new(StringComparer.Ordinal);

    public int TraceCount { get; }

    public SpanNode? Find(string? traceId, string? spanId) =>
        traceId is null || spanId is null ? null : _nodes.GetValueOrDefault((traceId, spanId));

    private List<SpanNode> Order()
    {
        var order = new List<SpanNode>(_nodes.Count);
        var stack = new Stack<SpanNode>(_nodes.Values.Where(static node => node.Parent is null));
        while (stack.TryPop(out var node))
        {
            order.Add(node);
            foreach (var child in node.Children)
            {
                stack.Push(child);
            }
        }

        order.Reverse();
        return order;
    }

    private static double Self(SpanNode node)
    {
        long covered = 0, upTo = node.Span.StartNanos;
        foreach (var child in node.Children)
        {
            var from = Math.Max(child.Span.StartNanos, upTo);
            var to = Math.Min(child.Span.EndNanos, node.Span.EndNanos);
            if (to > from)
            {
                covered += to - from;
                upTo = to;
            }
        }

        return Math.Max(0, node.Span.DurationNanos - covered) / 1e6;
    }
}
