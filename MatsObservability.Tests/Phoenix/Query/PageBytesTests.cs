using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Metrics.V1;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>Lists of large rows: a page ends at its byte limit, and its cursor leads to all the rest.</summary>
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
        var metrics = new[] { "one", "two", "three" }.Select(name => new Metric { Name = name, Gauge = new Gauge { DataPoints =
        {
            Enumerable.Range(0, 400).Select(index => new NumberDataPoint { TimeUnixNano = TestSpan.Epoch + (ulong)index, AsInt = index }),
        } } });
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
