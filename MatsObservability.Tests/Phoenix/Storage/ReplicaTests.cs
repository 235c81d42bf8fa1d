using System.Text.Json;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>Replicas over one database keep no state of their own.</summary>
[Trait("Req", "B079")]
public sealed class ReplicaTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Export_OneTraceOverTwoReplicas_IsWholeAndOnceOnBoth()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using var one = await PhoenixServer.StartAsync(database);
        await using var two = await PhoenixServer.StartAsync(database);
        Span[] spans = [TestSpan.Of(1, 1, name: "root"),
            .. Enumerable.Range(2, 39).Select(id => TestSpan.Of(1, id, parent: id / 2, startMs: id))];

        // Every third span goes to both, the others by turns.
        await Task.WhenAll(
            QueryServer.SendAsync(one.Client, "split", [.. spans.Where((_, index) => index % 2 == 0 || index % 3 == 0)]),
            QueryServer.SendAsync(two.Client, "split", [.. spans.Where((_, index) => index % 2 == 1 || index % 3 == 0)]));
        await QueryServer.RolledUpAsync(one);

        Assert.Equal(40, await one.ScalarAsync<long>("SELECT count(*) FROM spans"));
        foreach (var replica in (PhoenixServer[])[one, two])
        {
            var trace = Assert.Single(await DataAsync(replica, "/v1/projects/split/traces?include_spans=true"));
            Assert.Equal(40, trace.GetProperty("spans").GetArrayLength());
            Assert.Equal(
                40, (await DataAsync(replica, $"/v1/projects/split/spans?trace_id={TestSpan.Hex(1)}"))
                    .Select(span => span.GetProperty("id").GetString()).Distinct().Count());
        }

        Assert.Equal("40|1", await two.ScalarAsync<string>("SELECT concat_ws('|', sum(span_count), count(*)) FROM traces"));
        Assert.Equal(40, await two.ScalarAsync<long>("SELECT sum(span_count)::bigint FROM span_minutes"));
    }

    private static async Task<JsonElement[]> DataAsync(PhoenixServer replica, string path) =>
        [.. JsonSerializer.Deserialize<JsonElement>(await replica.Client.GetStringAsync(path)).GetProperty("data").EnumerateArray()];
}
