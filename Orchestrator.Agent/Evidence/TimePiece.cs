namespace Orchestrator.Agent.Evidence;

/// <summary>
/// A part of a span's own time. A call has one: its time outside the server. A run has its own time and, where calls have no span on the
/// caller's side, the times between its own ends, its other steps and the server's spans: a way there, or a way back.
/// </summary>
/// <param name="Callee">The server span at the end of the way; null for own time.</param>
/// <param name="Before">The server span that the way leads back from, where it leads on to another one.</param>
/// <param name="Back">The way leads back from <paramref name="Callee"/>, and to no other.</param>
internal readonly record struct TimePiece(SpanNode Node, SpanNode? Callee, double Ms, SpanNode? Before = null, bool Back = false)
{
    /// <summary>What makes two pieces comparable. Names may hold any character, so the path does not tell own time from a call.</summary>
    public (string Path, bool IsCall) Key => (Callee is null ? Node.Operation
        : Node.IsCall ? $"{Node.Operation}>{Callee.Operation}"
        : Back ? $"{Node.Operation}>{Callee.Operation}>" : $"{Node.Operation}>{Before?.Operation}>{Callee.Operation}", Callee is not null);

    public static IEnumerable<TimePiece> Of(SpanNode node)
    {
        if (node.IsCall)
        {
            return [new(node, node.Children[0], node.GapMs)];
        }

        return node.Children.Exists(child => child.Service != node.Service) ? Split(node) : [new(node, null, node.SelfMs)];
    }

    /// <summary>Parallel calls share no way of their own: only what lies outside all children so far is one.</summary>
    private static IEnumerable<TimePiece> Split(SpanNode node)
    {
        var own = node.SelfMs;
        var upTo = node.Span.StartNanos;
        SpanNode? last = null;
        foreach (var child in node.Children.Append(null))
        {
            var next = child is null ? node.Span.EndNanos : Math.Min(child.Span.StartNanos, node.Span.EndNanos);
            var (from, to) = (Remote(node, last), Remote(node, child));
            if (next >= upTo && (from ?? to) is not null)
            {
                var ms = (next - upTo) / 1e6;
                own -= ms;
                yield return to is null ? new(node, from, ms, Back: true) : new(node, to, ms, from);
            }

            if (child is not null && child.Span.EndNanos >= upTo)
            {
                (upTo, last) = (child.Span.EndNanos, child);
            }
        }

        yield return new(node, null, Math.Max(0, own));
    }

    /// <summary>The child if another service answers it while its caller waits.</summary>
    private static SpanNode? Remote(SpanNode node, SpanNode? child) =>
        child is not null && child.Service != node.Service && child.Span.EndNanos <= node.Span.EndNanos ? child : null;
}
