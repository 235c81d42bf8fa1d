using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Metrics;

public sealed class InstrumentTests
{
    [Fact]
    public async Task Counter_ManyWriters_LosesNothing()
    {
        var counter = new Counter();

        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            for (var add = 0; add < 10_000; add++)
            {
                counter.Add(1);
            }
        })));

        Assert.Equal(80_000, counter.Value);
    }

    [Fact]
    public void Histogram_Observed_CountsCumulatively()
    {
        var histogram = new Histogram([1, 10]);
        foreach (var value in (double[])[0.5, 1, 5, 100])
        {
            histogram.Observe(value);
        }

        var writer = new PrometheusWriter(openMetrics: false);
        writer.Family("h", MetricType.Histogram, "help");
        histogram.Write(writer, "h", "");

        Assert.Equal(
            """
            # HELP h help
            # TYPE h histogram
            h_bucket{le="1"} 2
            h_bucket{le="10"} 3
            h_bucket{le="+Inf"} 4
            h_sum 106.5
            h_count 4

            """,
            writer.Finish());
    }

    [Fact]
    [Trait("Req", "B048")]
    public async Task TraceMetrics_ManyModels_StaysUnderTheCap()
    {
        var metrics = new TraceMetrics(new UserLabels(), TimeProvider.System);

        metrics.Committed(
            [.. Enumerable.Range(0, 10_000)
                .Select(model => new MinuteDelta { Key = new MinuteKey(1, 0, $"model-{model}", "p", 1, 0), Spans = 1 })]);

        var writer = new PrometheusWriter(openMetrics: false);
        await metrics.WriteAsync(writer, CancellationToken.None);
        var text = PrometheusText.Parse(writer.Finish());
        Assert.Equal(
            9_800, text["phoenix_trace_spans_total", "status=\"ok\"", "llm_model=\"other\"", "llm_provider=\"p\"", "span_kind=\"LLM\""]);
        Assert.Equal(
            1, text["phoenix_trace_spans_total", "status=\"ok\"", "llm_model=\"model-199\"", "llm_provider=\"p\"", "span_kind=\"LLM\""]);
    }

    [Fact]
    [Trait("Req", "B048")]
    public async Task TraceMetrics_ManyCombinations_StaysUnderTheCap()
    {
        var metrics = new TraceMetrics(new UserLabels(), TimeProvider.System);

        metrics.Committed(
            [.. from model in Enumerable.Range(0, 200)
                from provider in Enumerable.Range(0, 50)
                select new MinuteDelta { Key = new MinuteKey(1, 0, $"model-{model}", $"provider-{provider}", 1, 0), Spans = 1 }]);

        var writer = new PrometheusWriter(openMetrics: false);
        await metrics.WriteAsync(writer, CancellationToken.None);
        var lines = writer.Finish().Split('\n');
        Assert.InRange(lines.Count(line => line.StartsWith("phoenix_trace_spans_total{", StringComparison.Ordinal)), 1500, 20_000);
        Assert.InRange(lines.Count(line => line.StartsWith("phoenix_trace_duration_seconds_count{", StringComparison.Ordinal)), 1500, 1510);
        var text = PrometheusText.Parse(writer.Finish());
        Assert.Equal(
            8500, text["phoenix_trace_spans_total", "status=\"ok\"", "llm_model=\"other\"", "llm_provider=\"other\"", "span_kind=\"LLM\""]);
    }

    [Theory]
    [InlineData("/mnt/my\\040disk", "/mnt/my disk")]
    [InlineData("/mnt/a\\134040", "/mnt/a\\040")]
    [InlineData("/", "/")]
    public void MountPoint_EscapedField_IsThePath(string field, string path) => Assert.Equal(path, NodeMetrics.MountPoint(field));

    [Fact]
    public void Labels_HostileValue_IsEscaped() =>
        Assert.Equal("""a="\"\\\n" """.TrimEnd(), PrometheusWriter.Labels(("a", "\"\\\n"), ("absent", "")));
}
