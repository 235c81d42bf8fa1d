using System.Globalization;

namespace Orchestrator.Agent.Evidence;

/// <summary>Faults in a service's own code: the course of its runs breaks, or they fail, with nothing below to explain it.</summary>
internal static class CodeHypotheses
{
    /// <summary>Breaks seen in calls alone say less where logs tell the course too.</summary>
    private const double CallWeight = 0.7;

    /// <summary>What further symptoms of a service add to its strongest one.</summary>
    private const double FurtherWeight = 0.5;

    public static IEnumerable<Hypothesis> Build(Signals signals)
    {
        var logging = signals.Incident.Lines.Select(static line => line.Log.Service).ToHashSet(StringComparer.Ordinal);
        var services = signals.Breaks.Select(static found => found.Service).Concat(signals.Failures.Select(static found => found.Service))
            .Distinct(StringComparer.Ordinal);
        foreach (var service in services)
        {
            var places = signals.Breaks.Where(found => found.Service == service)
                .GroupBy(static found => (found.After, found.Came, found.InLogs))
                .Select(static group => group.OrderByDescending(static found => found.Score).ToList())
                .Select(group => (Breaks: group, Score: group.Sum(found => found.Score * Weight(found, logging))))
                .OrderByDescending(static place => place.Score)
                .ToList();
            var failures = signals.Failures.Where(found => found.Service == service).ToList();
            var sequence = Weigh(places.Select(static place => place.Score));
            var failing = Weigh(failures.Select(static found => found.Score));
            var score = Surprise.Compress(Math.Max(sequence, failing) + (FurtherWeight * Math.Min(sequence, failing)));

            var evidence = new List<Evidence>();
            var first = long.MaxValue;
            foreach (var broken in places.Take(2).SelectMany(static place => place.Breaks.Take(1)))
            {
                Cite(broken, signals, evidence);
                first = Math.Min(first, broken.Broken.Min(StartOf));
            }

            foreach (var failure in failures.Take(2))
            {
                Cite(failure, evidence);
                first = Math.Min(first, failure.Spans.Select(static span => span.Span.StartNanos)
                    .Concat(failure.Logs.Select(static log => log.TimeNanos)).Min());
            }

            var raised = failures.Exists(static found => found.Spans.Count > 0)
                || places.Exists(static place => place.Breaks[0].Came == Step.End.Label);
            yield return new(service, raised ? "exception" : "return",
                new("code", Detail(places.Select(static place => place.Breaks[0]).FirstOrDefault(), failures)), score, evidence, first);
        }

        foreach (var answers in signals.Breaks.Where(static found => found.Asked is { } asked && asked.Service != found.Service
            && found.Score >= Signals.Explaining).GroupBy(static found => found.Asked!.Service, StringComparer.Ordinal))
        {
            yield return WrongAnswers([.. answers.OrderByDescending(static found => found.Score)], signals, logging);
        }
    }

    private static double Weight(SequenceBreak found, HashSet<string> logging) =>
        found.InLogs || !logging.Contains(found.Service) ? 1 : CallWeight;

    /// <summary>
    /// The callers' course breaks just after a service answered: its answer was wrong, or the fault is the caller's. The service, or the
    /// deepest one below it that does so, goes before its callers when it answers far faster than usual; so does a service of which several
    /// callers break, or that shows no more than that of a failing answer, as it makes no calls and spans tell no failures. Else, where no
    /// logs tell more, it goes first unless the caller now makes a call that it never made, or goes another way while others take the same
    /// answers as ever: a fault of the caller's own could have struck at any of its steps.
    /// </summary>
    private static Hypothesis WrongAnswers(List<SequenceBreak> after, Signals signals, HashSet<string> logging)
    {
        const double behind = 0.8, before = 1.1;
        var callers = after.Select(static found => found.Service).Distinct(StringComparer.Ordinal).ToList();
        var mute = after[0].Asked!.Children.Count == 0 && !signals.TellsFailures && !after[0].IsNovel;
        var unlogged = !callers.Exists(logging.Contains);
        var likelier = unlogged && !after[0].IsNovel && (after[0].Repeats || !HeededByOneAlone(after, signals));
        var several = callers.Count > 1
            || (unlogged && after.Select(static found => found.Operation).Distinct(StringComparer.Ordinal).Count() > 1);
        var hurried = HurriedAnswers.Find(after[0], signals.Baseline);
        var score = Surprise.Compress(Weigh(after.Select(found => found.Score * Weight(found, logging))))
            * (mute || several || likelier || hurried is not null ? before : behind);
        var service = hurried?.Service ?? after[0].Asked!.Service;
        var evidence = new List<Evidence>();
        if (hurried is not null)
        {
            evidence.Add(OfSpan(hurried, $"{service} answered in less than a third of its usual time"));
        }

        foreach (var found in after.Take(2))
        {
            var (run, step) = (found.Broken[0].Run, found.Broken[0].After.Call!);
            var answer = step.Wraps ? step.Children[0] : step;
            evidence.Add(OfSpan(answer, $"{answer.Service} answered here, and {found.Service} then went to {found.Came} instead of "
                + $"{found.Expected} (in {found.Broken.Count} of {found.Runs} runs)"));
            evidence.Add(OfSpan(run.Node!, $"the run of {Operation(found.Operation)} that {answer.Service} had answered"));
        }

        return new(service, "return",
            new("code", $"{Operation((hurried ?? after[0].Asked!).Operation)}: what its callers do with its answer changed"),
            score, evidence, after.Min(static found => found.Broken.Min(StartOf)));
    }

    /// <summary>
    /// Other operations that get the same answers go on as ever: the fault is the one's that breaks, more likely than not. Those that
    /// hardly run do not count.
    /// </summary>
    private static bool HeededByOneAlone(List<SequenceBreak> after, Signals signals)
    {
        const int busy = 20;
        var asked = after[0].Asked!.Operation;
        var callers = signals.Incident.Traces.ChildrenFirst.Where(node => node.Operation == asked && node.Parent is not null)
            .GroupBy(static node => (node.Parent is { Wraps: true, Parent: { } caller } ? caller : node.Parent!).Operation,
                StringComparer.Ordinal)
            .Where(static calls => calls.Count() >= busy).Select(static calls => calls.Key);
        var broke = after.Select(static found => found.Operation).ToHashSet(StringComparer.Ordinal);
        return broke.Count == 1 && callers.Any(caller => !broke.Contains(caller));
    }

    private static double Weigh(IEnumerable<double> descending)
    {
        using var scores = descending.GetEnumerator();
        return scores.MoveNext() ? scores.Current + (FurtherWeight * (scores.MoveNext() ? scores.Current : 0)) : 0;
    }

    private static long StartOf(BrokenRun broken) => broken.Run.Node?.Span.StartNanos ?? broken.Run.Lines[0].Log.TimeNanos;

    private static string Detail(SequenceBreak? broken, List<FailureShift> failures) =>
        broken is not null ? $"{Operation(broken.Operation)}: after {broken.After} came {broken.Came} instead of {broken.Expected}"
        : failures.Count > 0 ? $"{failures[0].Operation} {failures[0].Key}".Trim() : "";

    private static string Operation(string key) => key.Split('|')[1];

    private static void Cite(SequenceBreak broken, Signals signals, List<Evidence> evidence)
    {
        var count = broken.Broken.Count.ToString(CultureInfo.InvariantCulture);
        var operation = Operation(broken.Operation);
        var share = $"in {count} of {broken.Runs} runs of {operation}";
        var example = broken.Broken.Find(static run => run.After.Log is not null);
        var sample = example.Run ?? broken.Broken[0].Run;
        if (broken.InLogs)
        {
            var at = example.Run is null ? broken.Broken[0] : example;
            if (at.After.Log is { } after)
            {
                evidence.Add(OfLog(after, $"{broken.After} is the last usual statement {share}; {broken.Expected} should follow",
                    broken.After));
            }

            if (at.Came.Log is { } came)
            {
                evidence.Add(OfLog(came, $"{broken.Came} came instead of {broken.Expected} {share}; before: {Percent(broken.Usual)}",
                    broken.Came));
            }

            if (signals.Incident.Lines.Find(line => line.Log.Service == broken.Service
                && line.Statement.Label == broken.Expected) is { Log: not null } normal)
            {
                evidence.Add(OfLog(normal.Log, $"{broken.Expected} as it is written when {operation} takes its usual course",
                    broken.Expected));
            }
        }

        if (sample.Node is { } node)
        {
            evidence.Add(OfSpan(node,
                $"a run of {operation} in which {broken.After} was followed by {broken.Came}, not by {broken.Expected} ({share})"));
        }
    }

    private static void Cite(FailureShift failure, List<Evidence> evidence)
    {
        var before = Percent(failure.UsualShare);
        if (failure.Spans.Count > 0)
        {
            evidence.Add(OfSpan(failure.Spans[0],
                $"{failure.Operation} failed with {failure.Key} in {failure.Spans.Count} of {failure.Runs} runs; before: {before}"));
        }

        if (failure.Logs.Count > 0)
        {
            evidence.Add(OfLog(failure.Logs[0], $"{failure.Logs.Count} error records of {failure.Key}; before: {before} of requests",
                null));
        }
    }

    public static Evidence OfSpan(SpanNode node, string claim) =>
        new("span", $"{claim}; it took {Number(node.DurationMs)} ms", node.Service, node.Span.TraceId, node.Span.SpanId,
            TimeNanos: node.Span.StartNanos,
            Value: node.DurationMs, Quote: node.Span.Name);

    public static Evidence OfLog(LogRecord log, string claim, string? quote) =>
        new("log", claim, log.Service, log.TraceId, log.SpanId, log.RecordId, TimeNanos: log.TimeNanos,
            Quote: quote is not null && log.Body.Contains(quote, StringComparison.Ordinal) ? quote : null);

    public static string Number(double value) => value.ToString(Math.Abs(value) >= 100 ? "0" : "0.##", CultureInfo.InvariantCulture);

    private static string Percent(double share) => (100 * share).ToString("0.#", CultureInfo.InvariantCulture) + " %";
}
