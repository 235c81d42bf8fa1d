using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Metrics.V1;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>
/// Lists of large rows: a page ends at its byte limit, and its cursor leads to all the rest. What is asked for by ids is read page by page.
/// </summary>
[Trait("Req", "B002")]
public sealed class PageBytesTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const int Records = 20;

    /// <summary>A page holds seven of these records until it has as many bytes as it may.</summary>
    [Fact]
    public async Task List_OfLargeRecords_EndsEarlyAndGoesOnToTheLast()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        foreach (var index in Enumerable.Range(0, Records))
        {
            using var response = await server.Client.PostAsync(Otlp.Log($"record-{index:00}-" + new string('x', 10_000), "large"));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        var expected = Enumerable.Range(0, Records).Select(index => $"record-{index:00}-").Reverse().ToList();

        Assert.Equal(expected, await WalkApiAsync(server.Client));
        Assert.Equal(expected, await WalkPagesAsync(server.Client));
    }

    [Fact]
    public async Task List_OfSeriesWithManyPoints_EndsEarlyAndGoesOnToTheLast()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        var metrics = new[] { "one", "two", "three" }.Select(name => new Metric
        {
            Name = name,
            Gauge = new Gauge
            {
                DataPoints =
                {
                    Enumerable.Range(0, 400).Select(index => new NumberDataPoint
                    {
                        TimeUnixNano = TestSpan.Epoch + (ulong)index,
                        AsInt = index,
                    }),
                },
            },
        });
        using var response = await server.Client.PostAsync(new ExportMetricsServiceRequest
        {
            ResourceMetrics = { new ResourceMetrics { Resource = QueryServer.ResourceOf("series"),
                ScopeMetrics = { new ScopeMetrics { Metrics = { metrics } } } } },
        });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        var first = JsonSerializer.Deserialize<JsonElement>(await server.Client.GetStringAsync("/v1/projects/series/metrics"));
        var second = JsonSerializer.Deserialize<JsonElement>(
            await server.Client.GetStringAsync($"/v1/projects/series/metrics?cursor={first.GetProperty("next_cursor").GetString()}"));

        Assert.Equal(["one:400", "three:400"], Series(first));
        Assert.Equal(["two:400"], Series(second));
        Assert.Equal(JsonValueKind.Null, second.GetProperty("next_cursor").ValueKind);

        static IEnumerable<string> Series(JsonElement page) => page.GetProperty("data").EnumerateArray().Select(item =>
            $"{item.GetProperty("series").GetProperty("name").GetString()}:{item.GetProperty("points").GetArrayLength()}");
    }

    /// <summary>A page holds 656 points until it has as many bytes as it may.</summary>
    [Theory]
    [InlineData(399)]
    [InlineData(500)]
    [InlineData(10_000)]
    public async Task List_OfASeriesWithMorePointsThanAPage_SaysWhereItGoesOn(int limit)
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        using var response = await server.Client.PostAsync(Gauge("long", 1000, static (index, point) => point.TimeUnixNano += (ulong)index));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);

        var (values, from) = (new List<double>(), "");
        while (from is not null)
        {
            var series = JsonSerializer.Deserialize<JsonElement>(await server.Client.GetStringAsync(
                $"/v1/projects/long/metrics?points={limit}{from}")).GetProperty("data")[0];
            values.AddRange(series.GetProperty("points").EnumerateArray().Select(point => point.GetProperty("value").GetDouble()));
            var next = series.GetProperty("next_start_time_unix_nano");
            from = next.ValueKind == JsonValueKind.Null ? null : $"&start_time_unix_nano={next}";
        }

        Assert.Equal(Enumerable.Range(0, 1000).Select(index => (double)index), values);
    }

    [Fact]
    public async Task Page_OfAMetricWithMorePointsThanAPageHasBytes_ShowsThemAll()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        using var response = await server.Client.PostAsync(Gauge("points", 1200, static (index, point) =>
        {
            point.TimeUnixNano += (ulong)(index / 3);
            point.Attributes.Add(Otlp.Text("series", $"{index % 3}"));
        }));
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var project = await server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'points'");

        await using var scope = server.Services.CreateAsyncScope();
        var shown = await scope.ServiceProvider.GetRequiredService<PageReader>().ReadMetricAsync(
            project, "points", TimeRange.Parse(null, null, null, TimeProvider.System), 10, 10_000, CancellationToken.None);

        Assert.Equal([400, 400, 400], shown!.Value.Lines.Select(line => line.Points.Count));
        Assert.False(shown.Value.IsCut);
    }

    [Fact]
    public async Task List_OfFewLargeSpansAmongSmallOnes_EndsEarlyAndGoesOnToTheLast()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        await QueryServer.SendAsync(server.Client, "mixed", [.. Enumerable.Range(1, 10 * Records).Select(id => id % 10 == 0
            ? TestSpan.Of(id, id, attributes: [("large", true), ("filler", new string('x', 10_000))])
            : TestSpan.Of(id, id))]);

        var sizes = new List<int>();
        for (string? cursor = ""; cursor is not null;)
        {
            var page = JsonSerializer.Deserialize<JsonElement>(await server.Client.GetStringAsync(
                $"/v1/projects/mixed/spans?attribute=large:true&limit={Records}" + (cursor.Length > 0 ? $"&cursor={cursor}" : "")));
            sizes.Add(page.GetProperty("data").GetArrayLength());
            cursor = page.GetProperty("next_cursor").GetString();
        }

        Assert.Equal(Records, sizes.Sum());
        Assert.All(sizes, size => Assert.InRange(size, 0, 8));
    }

    [Fact]
    public async Task Resolve_RecordsOfManyPages_AnswersInOrderWithNulls()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        await SendLargeSpansAsync(server.Client);
        foreach (var index in Enumerable.Range(1, Records))
        {
            using var response = await server.Client.PostAsync(Otlp.Log($"record-{index:00}-" + new string('x', 10_000), "large"));
            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }

        var gauge = Otlp.Gauge("g", 1.5, TestSpan.Epoch);
        gauge.ResourceMetrics[0].Resource.Attributes.Add(Otlp.Text("openinference.project.name", "large"));
        using var stored = await server.Client.PostAsync(gauge);
        Assert.Equal(HttpStatusCode.OK, stored.StatusCode);
        var logs = await server.ScalarAsync<long[]>("SELECT array_agg(id ORDER BY body) FROM logs");
        var series = await server.ScalarAsync<long>("SELECT id FROM metric_series");
        var refs = Enumerable.Range(1, Records).SelectMany(index => (string[])
        [
            Span(index, index), Span(index, index + 1), $$"""{"kind":"log","record_id":{{logs[index - 1]}}}""",
            $$"""{"kind":"metric","series_id":{{series}},"time_ns":{{TestSpan.Epoch}}}""",
        ]).Append(Span(1, 1));

        using var answer = await server.Client.PostAsync(
            "/v1/projects/large/records/resolve",
            new StringContent($$"""{"refs":[{{string.Join(',', refs)}}]}""", Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var data = JsonSerializer.Deserialize<JsonElement>(await answer.Content.ReadAsStringAsync()).GetProperty("data");
        Assert.Equal(
            Enumerable.Range(1, Records).SelectMany(index => (string[])[TestSpan.SpanHex(index), "none", $"record-{index:00}-", "1.5"])
                .Append(TestSpan.SpanHex(1)),
            data.EnumerateArray().Select(Name));

        static string Span(int trace, int id) =>
            $$"""{"kind":"span","trace_id":"{{TestSpan.Hex(trace)}}","span_id":"{{TestSpan.SpanHex(id)}}"}""";

        static string Name(JsonElement record) => record.ValueKind == JsonValueKind.Null ? "none"
            : record.TryGetProperty("span", out var span) ? span.GetProperty("span_id").GetString()!
            : record.TryGetProperty("log", out var log) ? log.GetProperty("body").GetString()![..10]
            : record.GetProperty("value").GetRawText();
    }

    [Fact]
    public async Task Find_OfLargeSpans_HoldsAPageAtMost()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        await SendLargeSpansAsync(server.Client);
        var project = await server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'large'");
        var spans = server.Services.GetRequiredService<SpanReader>();

        var all = await spans.FindAsync(
            project, [.. Enumerable.Range(1, Records).Select(id => (TestSpan.TraceId(id), (long)id))], CancellationToken.None);
        var one = await spans.FindAsync(project, [(TestSpan.TraceId(1), 1)], CancellationToken.None);

        Assert.Equal((7, true), (all.Rows.Count, all.Cut));
        Assert.Equal((1, false), (one.Rows.Count, one.Cut));
    }

    /// <summary>A gauge, named as its project, whose points count up; <paramref name="change"/> gets each with its index.</summary>
    private static ExportMetricsServiceRequest Gauge(string name, int points, Action<int, NumberDataPoint> change)
    {
        var gauge = new Gauge();
        for (var index = 0; index < points; index++)
        {
            var point = new NumberDataPoint { TimeUnixNano = TestSpan.Epoch, AsInt = index };
            change(index, point);
            gauge.DataPoints.Add(point);
        }

        return new ExportMetricsServiceRequest
        {
            ResourceMetrics =
            {
                new ResourceMetrics
                {
                    Resource = QueryServer.ResourceOf(name),
                    ScopeMetrics = { new ScopeMetrics { Metrics = { new Metric { Name = name, Gauge = gauge } } } },
                },
            },
        };
    }

    /// <summary>Spans 1 to <see cref="Records"/>, each of a trace of its own.</summary>
    private static Task SendLargeSpansAsync(HttpClient client) => QueryServer.SendAsync(
        client, "large",
        [.. Enumerable.Range(1, Records).Select(id => TestSpan.Of(id, id, attributes: [("filler", new string('x', 10_000))]))]);

    private static async Task<List<string>> WalkApiAsync(HttpClient client)
    {
        var bodies = new List<string>();
        string? cursor = null;
        do
        {
            var page = JsonSerializer.Deserialize<JsonElement>(
                await client.GetStringAsync($"/v1/projects/large/logs?limit=1000{(cursor is null ? "" : $"&cursor={cursor}")}"));
            bodies.AddRange(page.GetProperty("data").EnumerateArray().Select(log => log.GetProperty("body").GetString()![..10]));
            cursor = page.GetProperty("next_cursor").GetString();
        }
        while (cursor is not null);

        return bodies;
    }

    private static async Task<List<string>> WalkPagesAsync(HttpClient client)
    {
        var bodies = new List<string>();
        var path = "projects/large/logs";
        while (path.Length > 0)
        {
            var html = WebUtility.HtmlDecode(await client.GetStringAsync("/" + path));
            foreach (var body in Regex.Matches(html, "record-[0-9]{2}-").Select(match => match.Value).Where(body => !bodies.Contains(body)))
            {
                bodies.Add(body);
            }

            path = Regex.Match(html, "rel=\"next\" href=\"([^\"]+)\"").Groups[1].Value;
        }

        return bodies;
    }
}
