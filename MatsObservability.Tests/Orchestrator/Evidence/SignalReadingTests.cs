using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>How single signals are read: what spans say of failures and calls, and what metric series say of a resource.</summary>
[Trait("Req", "B072")]
public class SignalReadingTests
{
    private const long Second = 1_000_000_000;

    [Theory]
    [InlineData("rpc.grpc.status_code", 0L, null)]
    [InlineData("rpc.grpc.status_code", 14L, "gRPC 14")]
    [InlineData("rpc.grpc.status_code", "UNAVAILABLE", "gRPC UNAVAILABLE")]
    [InlineData("rpc.response.status_code", "OK", null)]
    [InlineData("grpc.status_code", 13d, "gRPC 13")]
    [InlineData("http.status_code", "503", "HTTP 503")]
    [InlineData("http.response.status_code", 200L, null)]
    [InlineData("error", true, "error")]
    [InlineData("error", "false", null)]
    [InlineData("otel.status_code", "ERROR", "error")]
    public void FailureOf_WaysInWhichTracersWriteIt_AreRead(string attribute, object value, string? failure)
    {
        var span =
            Span("1", null, "cart", "Cart/Get", 0, 10, 2) with { Attributes = new Dictionary<string, object> { [attribute] = value } };

        Assert.Equal(failure, FailureChannel.FailureOf(span));
        Assert.True(FailureChannel.Tells(span));
    }

    [Fact]
    public void Wraps_InnerSpanAroundOneCall_IsACallOnlyWhereKindsAreNotTold()
    {
        bool Wraps(int serverKind, int innerKind) => new TraceIndex(
        [
            Span("1", null, "front", "GET /", 0, 50, serverKind), Span("2", "1", "front", "Controller.get", 5, 40, innerKind),
            Span("3", "2", "back", "GET /back", 10, 20, serverKind),
        ]).Find("t", "2")!.Wraps;

        Assert.True(Wraps(serverKind: 1, innerKind: 1));
        Assert.True(Wraps(serverKind: 2, innerKind: 3));
        Assert.False(Wraps(serverKind: 2, innerKind: 1));
    }

    [Fact]
    public void CallSteps_CallMadeOverAndOver_IsOnceAndAgain()
    {
        SpanRecord[] Course(int calls) => [Span("1", null, "front", "GET /", 0, 90, 1),
            .. Enumerable.Range(0, calls).Select(i => Span($"c{i}", "1", "back", "GET /back", 10 * (i + 1), 5, 1))];
        List<string> Steps(int calls) =>
            [.. SequenceChannel.CallSteps(new WindowModel(Window(Course(calls))).Runs.Single(static run => run.Service == "front"))
                .Select(static step => step.Key)];

        Assert.Equal(["(start)", "back: GET /back", "(end)"], Steps(1));
        Assert.Equal(["(start)", "back: GET /back", "back: GET /back again", "(end)"], Steps(2));
        Assert.Equal(Steps(2), Steps(5));
    }

    [Theory]
    [InlineData("container_cpu_usage_seconds_total", 1)]
    [InlineData("process.cpu.time", 2)]
    public void MetricSamples_Counter_IsReadAsRatesThatCiteItsPoints(string name, int type)
    {
        var series = Series(name, type, [(0, 100), (60, 106), (120, 118)]);

        var samples = MetricSamples.Of(series, 0);

        Assert.Equal([0.1, 0.2], samples.Select(static sample => Math.Round(sample.Value, 6)));
        Assert.Equal([106, 118], samples.Select(static sample => sample.Point.Value));
    }

    [Fact]
    public void MetricSamples_CounterOfARestartedProcess_BeginsAnew() =>
        Assert.Equal(
            [0.1, 0.05], MetricSamples.Of(Series("cpu_seconds_total", 2, [(0, 100), (60, 106), (120, 3)]), 0)
                .Select(static sample => Math.Round(sample.Value, 6)));

    [Fact]
    public void MetricSamples_SumThatFalls_IsALevel() =>
        Assert.Equal([100, 106, 90],
            MetricSamples.Of(Series("process.memory.usage", 2, [(0, 100), (60, 106), (120, 90)]), 0).Select(static sample => sample.Value));

    [Fact]
    public void MetricSamples_EverySecond_AreMeansThatCiteAPoint()
    {
        var samples = MetricSamples.Of(Series("cpu", 1, [.. Enumerable.Range(0, 60).Select(static i => (i, i % 10 == 0 ? 5.0 : 1.0))]),
            30 * Second);

        Assert.Equal(4, samples.Count);
        Assert.All(samples, static sample => Assert.InRange(sample.Value, 1.2, 1.6));
        Assert.All(samples, static sample => Assert.Equal(5.0, sample.Point.Value));
    }

    [Fact]
    public void MetricChannel_ValuesThatAreNoNumbers_AreLeftOut()
    {
        var window = new TelemetryWindow("odd", 300 * Second, 480 * Second, [], [],
            [Series("cpu", 1, [(60, double.NaN), (120, 0.1), (180, double.PositiveInfinity), (240, 0.1), (300, double.NaN), (360, 0.9),
                (420, 0.9)]), Calm("cpu"), Series("mem", 1, [])], []);

        var shift = Assert.Single(MetricChannel.Find(window, null));

        Assert.Equal(("cpu", 0.9, 0.1), (shift.Resource, shift.Peak.Value, shift.UsualHigh));
    }

    [Fact]
    public void MetricChannel_MemoryThatGrewAndStays_IsInTroubleUnlessItsLimitIsFar()
    {
        MetricShift Shift(params MetricSeries[] more) => MetricChannel.Find(
            new("mem", 300 * Second, 480 * Second, [], [],
                [Series("container_memory_working_set_bytes", 1, [(60, 100), (120, 101), (240, 100), (360, 180), (420, 190)]),
                    Calm("container_memory_working_set_bytes"), .. more], []), null)
            .First(static shift => shift.Series.Name.StartsWith("container", StringComparison.Ordinal));

        Assert.True(Shift() is { Saturated: true, Exhausted: true, Score: >= Signals.TellingShift });
        Assert.False(
            Shift(Series("memory_limit_utilization", 1, [(60, 0.20), (120, 0.20), (240, 0.20), (360, 0.36), (420, 0.38)])).Saturated);
    }

    [Fact]
    public void MetricChannel_PercentOfOneAndABit_IsNoFullProcessor()
    {
        MetricShift? Shift(string name) => MetricChannel.Find(
            new("cpu", 300 * Second, 480 * Second, [], [],
                [Series(name, 1, [(60, 0.2), (120, 0.2), (240, 0.2), (360, 1.4), (420, 1.4)]), Calm(name)], []), null)
            .Find(static shift => shift.Service == "back");

        Assert.True(Shift("cpu_utilization") is { Saturated: true, Score: >= Signals.TellingShift });
        Assert.All(["cpu_percent", "CPU (%)"], name => Assert.False(Shift(name) is { Saturated: true } or { Score: >= 1 }, name));
    }

    [Theory]
    [InlineData("planner -> executor")]
    [InlineData("Handler<Order>")]
    public void LatencyChannel_NameWithAnArrow_IsOwnTimeAllTheSame(string name)
    {
        static TelemetryWindow Runs(string name, double slowMs) => Window(
            [.. Enumerable.Range(0, 40).Select(i => Span("1", null, "agent", name, 1000 * i, i < 10 ? 5 : slowMs, 1) with
                { TraceId = $"t{i}" })]);

        var slow = Assert.Single(LatencyChannel.Find(new(Runs(name, 400)), new(Runs(name, 5)), []));

        Assert.Equal((false, name), (slow.IsCall, slow.Operation));
        Assert.Equal(Assert.Single(LatencyChannel.Find(new(Runs("plain", 400)), new(Runs("plain", 5)), [])).Excess, slow.Excess);
    }

    private static SpanRecord Span(string id, string? parent, string service, string name, double fromMs, double ms, int kind) => new(
        "t", id, parent, service, null, name, kind, 0, null, (long)(fromMs * 1e6), (long)((fromMs + ms) * 1e6),
        new Dictionary<string, object>(), []);

    private static TelemetryWindow Window(IReadOnlyList<SpanRecord> spans) => new("some", 0, 100 * Second, spans, [], [], []);

    /// <summary>Another service, of which nothing is told: what moves in most services is load.</summary>
    private static MetricSeries Calm(string name) =>
        Series(name, 1, [(60, 0.1), (240, 0.1), (360, 0.1), (420, 0.1)]) with { Service = "front" };

    private static MetricSeries Series(string name, int type, IEnumerable<(int Seconds, double Value)> points) => new(
        name.Length, name, null, type, "back", "back-1", new Dictionary<string, object>(),
        [.. points.Select(static point => new MetricPoint(point.Seconds * Second, point.Value))]);
}
