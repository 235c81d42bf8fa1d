using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

public class EvidenceEngineTests
{
    [Fact]
    public void Diagnose_SameBehaviour_IsHealthy()
    {
        var diagnosis = EvidenceEngine.Diagnose(
            Synthetic.Window(40, static i => new(6 - (i % 3), 3 - (i % 2)), cpu: 0.06), Synthetic.Healthy());

        Assert.Equal(Verdict.Healthy, diagnosis.Verdict);
        Assert.Empty(diagnosis.Causes);
    }

    [Fact]
    public void Diagnose_StatementReplacedByError_BlamesTheStatementsAroundIt()
    {
        var incident = Synthetic.Window(30, static i => i < 10 ? new() : new(Second: null, Error: "Orders.java:15 no such order"));

        var cause = EvidenceEngine.Diagnose(incident, Synthetic.Healthy()).Causes[0];

        Assert.Equal(("back", "return", "code"), (cause.Service, cause.FaultType, cause.Location.Kind));
        Assert.Contains("Orders.java:10", cause.Location.Detail, StringComparison.Ordinal);
        Assert.Contains(cause.Evidence, static item => item.Quote == "Orders.java:15");
    }

    [Fact]
    public void Diagnose_RunsEndEarly_IsAnException()
    {
        var cause = EvidenceEngine.Diagnose(Synthetic.Window(30, static i => i < 10 ? new() : new(Second: null)),
            Synthetic.Healthy()).Causes[0];

        Assert.Equal(("back", "exception"), (cause.Service, cause.FaultType));
    }

    [Fact]
    public void Diagnose_MissingCallWithoutLogs_BlamesTheCaller()
    {
        var cause = EvidenceEngine.Diagnose(Synthetic.Window(40, static i => new(Store: i < 10), logs: false),
            Synthetic.Healthy(logs: false)).Causes[0];

        Assert.Equal("back", cause.Service);
        Assert.Equal("code", cause.Location.Kind);
    }

    [Fact]
    public void Diagnose_FailingSpans_BlamesTheDeepestService()
    {
        var cause = EvidenceEngine.Diagnose(Synthetic.Window(30, static i => new(Status: i < 10 ? 0 : 2), logs: false),
            Synthetic.Healthy(logs: false)).Causes[0];

        Assert.Equal(("back", "exception"), (cause.Service, cause.FaultType));
    }

    [Fact]
    public void Diagnose_TimeBetweenClientAndServer_IsNetworkDelay()
    {
        var cause = EvidenceEngine.Diagnose(Synthetic.Window(30, static i => new(GapMs: i < 10 ? 2 : 900)), Synthetic.Healthy()).Causes[0];

        Assert.Equal(("back", "network_delay", "network"), (cause.Service, cause.FaultType, cause.Location.Kind));
        var span = Assert.Single(cause.Evidence, static item => item.Kind == "span");
        Assert.True(span.Value > 900);
    }

    [Fact]
    public void Diagnose_ProcessorBusyAndRunsSlow_IsCpuContention()
    {
        var cause = EvidenceEngine.Diagnose(Synthetic.Window(30, static i => new(OwnMs: i < 10 ? 5 : 250), cpu: 1.9),
            Synthetic.Healthy()).Causes[0];

        Assert.Equal(("back", "cpu_contention", "cpu"), (cause.Service, cause.FaultType, cause.Location.Kind));
        Assert.Contains(cause.Evidence, static item => item is { Kind: "metric", Value: 1.9 });
    }

    [Fact]
    public void Diagnose_ProcessorBusyButNobodySlow_IsHealthy()
    {
        var diagnosis = EvidenceEngine.Diagnose(
            Synthetic.Window(30, static i => new(5 + (i % 3), 2 + (i % 2)), cpu: 0.4), Synthetic.Healthy());

        Assert.Equal(Verdict.Healthy, diagnosis.Verdict);
    }

    [Fact]
    public void Diagnose_ErrorsTheBaselineHasAsWell_IsHealthy()
    {
        static Synthetic.Course Course(int i) =>
            i % 10 == 3 ? new(Second: null, Error: "Orders.java:15 no such order") : new(5 + (i % 3), 2 + (i % 2));

        var diagnosis = EvidenceEngine.Diagnose(Synthetic.Window(50, Course), Synthetic.Window(40, Course));

        Assert.Equal(Verdict.Healthy, diagnosis.Verdict);
    }

    [Fact]
    public void Diagnose_WithoutBaseline_FindsTheOnsetInside()
    {
        var diagnosis = EvidenceEngine.Diagnose(Synthetic.Window(60, static i => new(GapMs: i < 30 ? 2 : 900)), null);

        Assert.Equal("back", diagnosis.Causes[0].Service);
        Assert.Contains(diagnosis.Notes, static note => note.Contains("No baseline", StringComparison.Ordinal));
    }

    [Fact]
    public void Diagnose_NoTelemetry_SaysSo()
    {
        var diagnosis = EvidenceEngine.Diagnose(new("empty", 0, 1, [], [], [], [new("spans", "the service did not answer")]), null);

        Assert.Equal(Verdict.NoData, diagnosis.Verdict);
        Assert.Contains(diagnosis.Notes, static note => note.Contains("did not answer", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("k8s.pod.cpu.usage", "cpu")]
    [InlineData("container_cpu_usage_seconds_total", "cpu")]
    [InlineData("CpuUsageRate(%)", "cpu")]
    [InlineData("MemoryUsageRate(%)", "memory")]
    [InlineData("jvm.heap.used", "memory")]
    [InlineData("NetworkP90(ms)", "network")]
    [InlineData("k8s.node.cpu.utilization", null)]
    [InlineData("http.server.requests", null)]
    public void Resource_MetricName_TellsWhatItMeasures(string name, string? resource) =>
        Assert.Equal(resource, MetricChannel.Resource(name));

    [Theory]
    [InlineData("12:00:01 INFO  c.s.OrderService#31 TraceID: ab12 stored", "c.s.OrderService#31")]
    [InlineData("Calculator.java:57 no rates", "Calculator.java:57")]
    [InlineData("took 15 ms for order 4711", "took * ms for order *")]
    public void LogStatement_Body_NamesItsPlaceOrTemplate(string body, string label) =>
        Assert.Equal(label, LogStatement.Of(new(1, 0, "s", null, 9, null, body, null, null, null, new Dictionary<string, object>())).Label);

    [Fact]
    public void Binomial_RateAsBefore_IsNoSurprise()
    {
        Assert.Equal(0, Surprise.Binomial(5, 100, 6, 100));
        Assert.True(Surprise.Binomial(50, 100, 1, 100) > Surprise.Binomial(5, 10, 1, 100));
    }
}
