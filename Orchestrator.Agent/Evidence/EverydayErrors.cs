namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Errors that are no news: ones the baseline has at a like rate, and ones that only report that another service could not be had although
/// it served others meanwhile. The runs they touch are left out on both sides, or a broken baseline would make health look like change.
/// </summary>
internal static class EverydayErrors
{
    /// <summary>How much more often than in the baseline an error may come and still be everyday.</summary>
    private const double SameRate = 3;

    /// <summary>An error in more than this share of an operation's baseline runs is how the operation ends, not a mishap.</summary>
    private const double PartOfTheFlow = 0.5;

    public static void Mark(WindowModel incident, WindowModel baseline)
    {
        var usual = Counts(baseline);
        var now = Counts(incident);
        var flow = UsualInOperation(baseline);
        var failures = FailureRates(baseline);
        var failuresNow = FailureRates(incident);
        MarkFailures(baseline, static _ => true);
        MarkFailures(incident, key => failures.TryGetValue(key, out var rate) && failuresNow[key] <= SameRate * rate);
        Mark(baseline, baseline, flow, static _ => true);
        Mark(incident, baseline, flow, key => now[key] / incident.Traffic <= SameRate * (usual.GetValueOrDefault(key, -1)
            + 1) / baseline.Traffic);
    }

    private static Dictionary<(string Operation, string Failure), double> FailureRates(WindowModel model) =>
        model.Traces.ChildrenFirst.Select(static node => (Operation: Place(node), Failure: FailureChannel.FailureOf(node.Span)!))
            .Where(static failed => failed.Failure is not null)
            .GroupBy(static failed => failed)
            .ToDictionary(static group => group.Key, group => (group.Count() + 1) / model.Traffic);

    /// <summary>Where a failure is everyday: in its operation; one that only an error handler's span shows, in the whole system.</summary>
    private static string Place(SpanNode node) => FailureChannel.HandlesError(node.Span.Name) ? "" : node.Operation;

    private static void MarkFailures(WindowModel model, Func<(string Operation, string Failure), bool> everyday)
    {
        foreach (var node in model.Traces.ChildrenFirst)
        {
            if (FailureChannel.FailureOf(node.Span) is { } failure && everyday((Place(node), failure)))
            {
                Spread(node);
            }
        }
    }

    private static Dictionary<string, int> Counts(WindowModel model) =>
        model.Lines.Where(static line => line.Statement.IsError)
            .GroupBy(static line => line.Statement.Key, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => group.Count(), StringComparer.Ordinal);

    private static HashSet<(string Operation, string Key)> UsualInOperation(WindowModel baseline)
    {
        var runs = baseline.Runs.GroupBy(static run => run.Operation, StringComparer.Ordinal)
            .ToDictionary(static g => g.Key, static g => g.Count(), StringComparer.Ordinal);
        return baseline.Runs.SelectMany(static run => run.Lines.Where(static line => line.Statement.IsError)
                .Select(line => (run.Operation, line.Statement.Key)).Distinct())
            .GroupBy(static pair => pair)
            .Where(group => group.Count() > PartOfTheFlow * runs[group.Key.Operation])
            .Select(static group => group.Key)
            .ToHashSet();
    }

    private static void Mark(WindowModel model, WindowModel baseline, HashSet<(string, string)> flow, Func<string, bool> everyday)
    {
        var alone = new HashSet<(string?, string)>();
        foreach (var run in model.Runs)
        {
            if (run.Lines.Exists(line => line.Statement.IsError &&
                (BlamesHealthy(line, model, baseline) || (!flow.Contains((run.Operation, line.Statement.Key))
                    && everyday(line.Statement.Key)))))
            {
                if (run.Node is { } node)
                {
                    Spread(node);
                }
                else
                {
                    alone.Add((run.TraceId, run.Service));
                }
            }
        }

        foreach (var run in model.Runs)
        {
            run.Everyday |= run.Node?.Everyday ?? alone.Contains((run.TraceId, run.Service));
        }
    }

    private static void Spread(SpanNode node)
    {
        var top = node;
        while (top.Parent is { } parent && parent.Service == node.Service)
        {
            top = parent;
        }

        var stack = new Stack<SpanNode>([top]);
        while (stack.TryPop(out var inner))
        {
            inner.Everyday = true;
            foreach (var child in inner.Children)
            {
                if (child.Service == node.Service)
                {
                    stack.Push(child);
                }
            }
        }

        for (var up = top.Parent; up is not null; up = up.Parent)
        {
            up.Everyday = true;
        }
    }

    private static bool BlamesHealthy(Line line, WindowModel model, WindowModel baseline)
    {
        foreach (var word in Words(line.Log.Body))
        {
            if (word != line.Log.Service && baseline.Services.Contains(word) && model.Services.Contains(word))
            {
                return true;
            }
        }

        return false;
    }

    private static string[] Words(string body) =>
        body.Split([' ', ',', ';', ':', '/', '[', ']', '(', ')', '{', '}', '"', '\'', '='], StringSplitOptions.RemoveEmptyEntries);
}
