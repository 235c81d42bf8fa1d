using System.IO.Pipelines;
using System.Net;
using System.Text;
using System.Text.Json;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Proto.Metrics.V1;
using Phoenix.Service.Query.Export;

namespace MatsObservability.Tests.Phoenix.Query;

[Trait("Req", "B002")]
public sealed class ExportTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Fact]
    public async Task Export_AllSignals_IsOrderedCompleteAndNamesResourcesFirst()
    {
        await server.SendAsync(
            "all", [.. Enumerable.Range(1, 2_500).Reverse().Select(id => TestSpan.Of(200 + (id % 7), id, startMs: id % 50))]);
        await SendLogsAsync("all", 300);
        await SendGaugeAsync("all", "queue", 1_500);

        var lines = await ExportAsync("all", "");

        var known = new HashSet<string>();
        foreach (var (kind, value) in lines.Select(line => line.EnumerateObject().Single())
            .Select(property => (property.Name, property.Value)))
        {
            if (kind is "resource" or "series")
            {
                Assert.True(known.Add(kind + value.GetProperty(kind == "series" ? "series_id" : "id").GetString()));
            }
            else if (kind is "span" or "log")
            {
                Assert.Contains("resource" + value.GetProperty("resource").GetString(), known);
            }
            else if (kind is "points")
            {
                Assert.Contains("series" + value.GetProperty("series_id").GetString(), known);
            }
        }

        var starts = Records(lines, "span").Select(span => span.GetProperty("start_ns").GetInt64()).ToList();
        Assert.Equal(starts.Order(), starts);
        Assert.Equal(2_500, Records(lines, "span").Select(span => span.GetProperty("span_id").GetString()).Distinct().Count());
        var times = Records(lines, "log").Select(log => log.GetProperty("time_ns").GetInt64()).ToList();
        Assert.Equal(times.Order(), times);
        var values = Records(lines, "points").SelectMany(points => points.GetProperty("values").EnumerateArray())
            .Select(value => (value[0].GetInt64(), value[1].GetDouble())).ToList();
        Assert.Equal(Enumerable.Range(0, 1_500).Select(index => ((long)TestSpan.Epoch + index, (double)index)), values);
        Assert.Equal("""{"end":{"spans":2500,"logs":300,"points":1500}}""", lines[^1].GetRawText());
    }

    [Fact]
    public async Task Export_Window_IsHalfOpenAndSignalsAreChosen()
    {
        await server.SendAsync("window", TestSpan.Of(1, 1, startMs: 0), TestSpan.Of(1, 2, startMs: 10), TestSpan.Of(1, 3, startMs: 20));
        await SendLogsAsync("window", 3);

        var lines = await ExportAsync(
            "window", $"?signals=spans&start_time=2025-10-09T08:53:20.010Z&end_time_unix_nano={TestSpan.Epoch + 20_000_000}");

        Assert.Equal(TestSpan.SpanHex(2), Assert.Single(Records(lines, "span")).GetProperty("span_id").GetString());
        Assert.Empty(Records(lines, "log"));
    }

    [Fact]
    public async Task Export_CutShort_LacksTheEndMark()
    {
        await server.SendAsync(
            "cut", [.. Enumerable.Range(1, 3_000).Select(id => TestSpan.Of(300, id, attributes: [("filler", new string('x', 200))]))]);
        var project = await server.Server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'cut'");
        var pipe = new Pipe();
        using var stop = new CancellationTokenSource();
        var writing = server.Server.Services.GetRequiredService<ExportStream>()
            .WriteAsync(new ExportRequest(project, long.MinValue, long.MaxValue, Spans: true, Logs: true, Metrics: true), pipe.Writer,
                stop.Token);

        var first = await pipe.Reader.ReadAsync();
        var text = Encoding.UTF8.GetString(first.Buffer);
        pipe.Reader.AdvanceTo(first.Buffer.Start);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => writing);
        Assert.Contains("\"span\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("\"end\"", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Export_UnknownProjectOrSignal_IsRefused()
    {
        Assert.Contains("nobody", await server.GetAsync("/v1/projects/nobody/export", HttpStatusCode.NotFound, "text/plain"),
            StringComparison.Ordinal);
        Assert.Contains(
            "\"signals\"",
            await server.GetAsync("/v1/projects/default/export?signals=dreams", HttpStatusCode.UnprocessableEntity, "application/json"),
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Resolve_MixedReferences_AnswersInOrderWithNulls()
    {
        await server.SendAsync("resolve", TestSpan.Of(40, 1), TestSpan.Of(41, 2));
        await SendLogsAsync("resolve", 1);
        await SendGaugeAsync("resolve", "queue", 2);
        var lines = await ExportAsync("resolve", "");
        var log = Records(lines, "log").Single().GetProperty("record_id").GetInt64();
        var series = Records(lines, "series").Single().GetProperty("series_id").GetString();

        var (status, body) = await server.PostAsync("/v1/projects/resolve/records/resolve", $$"""
            {"refs":[
                {"kind":"metric","series_id":"{{series}}","time_ns":{{TestSpan.Epoch + 1}}},
                {"kind":"span","trace_id":"{{TestSpan.Hex(41)}}","span_id":"{{TestSpan.SpanHex(2)}}"},
                {"kind":"span","trace_id":"{{TestSpan.Hex(40)}}","span_id":"{{TestSpan.SpanHex(2)}}"},
                {"kind":"log","record_id":{{log}}},
                {"kind":"log","record_id":{{log + 1_000_000}}},
                {"kind":"metric","series_id":{{series}},"time_ns":"1"},
                {"kind":"span","trace_id":"{{TestSpan.Hex(41)}}","span_id":"{{TestSpan.SpanHex(2)}}"}]}
            """);

        Assert.Equal(HttpStatusCode.OK, status);
        var data = JsonSerializer.Deserialize<JsonElement>(body).GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(1, data[0].GetProperty("value").GetDouble());
        Assert.Equal("queue", data[0].GetProperty("series").GetProperty("name").GetString());
        Assert.Equal(TestSpan.SpanHex(2), data[1].GetProperty("span").GetProperty("span_id").GetString());
        Assert.Equal(JsonValueKind.Null, data[2].ValueKind);
        Assert.Equal(log, data[3].GetProperty("log").GetProperty("record_id").GetInt64());
        Assert.Equal(JsonValueKind.Null, data[4].ValueKind);
        Assert.Equal(JsonValueKind.Null, data[5].ValueKind);
        Assert.Equal(data[1].GetRawText(), data[6].GetRawText());
    }

    [Fact]
    public async Task Resolve_SpanIdSentWithTwoStarts_IsTheEarliest()
    {
        await server.SendAsync("twice", TestSpan.Of(42, 1, startMs: 5), TestSpan.Of(42, 1, startMs: 0));

        var (status, body) = await server.PostAsync(
            "/v1/projects/twice/records/resolve",
            $$"""{"refs":[{"kind":"span","trace_id":"{{TestSpan.Hex(42)}}","span_id":"{{TestSpan.SpanHex(1)}}"}]}""");

        Assert.Equal(HttpStatusCode.OK, status);
        var span = Assert.Single(JsonSerializer.Deserialize<JsonElement>(body).GetProperty("data").EnumerateArray()).GetProperty("span");
        Assert.Equal((long)TestSpan.Epoch, span.GetProperty("start_ns").GetInt64());
    }

    [Fact]
    public async Task Resolve_TooManyOrBroken_Is422WithItsLocation()
    {
        var refs = string.Join(',', Enumerable.Repeat("""{"kind":"log","record_id":1}""", 1_001));
        var (many, manyBody) = await server.PostAsync("/v1/projects/default/records/resolve", $$"""{"refs":[{{refs}}]}""");
        var (broken, brokenBody) = await server.PostAsync(
            "/v1/projects/default/records/resolve", """{"refs":[{"kind":"log","record_id":1},{"kind":"span","trace_id":"zz"}]}""");

        Assert.Equal((HttpStatusCode.UnprocessableEntity, HttpStatusCode.UnprocessableEntity), (many, broken));
        Assert.Contains("1000", manyBody, StringComparison.Ordinal);
        Assert.Contains("""["body","refs",1]""", brokenBody, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Lists_LogsAndMetrics_PageThroughEverything()
    {
        await SendLogsAsync("lists", 25);
        await SendGaugeAsync("lists", "one", 3);
        await SendGaugeAsync("lists", "two", 3);

        var logs = await server.WalkAsync("/v1/projects/lists/logs?limit=4");
        var errors = await server.WalkAsync("/v1/projects/lists/logs?limit=100&min_severity=17&body_contains=LINE%201");
        var series = await server.WalkAsync("/v1/projects/lists/metrics?limit=1");

        Assert.Equal(25, logs.Select(log => log.GetProperty("record_id").GetInt64()).Distinct().Count());
        var times = logs.Select(log => log.GetProperty("time_unix_nano").GetInt64()).ToList();
        Assert.Equal(times.OrderDescending(), times);
        Assert.Equal(["line 18", "line 16", "line 14", "line 12", "line 10"], errors.Select(log => log.GetProperty("body").GetString()!));
        Assert.Equal(["one", "two"], series.Select(item => item.GetProperty("series").GetProperty("name").GetString()!));
        Assert.All(series, item => Assert.Equal(3, item.GetProperty("points").GetArrayLength()));
    }

    private static IEnumerable<JsonElement> Records(List<JsonElement> lines, string kind) =>
        lines.Where(line => line.TryGetProperty(kind, out _)).Select(line => line.GetProperty(kind));

    private async Task<List<JsonElement>> ExportAsync(string project, string query)
    {
        using var response = await server.Client.GetAsync($"/v1/projects/{project}/export{query}");
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/x-ndjson", response.Content.Headers.ContentType?.MediaType);
        var text = await response.Content.ReadAsStringAsync();
        return [.. text.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonSerializer.Deserialize<JsonElement>(line))];
    }

    private Task SendLogsAsync(string project, int count) => PostAsync(new ExportLogsServiceRequest
    {
        ResourceLogs =
        {
            new ResourceLogs
            {
                Resource = QueryServer.ResourceOf(project),
                ScopeLogs =
                {
                    new ScopeLogs
                    {
                        LogRecords =
                        {
                            Enumerable.Range(0, count).Select(index => new LogRecord
                            {
                                TimeUnixNano = TestSpan.Epoch + (ulong)(index / 2),
                                SeverityNumber = index % 2 == 0 ? SeverityNumber.Error : SeverityNumber.Info,
                                Body = TestSpan.Any($"line {index}"),
                            }),
                        },
                    },
                },
            },
        },
    });

    private Task SendGaugeAsync(string project, string name, int points)
    {
        var values = Enumerable.Range(0, points)
            .Select(index => new NumberDataPoint { TimeUnixNano = TestSpan.Epoch + (ulong)index, AsInt = index });
        var metric = new Metric { Name = name, Gauge = new Gauge { DataPoints = { values } } };
        return PostAsync(new ExportMetricsServiceRequest
        {
            ResourceMetrics = { new ResourceMetrics { Resource = QueryServer.ResourceOf(project),
                ScopeMetrics = { new ScopeMetrics { Metrics = { metric } } } } },
        });
    }

    private async Task PostAsync(IMessage message)
    {
        using var response = await server.Client.PostAsync(message);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }
}
