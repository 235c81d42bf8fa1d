namespace Orchestrator.Agent.Evidence;

/// <summary>
/// A part of a span's own time. A call has one: its time outside the server. A run has its own time and, for each call that has no span on
/// the caller's side, the time between its own spans just before and after the server's: the way there and back.
/// </summary>
/// <param name="Callee">The server span at the other end; null for own time.</param>
internal readonly record struct TimePiece(SpanNode Node, SpanNode? Callee, double Ms)
{
    /// <summary>What makes two pieces comparable.</summary>
    public string Key => Callee is null ? Node.Operation : $"{Node.Operation}>{Callee.Operation}";

    public static IEnumerable<TimePiece> Of(SpanNode node)
    {
        if (node.IsCall)
        {
            return [new(node, node.Children[0], node.GapMs)];
        }

        return node.Children.Exists(child => child.Service != node.Service) ? Split(node) : [new(node, null, node.SelfMs)];
    }

    private static IEnumerable<TimePiece> Split(SpanNode node)
    {
        var own = node.SelfMs;
        var upTo = node.Span.StartNanos;
        var given = long.MinValue;
        for (var i = 0; i < node.Children.Count; i++)
        {
            var child = node.Children[i];
            var (start, end) = (child.Span.StartNanos, child.Span.EndNanos);
            if (child.Service != node.Service && end <= node.Span.EndNanos)
            {
                var next = i + 1 < node.Children.Count ? Math.Min(node.Children[i + 1].Span.StartNanos, node.Span.EndNanos)
                    : node.Span.EndNanos;
                var (before, after) = (Math.Max(0, start - upTo), Math.Max(0, next - Math.Max(end, upTo)));
                own -= ((given == upTo ? 0 : before) + after) / 1e6;
                given = end;
                yield return new(node, child, (before + after) / 1e6);
            }

            upTo = Math.Max(upTo, end);
        }

        yield return new(node, null, Math.Max(0, own));
    }
}
