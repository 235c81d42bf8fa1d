namespace Orchestrator.Agent.Evidence;

/// <summary>Servers that answer far faster than they ever do: they left out their work.</summary>
internal static class HurriedAnswers
{
    /// <summary>This many times faster: warming up and lighter load make services up to some two times faster.</summary>
    private const double Far = 3;

    /// <summary>
    /// The server span of a hurried answer that callers were given before their course broke: the deepest, as a hurried service makes those
    /// above it fast too. Null when nobody hurried.
    /// </summary>
    public static SpanNode? Find(SequenceBreak found, WindowModel baseline)
    {
        var answers = found.Broken.Select(static run => run.After.Call!)
            .Select(static call => call.Wraps ? call.Children[0] : call).ToList();
        var hurried = Hurry(answers, baseline) ? answers[0] : null;
        for (var deeper = true; deeper;)
        {
            var below = answers.SelectMany(Asked).GroupBy(static node => node.Operation, StringComparer.Ordinal)
                .Select(static group => group.ToList()).Where(group => group.Count * 2 >= answers.Count && Hurry(group, baseline))
                .MaxBy(static group => group.Count);
            deeper = below is not null;
            (answers, hurried) = (below ?? answers, below?[0] ?? hurried);
        }

        return hurried;
    }

    private static bool Hurry(List<SpanNode> answers, WindowModel baseline)
    {
        var usual = baseline.Traces.ChildrenFirst.Where(node => node.Operation == answers[0].Operation)
            .Select(static node => node.DurationMs);
        return Far * Robust.Median(answers.Select(static node => node.DurationMs)) < Robust.Median(usual);
    }

    /// <summary>The spans of other services that a run asked.</summary>
    private static IEnumerable<SpanNode> Asked(SpanNode node) =>
        node.Children.SelectMany(child => child.Service != node.Service ? [child] : Asked(child));
}
