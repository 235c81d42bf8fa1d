using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>Builds small windows: a front service that calls a back service, which reads its store and logs two statements a run.</summary>
internal sealed class Synthetic
{
    private const long Second = 1_000_000_000;
    private readonly List<SpanRecord> _spans = [];
    private readonly List<LogRecord> _logs = [];
    private readonly List<MetricSeries> _series = [];
    private int _ids;

    /// <summary>How the runs of the back service go.</summary>
    public sealed record Course(double OwnMs = 5, double GapMs = 2, string? Second = "Orders.java:20 stored", string? Error = null,
        int Status = 0, bool Store = true);

    public static TelemetryWindow Window(int runs, Func<int, Course> course, double? cpu = null, bool logs = true)
    {
        var window = new Synthetic();
        for (var i = 0; i < runs; i++)
        {
            window.Request(i, course(i), logs);
        }

        if (cpu is { } load)
        {
            window.Cpu("back", [0.05, 0.06, 0.05, load]);
            window.Cpu("front", [0.05, 0.06, 0.05, 0.06]);
        }

        return window.Build(runs);
    }

    public static TelemetryWindow Healthy(int runs = 30, bool logs = true) =>
        Window(runs, static i => new(5 + (i % 3), 2 + (i % 2)), cpu: 0.06, logs);

    private void Request(int index, Course course, bool logs)
    {
        var trace = $"{index + 1:x32}";
        var start = (100 + (2L * index)) * Second;
        var back = course.OwnMs + (course.Store ? 3 : 0);
        var root = Span(trace, null, "front", "GET /orders", start, back + course.GapMs + 4);
        var call = Span(trace, root, "front", "call back", start + Ms(1), back + course.GapMs);
        var server = Span(trace, call, "back", "GET /internal/orders", start + Ms(1 + (course.GapMs / 2)), back, course.Status);
        if (course.Store)
        {
            Span(trace, server, "back", "SELECT orders", start + Ms(2 + (course.GapMs / 2)), 3);
        }

        if (logs)
        {
            Log(trace, server, start + Ms(2), 9, $"Orders.java:10 reading order {index}");
            if (course.Error is not null)
            {
                Log(trace, server, start + Ms(4), 17, course.Error);
            }

            if (course.Second is not null)
            {
                Log(trace, server, start + Ms(5), 9, $"{course.Second} {index}");
            }
        }
    }

    private string Span(string trace, string? parent, string service, string name, long start, double ms, int status = 0)
    {
        var id = $"{++_ids:x16}";
        _spans.Add(
            new(trace, id, parent, service, service + "-1", name, 1, status, null, start, start + Ms(ms),
                new Dictionary<string, object>(), []));
        return id;
    }

    private void Log(string trace, string span, long time, int severity, string body) =>
        _logs.Add(new(_logs.Count + 1, time, "back", "back-1", severity, null, body, trace, span, null, new Dictionary<string, object>()));

    /// <summary>Three points before the window and one inside.</summary>
    private void Cpu(string service, double[] values) => _series.Add(new(
        service.Length, "container_cpu_usage", null, 1, service, service + "-1", new Dictionary<string, object>(),
        [.. values.Select((value, i) => new MetricPoint((i + 1) * 40 * Second, value))]));

    private TelemetryWindow Build(int runs) => new("synthetic", 100 * Second, (102 + (2L * runs)) * Second, _spans, _logs, _series, []);

    private static long Ms(double ms) => (long)(ms * 1_000_000);
}
