namespace Phoenix.Service.Storage;

/// <summary>A span as the search for repeated calls sees it.</summary>
/// <param name="SpanId">Its id.</param>
/// <param name="ParentId">Its parent's; null for a root.</param>
/// <param name="IsCall">Whether it is an LLM span with token usage.</param>
/// <param name="Response">Its <c>gen_ai.response.id</c>, if it names one.</param>
internal readonly record struct CallSpan(long SpanId, long? ParentId, bool IsCall, string? Response);

/// <summary>
/// Which LLM spans of a trace repeat what LLM spans below them report (semantic conventions, token accounting): a span does not count when
/// a descendant with usage names the same response, or one of the two names none. Two that name different responses are two calls.
/// </summary>
internal static class NestedCalls
{
    /// <summary>Bounds what a hostile trace can cost; a trace of agents has a few thousand steps at most.</summary>
    private const int MostSteps = 1_000_000;

    /// <summary>Ids of the spans that do not count.</summary>
    public static HashSet<long> Find(IReadOnlyList<CallSpan> trace)
    {
        var uncounted = new HashSet<long>();
        var spans = new Dictionary<long, CallSpan>(trace.Count);
        foreach (var span in trace)
        {
            spans[span.SpanId] = span;
        }

        // Above a span that was passed with the same response, everything is known: that also ends a walk in a circle.
        var passed = new HashSet<(long, string?)>();
        foreach (var call in trace)
        {
            var parent = call.IsCall ? call.ParentId : null;
            while (parent is { } id && spans.TryGetValue(id, out var above) && passed.Count < MostSteps && passed.Add((id, call.Response)))
            {
                if (above.IsCall && id != call.SpanId
                    && (above.Response is null || call.Response is null || above.Response == call.Response))
                {
                    uncounted.Add(id);
                }

                parent = above.ParentId;
            }
        }

        return uncounted;
    }
}
