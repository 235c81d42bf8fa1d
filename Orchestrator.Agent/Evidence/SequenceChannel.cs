namespace Orchestrator.Agent.Evidence;

/// <summary>A step inside a run: a log statement or a call. <see cref="Start"/> and <see cref="End"/> are the run's own ends.</summary>
internal readonly record struct Step(string Key, string Label, bool IsError, LogRecord? Log, SpanNode? Call)
{
    public static readonly Step Start = new("(start)", "start", false, null, null);
    public static readonly Step End = new("(end)", "end", false, null, null);
}

/// <summary>
/// A way the course of an operation's runs left the usual one: after <see cref="After"/> came <see cref="Came"/> where
/// <see cref="Expected"/> was usual.
/// </summary>
/// <param name="Broken">Runs that took the unusual step, those explained by a deeper service already left out.</param>
/// <param name="Asked">The other service whose answer the runs had just got; null when the step before the break is no call.</param>
/// <param name="Missing">The other service that should have been called; null when the usual step is no call.</param>
internal sealed record SequenceBreak(
    string Service, string Operation, string After, string Came, string Expected, bool CameIsError, bool InLogs, List<BrokenRun> Broken,
        int Runs, double Usual, SpanNode? Asked, SpanNode? Missing)
{
    /// <summary>How much better "something changed here" explains the counts than the baseline's rate does, in nats.</summary>
    public double Score { get; init; }

    /// <summary>What came is a call that the operation never made before.</summary>
    public bool IsNovel { get; init; }

    /// <summary>What came is the call just made, once more.</summary>
    public bool Repeats { get; init; }
}

/// <summary>One run that broke, with the steps around the break.</summary>
internal readonly record struct BrokenRun(Run Run, Step After, Step Came);

/// <summary>
/// The usual sequence of steps inside the runs of an operation, and where it breaks: a step that never (or hardly) followed in the baseline
/// now follows. One engine for two kinds of step: log statements, and calls to other operations (all there is in a system without logs).
/// </summary>
internal static class SequenceChannel
{
    /// <summary>Fewer baseline passages than this through a step are no habit.</summary>
    private const int LeastHistory = 3;

    /// <summary>A step that followed in more than this share of the baseline's passages is one of the usual ways.</summary>
    private const double UsualShare = 0.15;

    /// <summary>
    /// A step that followed in at most this share of the baseline's passages and now is nearly the only one: the other ways are shut.
    /// </summary>
    private const double OftenShare = 0.7;
    private const double OnlyShare = 0.6;

    /// <summary>Evidence below this is left to chance, in nats.</summary>
    private const double LeastScore = 2.5;

    /// <summary>A known step out of its order, or one loop more or less: parallel work and the mix of requests have that too.</summary>
    private const double ReorderedWeight = 0.15;

    /// <summary>A new log statement that is no error: a rare request has that too.</summary>
    private const double NovelWeight = 0.2;

    /// <summary>
    /// A known call where the usual one is left out: <see cref="Lasting"/> asks for more than a rare request shows, but the mix of requests
    /// may have changed.
    /// </summary>
    private const double OtherCourseWeight = 0.85;

    /// <summary>
    /// An error statement that no operation of the whole baseline ever reached: its absence was seen in far more runs than those of one
    /// place.
    /// </summary>
    private const double UnheardOf = 5;
    private const int LeastForUnheardOf = 5;

    private const string Again = " again";

    public static List<SequenceBreak> Find(WindowModel incident, WindowModel baseline, Func<Run, List<Step>> steps, bool inLogs, Func<Run,
        bool> explained)
    {
        var speaking = Talkative(baseline, steps);
        if (!inLogs)
        {
            // An operation that calls nobody any more, or never did before, is news; one that writes no log may have lost it.
            speaking.UnionWith(Talkative(incident, steps));
        }

        var always = Always(baseline, steps);
        var usual = Passages(baseline, steps, speaking, always);
        var shared = Shared(usual);
        var known = usual.Values.SelectMany(static passage => passage.Next.Keys).ToHashSet(StringComparer.Ordinal);
        var own = usual.SelectMany(static place => place.Value.Next.Keys.Select(key => (place.Key.Operation, key))).ToHashSet();
        var usualErrors = usual.Values.SelectMany(static passage => passage.Next.Values).Select(static runs => runs[0].Came)
            .Where(static step => step.IsError)
            .Select(static step => step.Key).Concat(baseline.Lines.Where(static line => line.Statement.IsError)
                .Select(static line => line.Statement.Key)).ToHashSet(StringComparer.Ordinal);
        var now = Passages(incident, steps, inLogs ? Talkative(incident, steps) : speaking, always);
        var steadiness = inLogs ? 0 : Steadiness(usual.Values);
        var breaks = new List<SequenceBreak>();
        foreach (var (place, passage) in now)
        {
            if (!usual.TryGetValue(place, out var history) || history.Runs < LeastHistory)
            {
                // A statement is followed by the same one whichever operation runs it: the service's other operations lend their history.
                if (!inLogs || place.After == Step.Start.Key || !shared.TryGetValue((ServiceOf(place.Operation), place.After), out history)
                    || history.Runs < LeastHistory)
                {
                    continue;
                }
            }

            var expected = history.Next.MaxBy(static next => next.Value.Count);
            if (expected.Value[0].Came.IsError && !inLogs)
            {
                continue;
            }

            foreach (var (key, runs) in passage.Next)
            {
                var before = history.Next.TryGetValue(key, out var same) ? same.Count : 0;
                var came = runs[0].Came;
                var only = !inLogs && before <= OftenShare * history.Runs && runs.Count >= OnlyShare * passage.Runs;
                if (!only && (before > UsualShare * history.Runs || key == expected.Key
                    || (inLogs && before > 0 && key != Step.End.Key && !came.IsError)))
                {
                    continue;
                }

                var instead = key != expected.Key ? expected : history.Next.Where(next => next.Key != key)
                    .MaxBy(static next => next.Value.Count);

                var detour = !came.IsError && key != Step.End.Key;
                var novel = detour && !own.Contains((place.Operation, key));
                var weight = !detour ? 1 : inLogs ? known.Contains(key) ? ReorderedWeight : NovelWeight
                    : novel ? 1 : only || instead.Key != Step.End.Key ? OtherCourseWeight : ReorderedWeight;
                var back = detour && (inLogs || !novel); // what comes later after all was not left out
                var broken = runs.Where(run => !explained(run.Run) && !(back && steps(run.Run).Exists(step => step.Key == instead.Key)))
                    .ToList();
                var past = history.Runs * (inLogs && came.IsError && history.Runs >= LeastForUnheardOf && !usualErrors.Contains(key)
                    ? UnheardOf : 1);
                var score = weight * (inLogs
                    ? Surprise.Binomial(broken.Count, passage.Runs - (runs.Count - broken.Count), before, past)
                    : Lasting.Score(Trials(passage, runs, broken), history.Traces(key), history.Traces(null), Surprise.TwoRates,
                        novel ? steadiness : 0));
                if (score >= LeastScore)
                {
                    breaks.Add(new(broken[0].Run.Service, place.Operation, broken[0].After.Label, came.Label, instead.Value[0].Came.Label,
                        came.IsError, inLogs, broken, passage.Runs, (double)before / history.Runs, Answered(broken),
                        Remote(instead.Value[0].Came))
                    {
                        Score = score,
                        IsNovel = novel && !key.EndsWith(Again, StringComparison.Ordinal),
                        Repeats = key.EndsWith(Again, StringComparison.Ordinal),
                    });
                }
            }
        }

        return breaks;
    }

    /// <summary>
    /// How unlikely it is, in nats, that a way never taken before is one of an operation's usual ways that the baseline was too thin to
    /// show: where hardly any step of the whole system is followed now by this and now by that, a few runs tell.
    /// </summary>
    private static double Steadiness(IReadOnlyCollection<Passage> usual)
    {
        const int enough = 8;
        const double most = 3;
        var known = usual.Where(static passage => passage.Runs >= enough).ToList();
        var undecided = known.Count(
            static passage => passage.Next.Values.Max(static runs => runs.Count) <= (1 - UsualShare) * passage.Runs);
        return Math.Min(most, -Math.Log((undecided + 1.0) / (known.Count + 2)));
    }

    /// <summary>The span of another service that a step is about; null for other steps.</summary>
    private static SpanNode? Remote(Step step) => step.Call is not { } call ? null : call.Wraps ? call.Children[0]
        : call.Parent is { } parent && parent.Service != call.Service ? call : null;

    /// <summary>
    /// The span of another service whose answer the runs had before they broke; null where they did not wait for one, as for who takes up a
    /// message.
    /// </summary>
    private static SpanNode? Answered(List<BrokenRun> broken)
    {
        const long skew = 5_000_000;
        var late = broken.Count(static run => run.After.Call is { } call && Remote(run.After) is { } server
            && server.Span.EndNanos > (call.Wraps ? call : run.Run.Node!).Span.EndNanos + skew);
        return late * 2 > broken.Count ? null : Remote(broken[0].After);
    }

    /// <summary>One trial a trace: the runs of a loop share their cause. Runs that broke for a known reason are none.</summary>
    private static List<(long Nanos, bool Hit)> Trials(Passage passage, List<BrokenRun> took, List<BrokenRun> broken)
    {
        var trials = new Dictionary<string, (long Nanos, bool Hit)>(StringComparer.Ordinal);
        var hits = broken.Select(static run => run.Run).ToHashSet(ReferenceEqualityComparer.Instance);
        foreach (var run in passage.Next.Values.Where(runs => runs != took).SelectMany(static runs => runs).Concat(broken)
            .Select(static run => run.Run))
        {
            var same = trials.GetValueOrDefault(run.TraceId ?? "", (long.MaxValue, false));
            trials[run.TraceId ?? ""] = (Math.Min(same.Item1, run.StartNanos), same.Item2 || hits.Contains(run));
        }

        return [.. trials.Values];
    }

    public static List<Step> LogSteps(Run run)
    {
        var steps = new List<Step>(run.Lines.Count + 2) { Step.Start };
        foreach (var line in run.Lines)
        {
            steps.Add(new(line.Statement.Key, line.Statement.Label, line.Statement.IsError, line.Log, null));
        }

        steps.Add(Step.End);
        return steps;
    }

    public static List<Step> CallSteps(Run run)
    {
        var steps = new List<Step> { Step.Start };
        if (run.Node is { Wraps: false } node)
        {
            foreach (var child in node.Children)
            {
                var target = child.Wraps ? child.Children[0] : child;
                var label = $"{target.Service}: {LogStatement.MaskName(target.Span.Name)}";
                // A call made over and over counts as two, once and again, whether or not one span carries all of them.
                for (var times = Math.Min(2, child.Wraps ? child.Children.Count : 1); times > 0; times--)
                {
                    var key = steps[^1].Key == label ? label + Again : label;
                    if (steps[^1].Key != key && steps[^1].Key != label + Again)
                    {
                        steps.Add(new(key, key, FailureChannel.HandlesError(target.Span.Name), null, child));
                    }
                }
            }
        }

        steps.Add(Step.End);
        return steps;
    }

    /// <summary>
    /// Traces in which several services at once lack the records they always have: the records were lost, no code was skipped.
    /// </summary>
    private static HashSet<string> Lost(List<(Run Run, List<Step> Steps)> courses, HashSet<string> always)
    {
        const int services = 3;
        return courses.Where(course => course.Steps.Count == 2 && course.Run.TraceId is not null
            && always.Contains(course.Run.Operation))
            .GroupBy(static course => course.Run.TraceId!, StringComparer.Ordinal)
            .Where(static trace => trace.Select(static course => course.Run.Service).Distinct(StringComparer.Ordinal).Count() >= services)
            .Select(static trace => trace.Key)
            .ToHashSet(StringComparer.Ordinal);
    }

    private static string ServiceOf(string operation) => operation[..operation.IndexOf('|', StringComparison.Ordinal)];

    private static Dictionary<(string Service, string After), Passage> Shared(Dictionary<(string Operation, string After),
        Passage> passages)
    {
        var shared = new Dictionary<(string, string), Passage>();
        foreach (var ((operation, after), passage) in passages)
        {
            var key = (ServiceOf(operation), after);
            if (!shared.TryGetValue(key, out var pooled))
            {
                shared[key] = pooled = new();
            }

            pooled.Runs += passage.Runs;
            foreach (var (next, runs) in passage.Next)
            {
                if (!pooled.Next.TryGetValue(next, out var all))
                {
                    pooled.Next[next] = all = [];
                }

                all.AddRange(runs);
            }
        }

        return shared;
    }

    private sealed class Passage
    {
        public int Runs { get; set; }

        public Dictionary<string, List<BrokenRun>> Next { get; } = new(StringComparer.Ordinal);

        /// <summary>Traces that passed here to the step <paramref name="key"/>; null = to any.</summary>
        public int Traces(string? key) =>
            (key is null ? Next.Values.SelectMany(static runs => runs) : Next.GetValueOrDefault(key, []))
                .Select(static run => run.Run.TraceId).Distinct(StringComparer.Ordinal).Count();
    }

    /// <summary>Operations whose runs have steps at all.</summary>
    private static HashSet<string> Talkative(WindowModel model, Func<Run, List<Step>> stepsOf) =>
        model.Runs.Where(run => !run.Everyday && stepsOf(run).Count > 2).Select(static run => run.Operation)
            .ToHashSet(StringComparer.Ordinal);

    /// <summary>Operations of which nearly every run has steps.</summary>
    private static HashSet<string> Always(WindowModel model, Func<Run, List<Step>> stepsOf)
    {
        const double nearly = 0.9;
        return model.Runs.Where(static run => !run.Everyday).GroupBy(static run => run.Operation, StringComparer.Ordinal)
            .Where(runs => runs.Count(run => stepsOf(run).Count > 2) >= nearly * runs.Count()).Select(static runs => runs.Key)
            .ToHashSet(StringComparer.Ordinal);
    }

    private static Dictionary<(string Operation, string After), Passage> Passages(WindowModel model, Func<Run, List<Step>> stepsOf,
        HashSet<string> talkative, HashSet<string> always)
    {
        var courses = model.Runs.Where(static run => !run.Everyday).Select(run => (Run: run, Steps: stepsOf(run))).ToList();
        var lost = Lost(courses, always);
        var passages = new Dictionary<(string, string), Passage>();
        var seen = new HashSet<(string, string)>();
        foreach (var (run, steps) in courses)
        {
            if (!talkative.Contains(run.Operation) || (steps.Count == 2 && run.TraceId is not null && lost.Contains(run.TraceId)))
            {
                continue;
            }

            seen.Clear();
            for (var i = 0; i + 1 < steps.Count; i++)
            {
                if (!seen.Add((steps[i].Key, steps[i + 1].Key)))
                {
                    continue;
                }

                if (!passages.TryGetValue((run.Operation, steps[i].Key), out var passage))
                {
                    passages[(run.Operation, steps[i].Key)] = passage = new();
                }

                passage.Runs++;
                if (!passage.Next.TryGetValue(steps[i + 1].Key, out var next))
                {
                    passage.Next[steps[i + 1].Key] = next = [];
                }

                next.Add(new(run, steps[i], steps[i + 1]));
            }
        }

        return passages;
    }
}
