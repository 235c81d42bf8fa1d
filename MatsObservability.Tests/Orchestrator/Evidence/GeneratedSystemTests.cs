using MatsObservability.Benchmarks.Topology;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Tests.Orchestrator.Evidence;

/// <summary>The engine on a few generated systems without logs: every kind of fault, and every kind of healthy window.</summary>
public class GeneratedSystemTests(GeneratedSystemTests.Scores scores) : IClassFixture<GeneratedSystemTests.Scores>
{
    /// <summary>Diagnosed once for all tests of the class.</summary>
    public sealed class Scores
    {
        internal IReadOnlyList<GeneratedScore> All { get; } =
            [.. new[] { 28, 31, 43 }.SelectMany(static seed => GeneratedRca.Run(seed, 1))];
    }

    [Fact]
    public void Diagnose_HealthyWindowsOfGeneratedSystems_BlameNobody() =>
        Assert.DoesNotContain(scores.All, static score => score.Case.Fault is null && score.Claims);

    [Theory]
    [InlineData(FaultKind.CpuContention, "cpu")]
    [InlineData(FaultKind.NetworkDelay, "network")]
    [InlineData(FaultKind.Memory, "memory")]
    public void Diagnose_ResourceFaultWithoutLogs_NamesServiceAndResource(object kind, string resource)
    {
        var faults = Of((FaultKind)kind);

        Assert.All(faults, static score => Assert.Equal(1, score.Rank));
        Assert.All(faults, score => Assert.Equal(resource, score.Diagnosis.Causes[0].Location.Kind));
    }

    [Theory]
    [InlineData(FaultKind.Exception)]
    [InlineData(FaultKind.EarlyReturn)]
    public void Diagnose_CodeFaultWithoutLogs_IsFoundInMostSystems(object kind)
    {
        var faults = Of((FaultKind)kind);

        Assert.True(faults.Count(static score => score.Rank == 1) * 2 > faults.Count);
    }

    [Fact]
    public void Diagnose_FaultThatShowsNowhere_BlamesNobody() =>
        Assert.DoesNotContain(scores.All, static score => !score.Case.Visible && score.Claims);

    [Fact]
    public void Diagnose_EveryCitedRecord_IsInTheWindowAndSaysSo()
    {
        foreach (var score in scores.All)
        {
            var spans = score.Case.Incident.Spans.ToDictionary(static span => (span.TraceId, span.SpanId));
            var series = score.Case.Incident.Series.ToDictionary(static one => one.SeriesId);
            foreach (var item in score.Diagnosis.Causes.SelectMany(static cause => cause.Evidence))
            {
                if (item.Kind == "span")
                {
                    var span = spans[(item.TraceId!, item.SpanId!)];
                    Assert.Equal(span.DurationNanos / 1e6, item.Value!.Value, 0.01);
                    Assert.Contains(item.Quote!, span.Name, StringComparison.Ordinal);
                }
                else
                {
                    Assert.Equal("metric", item.Kind);
                    Assert.Contains(series[item.SeriesId!.Value].Points,
                        point => point.TimeNanos == item.TimeNanos && point.Value.Equals(item.Value));
                }
            }
        }
    }

    [Fact]
    public void Lasting_BurstOfSeconds_WeighsLessThanAFaultThatStays()
    {
        static List<(long, bool)> Trials(Func<int, bool> hit) => [.. Enumerable.Range(0, 1800).Select(i => (i * 100_000_000L, hit(i)))];

        var burst = Lasting.Score(Trials(static i => i is > 600 and < 700 && i % 2 == 0), 0, 600, Surprise.Binomial);
        var fault = Lasting.Score(Trials(static i => i > 600 && i % 2 == 0), 0, 600, Surprise.Binomial);

        Assert.InRange(burst, 0, 8);
        Assert.True(fault > 100);
    }

    [Fact]
    public void TwoRates_ThinBaseline_DoubtsMoreThanOneRateDoes()
    {
        Assert.True(Surprise.TwoRates(6, 6, 0, 6) < 10);
        Assert.True(Surprise.TwoRates(60, 60, 0, 60) > 80);
        Assert.Equal(0, Surprise.TwoRates(1, 10, 6, 60));
    }

    [Theory]
    [InlineData("/api/v1/orders/{id}", "/api/v1/orders/{id}")]
    [InlineData("shop.v2.Cart/Get", "shop.v2.Cart/Get")]
    [InlineData("GET /orders/4711/items", "GET /orders/*/items")]
    [InlineData("GET /jobs/3f2504e0-4f89-11d3-9a0c-0305e82c3301", "GET /jobs/*")]
    public void MaskName_SpanName_LosesIdsOnly(string name, string masked) => Assert.Equal(masked, LogStatement.MaskName(name));

    [Fact]
    public void TimePiece_CallsWithoutClientSpans_AreTheWaysThereAndBack()
    {
        var index = new TraceIndex([Span("a", null, "front", 0, 100), Span("b", "a", "back", 30, 50), Span("c", "a", "store", 60, 90)]);

        var pieces = TimePiece.Of(index.Find("t", "a")!).ToList();

        Assert.Equal([("back", null, 30.0), ("store", "back", 10.0), ("store", null, 10.0), (null, null, 0.0)],
            pieces.Select(static piece => (piece.Callee?.Service, piece.Before?.Service, piece.Ms)));
        Assert.Equal(4, pieces.Select(static piece => piece.Key).Distinct().Count());
    }

    [Fact]
    public void TimePiece_ParallelCalls_HaveNoWayBetweenThem()
    {
        var index = new TraceIndex([Span("a", null, "front", 0, 100), Span("b", "a", "back", 10, 80), Span("c", "a", "store", 20, 60)]);

        var pieces = TimePiece.Of(index.Find("t", "a")!).ToList();

        Assert.Equal([("back", false, 10.0), ("back", true, 20.0), (null, false, 0.0)],
            pieces.Select(static piece => (piece.Callee?.Service, piece.Back, piece.Ms)));
    }

    private List<GeneratedScore> Of(FaultKind kind) => [.. scores.All.Where(score => score.Case.Fault?.Kind == kind && score.Case.Visible)];

    private static SpanRecord Span(string id, string? parent, string service, long fromMs, long toMs) => new(
        "t", id, parent, service, null, "GET /x", 2, 0, null, fromMs * 1_000_000, toMs * 1_000_000, new Dictionary<string, object>(), []);
}
