namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Symptoms upstream, cause downstream: a span is explained when a span below it in another service shows trouble of its own.
/// </summary>
internal sealed class Blame
{
    private readonly HashSet<SpanNode> _explained = [];

    /// <param name="troubled">Spans with trouble of their own service.</param>
    /// <param name="unanswered">Calls whose trouble is the called service's, which left no span.</param>
    public Blame(TraceIndex traces, HashSet<SpanNode> troubled, HashSet<SpanNode> unanswered)
    {
        var any = new HashSet<SpanNode>();
        foreach (var node in traces.ChildrenFirst)
        {
            var below = false;
            foreach (var child in node.Children)
            {
                below |= any.Contains(child);
                if (child.Service == node.Service ? _explained.Contains(child) : any.Contains(child))
                {
                    _explained.Add(node);
                }
            }

            if (unanswered.Contains(node))
            {
                _explained.Add(node);
                below = true;
            }

            if (below || troubled.Contains(node))
            {
                any.Add(node);
            }
        }
    }

    public bool Explains(SpanNode? node) => node is not null && _explained.Contains(node);
}
