using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Phoenix.Service.Storage.Postgres.Readers;

namespace MatsObservability.Tests.Phoenix.Query;

public sealed class OverviewTests(QueryServer server) : IClassFixture<QueryServer>
{
    /// <summary>Milliseconds from the tests' epoch to the next full minute.</summary>
    private const int NextMinuteMs = 40_000;

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1, 2)]
    public async Task Sums_RangeThatEndsWhereAMinuteBegins_LeaveTheMinuteOut(long nanosPastTheMinute, long calls)
    {
        await server.SendAsync("minutes", [.. new[] { 0, NextMinuteMs }.Select((startMs, index) => TestSpan.Of(
            70, index + 1, startMs: startMs, kind: "LLM", attributes: [("llm.model_name", "gpt-4o")]))]);
        await server.RolledUpAsync();
        var project = await server.Server.ScalarAsync<int>("SELECT id FROM projects WHERE name = 'minutes'");
        var overviews = server.Server.Services.GetRequiredService<OverviewReader>();
        var end = (long)TestSpan.Epoch + (NextMinuteMs * 1_000_000L) + nanosPastTheMinute;

        var overview = await overviews.FindProjectAsync(project, (long)TestSpan.Epoch, end, CancellationToken.None);
        var (activity, _) = await overviews.ReadActivityAsync(project, (long)TestSpan.Epoch, end, slices: 10, CancellationToken.None);
        var models = await overviews.ReadModelsAsync(project, (long)TestSpan.Epoch, end, CancellationToken.None);

        Assert.Equal(calls, overview!.Spans);
        Assert.Equal(calls, activity.Sum(row => row.Spans));
        Assert.Equal(calls, models.Sum(row => row.Calls));
    }

    [Fact]
    public async Task Header_MoreTracesThanAreCounted_SaysSo()
    {
        await server.SendAsync("large", TestSpan.Of(71, 1));
        await server.RolledUpAsync();
        await server.Server.ScalarAsync<long>($"""
            WITH made AS (
                INSERT INTO traces (project_id, trace_id, start_ns, end_ns)
                SELECT p.id, gen_random_uuid(), i, i FROM projects p, generate_series(1, {OverviewReader.MostTraces}) AS i WHERE p.name = 'large'
                RETURNING 1)
            SELECT count(*) FROM made
            """);

        foreach (var path in new[] { "/projects/large/traces", "/projects" })
        {
            Assert.Contains("100,000+", WebUtility.HtmlDecode(await server.Client.GetStringAsync(path)), StringComparison.Ordinal);
        }
    }
}
