using System.Globalization;

namespace Orchestrator.Agent.Evidence;

/// <summary>A kind of failure that became more frequent in a service: failing spans, or error records of one statement.</summary>
/// <param name="Key">The status code, exception type or log statement.</param>
/// <param name="Score">In nats.</param>
internal sealed record FailureShift(
    string Service, string Operation, string Key, double Score, List<SpanNode> Spans, List<LogRecord> Logs, int Runs, double UsualShare);

/// <summary>
/// Failing spans and error records whose share rose. A failure that another failure below it explains is a symptom and not counted.
/// </summary>
internal static class FailureChannel
{
    public static List<FailureShift> Find(WindowModel incident, WindowModel baseline, Func<SpanNode, bool> explained)
    {
        var shifts = new List<FailureShift>();
        var before = SpanFailures(baseline);
        var callees = Callees(baseline, incident);
        var runsBefore = Runs(baseline);
        var runsNow = incident.Runs.GroupBy(static run => run.Operation, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => group.ToList(), StringComparer.Ordinal);
        foreach (var (place, nodes) in SpanFailures(incident))
        {
            // A call that failed and never reached its server accuses the server it was meant for.
            var accused = nodes[0] is { Children.Count: 0 } call && (call.IsClient || !call.KindsTold)
                && callees.TryGetValue(place.Operation, out var callee) ? callee : nodes[0].Service;
            var own = nodes.Where(node => !node.Everyday && (accused != node.Service || !explained(node))).ToList();
            var history = runsBefore.GetValueOrDefault(place.Operation);
            var past = before.TryGetValue(place, out var same) ? same.Count : 0;
            if (own.Count == 0)
            {
                continue;
            }

            var failed = own.ToHashSet();
            var runs = runsNow[place.Operation];
            var score = Lasting.Score([.. runs.Select(run => (run.StartNanos, run.Node is { } node && failed.Contains(node)))], past,
                history, HandlesError(place.Key) ? Surprise.TwoRates : Surprise.Binomial);
            shifts.Add(new(accused, own[0].Span.Name, place.Key, score, own, [], runs.Count, past / Math.Max(1.0, history)));
        }

        shifts.AddRange(LogFailures(incident, baseline, explained));
        return shifts.Where(static shift => shift.Score > 1).OrderByDescending(static shift => shift.Score).ToList();
    }

    /// <summary>How a span failed: its exception, its HTTP or RPC status, or just <c>error</c>; null when it did not.</summary>
    public static string? FailureOf(SpanRecord span)
    {
        foreach (var happened in span.Events)
        {
            if (happened.Name == "exception" && happened.Attributes.TryGetValue("exception.type", out var type))
            {
                return Convert.ToString(type, CultureInfo.InvariantCulture);
            }
        }

        return RpcStatus(span) is { } rpc && rpc is not ("0" or "OK") ? $"gRPC {rpc}"
            : HttpStatus(span) is { } status and >= 400 ? string.Create(CultureInfo.InvariantCulture, $"HTTP {status}")
            : span.Status == 2
                || s_errorMarks.Any(mark => Text(span, mark.Key) is { } said && said.Equals(mark.Value, StringComparison.OrdinalIgnoreCase))
                ? "error"
            : HandlesError(span.Name) ? span.Name
            : null;
    }

    /// <summary>True for a span that says how it ended.</summary>
    public static bool Tells(SpanRecord span) =>
        span.Status != 0 || HttpStatus(span) is not null || RpcStatus(span) is not null
            || s_errorMarks.Any(mark => Text(span, mark.Key) is not null);

    /// <summary>How tracers older than span status mark a failed span.</summary>
    private static readonly KeyValuePair<string, string>[] s_errorMarks = [new("error", "true"), new("otel.status_code", "ERROR")];

    /// <summary>The code of an RPC's answer as its instrumentation writes it, a number or a name.</summary>
    private static string? RpcStatus(SpanRecord span) =>
        Text(span, "rpc.grpc.status_code") ?? Text(span, "rpc.response.status_code") ?? Text(span, "grpc.status_code");

    private static string? Text(SpanRecord span, string name) =>
        span.Attributes.TryGetValue(name, out var value) ? Convert.ToString(value, CultureInfo.InvariantCulture) : null;

    /// <summary>True for the span of an error handler: all that instrumentation without span status shows of a failure.</summary>
    public static bool HandlesError(string name)
    {
        var last = name[(name.LastIndexOfAny(['.', '/', ' ', ':']) + 1)..];
        return last.Equals("error", StringComparison.OrdinalIgnoreCase) || last.Contains("exception", StringComparison.OrdinalIgnoreCase)
            || last.StartsWith("handleError", StringComparison.OrdinalIgnoreCase);
    }

    public static int? HttpStatus(SpanRecord span) =>
        int.TryParse(Text(span, "http.response.status_code") ?? Text(span, "http.status_code"), NumberStyles.Integer,
            CultureInfo.InvariantCulture, out var status) ? status : null;

    private static Dictionary<(string Operation, string Key), List<SpanNode>> SpanFailures(WindowModel model)
    {
        var failures = new Dictionary<(string, string), List<SpanNode>>();
        var failedBelow = new HashSet<SpanNode>();
        foreach (var node in model.Traces.ChildrenFirst)
        {
            var failure = FailureOf(node.Span);
            if (failure is not null && !failedBelow.Contains(node))
            {
                if (!failures.TryGetValue((node.Operation, failure), out var nodes))
                {
                    failures[(node.Operation, failure)] = nodes = [];
                }

                nodes.Add(node);
            }

            if ((failure is not null || failedBelow.Contains(node)) && node.Parent is { } parent)
            {
                failedBelow.Add(parent);
            }
        }

        return failures;
    }

    /// <summary>The service each calling operation calls, where it is always the same one.</summary>
    private static Dictionary<string, string> Callees(params ReadOnlySpan<WindowModel> models)
    {
        var callees = new Dictionary<string, string>(StringComparer.Ordinal);
        var several = new HashSet<string>(StringComparer.Ordinal);
        foreach (var model in models)
        {
            foreach (var call in model.Traces.ChildrenFirst.Where(static node => node.IsCall))
            {
                if (!callees.TryAdd(call.Operation, call.Children[0].Service) && callees[call.Operation] != call.Children[0].Service)
                {
                    several.Add(call.Operation);
                }
            }
        }

        foreach (var operation in several)
        {
            callees.Remove(operation);
        }

        return callees;
    }

    private static Dictionary<string, int> Runs(WindowModel model) =>
        model.Runs.GroupBy(static run => run.Operation, StringComparer.Ordinal)
            .ToDictionary(static group => group.Key, static group => group.Count(), StringComparer.Ordinal);

    private static IEnumerable<FailureShift> LogFailures(WindowModel incident, WindowModel baseline, Func<SpanNode, bool> explained)
    {
        var before = ErrorLines(baseline);
        foreach (var (place, lines) in ErrorLines(incident))
        {
            var own = lines.Where(line => incident.Traces.Find(line.Log.TraceId, line.Log.SpanId) is not { } node
                || (!node.Everyday && !explained(node))).ToList();
            if (own.Count == 0)
            {
                continue;
            }

            var past = before.TryGetValue(place, out var same) ? same.Count * incident.Traffic / baseline.Traffic : 0;
            var trials = Math.Max(own.Count, (int)incident.Traffic);
            var score = Surprise.Binomial(own.Count, trials, past, trials * Math.Min(1, baseline.Traffic / incident.Traffic));
            yield return new(place.Service, "", own[0].Statement.Label, score, [], own.ConvertAll(static line => line.Log), trials,
                past / trials);
        }
    }

    private static Dictionary<(string Service, string Key), List<Line>> ErrorLines(WindowModel model) =>
        model.Lines.Where(static line => line.Statement.IsError)
            .GroupBy(static line => (line.Log.Service, line.Statement.Key))
            .ToDictionary(static group => group.Key, static group => group.ToList());
}
