using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Metrics;

[Trait("Req", "B048")]
public sealed class TraceMetricsTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Scrape_UsersAndFailures_AreCountedByLabelAndStartAtZero()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var request = Otlp.Spans(6);
        var spans = request.ResourceSpans[0].ScopeSpans[0].Spans;
        Fail(spans[0], ("error.type", "RateLimitError"), ("user.id", "ann"));
        Fail(spans[1], ("error.code", "content_filter"));
        Fail(spans[2], ("user.id", "ann"));
        spans[2].Events.Add(
            new Span.Types.Event { Name = "exception", Attributes = { Otlp.Text("exception.type", "openai.APITimeoutError") } });
        spans[3].Attributes.Add(Otlp.Text("user.id", "bob"));
        Fail(spans[4], ("error.type", "SomethingElse"));
        (await server.Client.PostAsync(request)).EnsureSuccessStatusCode();

        var metrics = await ScrapeAsync(server);

        Assert.Equal(1, Spans(metrics, "error", "error_type=\"rate_limit\"", "user_id=\"ann\""));
        Assert.Equal(1, Spans(metrics, "error", "error_type=\"content_filter\""));
        Assert.Equal(1, Spans(metrics, "error", "error_type=\"timeout\"", "user_id=\"ann\""));
        Assert.Equal(1, Spans(metrics, "error", "error_type=\"other\""));
        Assert.Equal(1, Spans(metrics, "ok", "user_id=\"bob\""));
        Assert.Equal(1, Spans(metrics, "ok"));
        Assert.Equal(0, Spans(metrics, "error"));
        Assert.Equal(0, Spans(metrics, "error", "error_type=\"timeout\""));
        Assert.Contains("\"error.type\":\"content_filter\"",
            await server.ScalarAsync<string>("SELECT derived FROM spans WHERE derived LIKE '%error.type%'"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scrape_RequestsSentAgainAndHalfSeen_CountEachSpanOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = Guid.NewGuid();
        var request = Otlp.Spans(trace, 7, startNanos: Otlp.NowNanos);
        foreach (var span in request.ResourceSpans[0].ScopeSpans[0].Spans.Skip(4))
        {
            Fail(span, ("error.type", "timeout"), ("user.id", "ann"));
        }

        var half = request.Clone();
        while (half.ResourceSpans[0].ScopeSpans[0].Spans.Count > 4)
        {
            half.ResourceSpans[0].ScopeSpans[0].Spans.RemoveAt(4);
        }

        foreach (var sent in (IMessage[])[half, half, request, request])
        {
            (await server.Client.PostAsync(sent)).EnsureSuccessStatusCode();
        }

        var metrics = await ScrapeAsync(server);
        Assert.Equal(4, Spans(metrics, "ok"));
        Assert.Equal(3, Spans(metrics, "error", "error_type=\"timeout\"", "user_id=\"ann\""));
        Assert.Equal(7, metrics["phoenix_trace_duration_seconds_count", "llm_model=\"gpt-4o\"", "span_kind=\"LLM\""]);
        await Eventually.TrueAsync(
            async () => (await ScrapeAsync(server)) is var later && later.Has("phoenix_traces_total")
                && later["phoenix_traces_total", "project=\"default\""] == 1);
    }

    [Fact]
    public async Task Committed_MoreUsersThanTheCap_CountAsOther()
    {
        var metrics = new TraceMetrics(new UserLabels(), TimeProvider.System);
        var minute = new MinuteDelta { Key = new MinuteKey(1, 0, "m", "p", 1, 0), Spans = 5_000 };
        for (var user = 0; user < 5_000; user++)
        {
            minute.AddPart($"user-{user}", SpanError.None);
        }

        metrics.Committed([minute]);

        var writer = new PrometheusWriter(openMetrics: false);
        await metrics.WriteAsync(writer, CancellationToken.None);
        Assert.Equal(
            4_900, PrometheusText.Parse(writer.Finish())["phoenix_trace_spans_total", "status=\"ok\"", "llm_model=\"m\"",
                "llm_provider=\"p\"", "user_id=\"other\"", "span_kind=\"LLM\""]);
    }

    [Fact]
    public void Sizes_TraceInPieces_IsObservedOnceItHasBeenQuiet()
    {
        var time = new TestTime(DateTimeOffset.UnixEpoch);
        var sizes = new TraceSizes(time);
        var trace = new TraceDelta { ProjectId = 1, TraceId = Guid.NewGuid(), OtlpBytes = 600 };
        sizes.Add([trace]);
        time.Advance(TimeSpan.FromSeconds(29));
        sizes.Add([trace]);
        time.Advance(TimeSpan.FromSeconds(29));
        sizes.Sweep();
        Assert.Equal(0, Count(sizes, "+Inf"));

        time.Advance(TimeSpan.FromSeconds(1));
        sizes.Sweep();

        Assert.Equal((0, 1), (Count(sizes, "1024"), Count(sizes, "4096")));
    }

    [Fact]
    public async Task Export_FilteredPaths_AreLeftOutAndCounted()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Normalize:FilterPaths", "/health,/metrics"));
        var request = Otlp.Spans(4);
        var spans = request.ResourceSpans[0].ScopeSpans[0].Spans;
        spans[0].Attributes.Add(Otlp.Text("http.target", "/health"));
        spans[1].Attributes.Add(Otlp.Text("url.path", "/metrics?collect=pg"));
        spans[2].Attributes.Add(Otlp.Text("url.path", "/healthy"));
        (await server.Client.PostAsync(request)).EnsureSuccessStatusCode();

        var metrics = await ScrapeAsync(server);

        Assert.Equal(2, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
        Assert.Equal(2, metrics["phoenix_ingest_spans_total", "transport=\"http\"", "result=\"filtered\""]);
        Assert.Equal(2, metrics["otelcol_processor_dropped_spans_total", "processor=\"filter\""]);
    }

    private static void Fail(Span span, params (string Key, string Value)[] attributes)
    {
        span.Status = new Status { Code = Status.Types.StatusCode.Error };
        span.Attributes.AddRange(attributes.Select(static attribute => Otlp.Text(attribute.Key, attribute.Value)));
    }

    private static double Spans(PrometheusText metrics, string status, params string[] labels) =>
        metrics["phoenix_trace_spans_total", [$"status=\"{status}\"", "llm_model=\"gpt-4o\"", .. labels, "span_kind=\"LLM\""]];

    private static double Count(TraceSizes sizes, string bound)
    {
        var writer = new PrometheusWriter(openMetrics: false);
        writer.Family("s", MetricType.Histogram, "s");
        sizes.Sizes.Write(writer, "s", "");
        return PrometheusText.Parse(writer.Finish())["s_bucket", $"le=\"{bound}\""];
    }

    private static async Task<PrometheusText> ScrapeAsync(PhoenixServer server)
    {
        using var client = new HttpClient { BaseAddress = new Uri(server.MetricsUrl) };
        return PrometheusText.Parse(await client.GetStringAsync("/metrics"));
    }
}
