using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Metrics;

public sealed class MetricsEndpointTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    [Trait("Req", "B004")]
    [Trait("Req", "B048")]
    [Trait("Req", "B049")]
    public async Task Scrape_AfterIngest_CountsWhatWasStored()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var request = Otlp.Spans(4);
        (await server.Client.PostAsync(request)).EnsureSuccessStatusCode();
        (await server.Client.PostAsync(request)).EnsureSuccessStatusCode();

        // Requests are counted after their answer has left.
        var metrics = PrometheusText.Parse(await Eventually.GetAsync(() => ReadAsync(server), static text => Array.Exists(
            text.Split('\n'), static line => line.StartsWith("phoenix_http_requests_total{", StringComparison.Ordinal)
                && line.Contains("route=\"/v1/traces\"", StringComparison.Ordinal) && line.EndsWith(" 2", StringComparison.Ordinal))));

        Assert.Equal(4, metrics["phoenix_trace_spans_total", "status=\"ok\"", "llm_model=\"gpt-4o\"", "span_kind=\"LLM\""]);
        Assert.Equal(0, metrics["phoenix_trace_spans_total", "status=\"error\"", "llm_model=\"gpt-4o\"", "span_kind=\"LLM\""]);
        Assert.Equal(4, metrics["phoenix_trace_duration_seconds_count", "llm_model=\"gpt-4o\"", "span_kind=\"LLM\""]);
        Assert.Equal(4, metrics["phoenix_trace_duration_seconds_bucket", "llm_model=\"gpt-4o\"", "span_kind=\"LLM\"", "le=\"10\""]);
        Assert.Equal(4, metrics["phoenix_ingest_spans_total", "transport=\"http\"", "result=\"accepted\""]);
        Assert.Equal(4, metrics["phoenix_ingest_spans_total", "transport=\"http\"", "result=\"duplicate\""]);
        Assert.Equal(0, metrics["phoenix_ingest_spans_total", "transport=\"grpc\"", "result=\"accepted\""]);
        Assert.Equal(2, metrics["phoenix_ingest_ack_seconds_count", "transport=\"http\""]);
        Assert.Equal(2, metrics["phoenix_http_requests_total", "route=\"/v1/traces\"", "method=\"POST\"", "code=\"200\""]);
        Assert.Equal(0, metrics["phoenix_span_queue_size"]);
        Assert.True(metrics["phoenix_span_queue_capacity"] > 0);
        Assert.Equal("counter", metrics.Types["phoenix_trace_spans_total"]);
        Assert.Equal("histogram", metrics.Types["phoenix_trace_duration_seconds"]);
    }

    [Fact]
    [Trait("Req", "B052")]
    [Trait("Req", "B053")]
    [Trait("Req", "B055")]
    [Trait("Req", "B056")]
    [Trait("Req", "B057")]
    public async Task Scrape_ServerAndMachine_EqualTheirSources()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        var metrics = await ScrapeAsync(server);

        var database = $"datname=\"{await server.ScalarAsync<string>("SELECT current_database()::text")}\"";
        Assert.Equal(1, metrics["pg_up"]);
        Assert.Equal(await server.ScalarAsync<int>("SELECT current_setting('max_connections')::integer"),
            metrics["pg_settings_max_connections"]);
        Assert.InRange(metrics["pg_database_size_bytes", database], 1e6,
            await server.ScalarAsync<long>("SELECT pg_database_size(current_database()) + 16777216"));
        Assert.True(metrics["pg_stat_database_xact_commit", database] >= 0);
        Assert.True(metrics["pg_stat_activity_count", database, "state=\"active\""] >= 1);
        using var process = Process.GetCurrentProcess();
        Assert.InRange(metrics["process_resident_memory_bytes"], process.WorkingSet64 * 0.5, process.WorkingSet64 * 1.5);
        Assert.InRange(metrics["process_cpu_seconds_total"], 0.01, process.TotalProcessorTime.TotalSeconds);
        if (OperatingSystem.IsLinux())
        {
            Assert.True(metrics["node_cpu_seconds_total", "cpu=\"0\"", "mode=\"idle\""] > 0);
            Assert.True(metrics["node_memory_MemTotal_bytes"] >= metrics["node_memory_MemAvailable_bytes"]);
            Assert.True(metrics.Has("node_filesystem_avail_bytes"));
            Assert.True(metrics["process_open_fds"] > 0);
        }
    }

    [Fact]
    public async Task Scrape_OneGroup_LeavesTheOthersOut()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        var metrics = await ScrapeAsync(server, "?collect=process&collect=otelcol");

        Assert.True(metrics.Has("process_cpu_seconds_total"));
        Assert.True(metrics.Has("otelcol_exporter_sent_spans_total"));
        Assert.DoesNotContain(metrics.Types.Keys,
            name => name.StartsWith("phoenix_", StringComparison.Ordinal) || name.StartsWith("pg_", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("jvm")]
    [InlineData("1")]
    [InlineData("pg,node")]
    [InlineData("")]
    public async Task Scrape_UnknownGroup_NamesTheKnownOnes(string group)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var client = new HttpClient { BaseAddress = new Uri(server.MetricsUrl) };

        using var response = await client.GetAsync($"/metrics?collect={group}");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("phoenix, process, otelcol, pg, node", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scrape_OpenMetricsAsked_FollowsItsRules()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var client = new HttpClient { BaseAddress = new Uri(server.MetricsUrl) };
        using var request = new HttpRequestMessage(HttpMethod.Get, "/metrics");
        request.Headers.Accept.Add(MediaTypeWithQualityHeaderValue.Parse("application/openmetrics-text;version=1.0.0"));

        using var response = await client.SendAsync(request);
        var text = await response.Content.ReadAsStringAsync();

        Assert.Equal("application/openmetrics-text", response.Content.Headers.ContentType!.MediaType);
        Assert.EndsWith("# EOF\n", text, StringComparison.Ordinal);
        var metrics = PrometheusText.Parse(text);
        Assert.Equal("counter", metrics.Types["phoenix_trace_spans"]);
        Assert.Equal("unknown", metrics.Types["pg_stat_database_xact_commit"]);
    }

    [Fact]
    public async Task Metrics_OnTheHttpPort_AreNotServed()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        using var response = await server.Client.GetAsync("/metrics");

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
    }

    private static async Task<PrometheusText> ScrapeAsync(PhoenixServer server, string query = "") =>
        PrometheusText.Parse(await ReadAsync(server, query));

    private static async Task<string> ReadAsync(PhoenixServer server, string query = "")
    {
        using var client = new HttpClient { BaseAddress = new Uri(server.MetricsUrl) };
        return await client.GetStringAsync("/metrics" + query);
    }
}
