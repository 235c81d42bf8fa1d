using System.Globalization;
using MatsObservability.Tests.Phoenix.Query;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Phoenix.Service.Retention;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Tests.Phoenix.Retention;

[Trait("Req", "B102")]
public sealed class RetentionJobTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const ulong Day = 86_400_000_000_000;

    private readonly DateTimeOffset _now = TimeProvider.System.GetUtcNow();

    [Fact]
    public async Task Run_ExpiredDays_AreDroppedWithTheirRollupsAndTheRestStays()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "default", 9, 8, 2);
        var time = new TestTime(_now);
        var metrics = new RetentionMetrics();
        var job = Job(server, time, metrics, new RetentionOptions { Days = 5, LateDays = 0 });

        await job.RunAsync(CancellationToken.None);

        Assert.Equal("1|1|1|1|1|1", await CountsAsync(server));
        Assert.Equal(0, await LeavesAsync(server, 9) + await LeavesAsync(server, 8));
        Assert.Equal(3, await LeavesAsync(server, 2));
        Assert.Equal("s2", await server.ScalarAsync<string>("SELECT string_agg(session_id, ',') FROM sessions"));
        Assert.Equal(6, Dropped(metrics));

        // Late data of a dropped day are taken in again.
        await SendAsync(server, "default", 9);
        Assert.Equal("2|2|2|2|2|2", await CountsAsync(server));
    }

    [Fact]
    public async Task Run_ProjectsKeptForDifferentTimes_LosesOnlyWhatExpiredForEach()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "short", 9, 3);
        await SendAsync(server, "usual", 9, 3);
        await SendAsync(server, "for-ever", 9, 3);
        var job = Job(server, new TestTime(_now), new RetentionMetrics(), new RetentionOptions
        {
            Days = 5, LateDays = 0, ProjectDays = ["short=1", "for-ever=0"],
        });

        await job.RunAsync(CancellationToken.None);
        await job.RunAsync(CancellationToken.None);

        const string ByProject =
            "SELECT string_agg(name || '=' || (SELECT count(*) FROM {0} x WHERE x.project_id = p.id), ' ' ORDER BY name) FROM projects p WHERE name <> 'default'";
        foreach (var table in (string[])["spans", "logs", "traces", "sessions", "span_minutes"])
        {
            Assert.Equal((table, "for-ever=2 short=0 usual=1"),
                (table, await server.ScalarAsync<string>(string.Format(CultureInfo.InvariantCulture, ByProject, table))));
        }

        Assert.Equal(3, await server.ScalarAsync<long>("SELECT count(*) FROM metric_points"));
        Assert.Equal(3, await LeavesAsync(server, 9));
    }

    [Fact]
    [Trait("Req", "B087")]
    public async Task Run_VectorsOfExpiredSpans_GoWithThem()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "default", 9, 2);
        await SendAsync(server, "short", 2);
        await server.ScalarAsync<int>(
            "INSERT INTO span_vectors (project_id, start_ns, trace_id, span_id, position) SELECT project_id, start_ns, trace_id, span_id, 0 FROM spans; SELECT 1");
        var job = Job(server, new TestTime(_now), new RetentionMetrics(),
            new RetentionOptions { Days = 5, LateDays = 0, ProjectDays = ["short=1"] });

        await job.RunAsync(CancellationToken.None);

        Assert.Equal(1,
            await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors JOIN spans USING (project_id, start_ns, trace_id, span_id)"));
        Assert.Equal(1, await server.ScalarAsync<long>("SELECT count(*) FROM span_vectors"));
        Assert.Equal(2, await server.ScalarAsync<long>("SELECT sum(rows)::bigint FROM audit_log WHERE target = 'span_vectors'"));
    }

    [Fact]
    public async Task Run_WhatItRemoved_IsInTheAuditLogOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "short", 9, 3);
        await SendAsync(server, "usual", 9, 3);
        var time = new TestTime(_now);
        var job = Job(server, time, new RetentionMetrics(), new RetentionOptions { Days = 5, LateDays = 0, ProjectDays = ["short=1"] });

        await job.RunAsync(CancellationToken.None);
        time.Advance(TimeSpan.FromHours(1));
        await job.RunAsync(CancellationToken.None);

        var (dropped, thinned) = (_now.AddDays(-9).ToString("yyyy_MM_dd", CultureInfo.InvariantCulture),
            _now.AddDays(-3).ToString("yyyy_MM_dd", CultureInfo.InvariantCulture));
        Assert.Equal(
            $"logs_{dropped} metric_points_{dropped} spans_{dropped}",
            await server.ScalarAsync<string>(
                "SELECT string_agg(target, ' ' ORDER BY target) FROM audit_log WHERE actor = 'retention' AND action = 'drop_partition' AND project = '' AND rows >= 0"));
        Assert.Equal(
            $"logs_{thinned}=1 metric_points_{thinned}=1 spans_{thinned}=1",
            await server.ScalarAsync<string>(
                "SELECT string_agg(target || '=' || rows, ' ' ORDER BY target) FROM audit_log WHERE action = 'remove_rows' AND project = 'short' AND reason = 'kept for 1 days'"));
        Assert.Equal("short=2 usual=1", await server.ScalarAsync<string>(
            "SELECT string_agg(project || '=' || rows, ' ' ORDER BY project) FROM (SELECT project, sum(rows) AS rows FROM audit_log WHERE action = 'remove_traces' GROUP BY project) AS t"));
        Assert.Equal(1, await server.ScalarAsync<long>("SELECT count(DISTINCT at) FROM audit_log"));
    }

    [Fact]
    public async Task Run_OldDataThatCameLately_StaysForItsGrace()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "default", 9, 400);
        var time = new TestTime(_now);
        var job = Job(server, time, new RetentionMetrics(), new RetentionOptions { Days = 5, LateDays = 3 });

        await job.RunAsync(CancellationToken.None);
        time.Advance(TimeSpan.FromDays(2.9));
        await job.RunAsync(CancellationToken.None);
        Assert.Equal("2|2|2|2|2|2", await CountsAsync(server));

        time.Advance(TimeSpan.FromDays(0.2));
        await job.RunAsync(CancellationToken.None);
        Assert.Equal("0|0|0|0|0|0", await CountsAsync(server));
    }

    [Fact]
    public async Task Run_DataOfADeadClockEveryDay_GoAfterTheGraceOfTheFirst()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var time = new TestTime(_now);
        var job = Job(server, time, new RetentionMetrics(), new RetentionOptions { Days = 5, LateDays = 3 });
        for (var day = 0; day < 3; day++)
        {
            await SendAsync(server, "default", 20_000 + day);
            await job.RunAsync(CancellationToken.None);
            Assert.Equal(day + 1, await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
            time.Advance(TimeSpan.FromDays(1));
        }

        await job.RunAsync(CancellationToken.None);

        Assert.Equal("0|0|0|0|0|0", await CountsAsync(server));
    }

    [Fact]
    public async Task Run_DryOrForEver_RemovesNothing()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await SendAsync(server, "default", 9, 400);

        foreach (var options in new[] { new RetentionOptions { Days = 5, LateDays = 0, DryRun = true },
            new RetentionOptions { Days = 0, LateDays = 0 } })
        {
            await Job(server, new TestTime(_now), new RetentionMetrics(), options).RunAsync(
                CancellationToken.None);
        }

        Assert.Equal("2|2|2|2|2|2", await CountsAsync(server));
    }

    [Fact]
    public void Check_OutOfRange_NamesEveryKey()
    {
        var faults =
            RetentionOptions.Check(
                new RetentionOptions { Days = -1, ProjectDays = ["a=b"], LateDays = -1, Interval = TimeSpan.Zero, StepRows = 0 }).ToList();

        Assert.Equal(5, faults.Count);
        Assert.StartsWith("Phoenix:Retention:Days must", faults[0], StringComparison.Ordinal);
        Assert.Equal(90, new RetentionOptions().Days);
    }

    private static RetentionJob Job(PhoenixServer server, TestTime time, RetentionMetrics metrics, RetentionOptions options) => new(
        server.Services.GetRequiredService<RetentionStore>(), server.Services.GetRequiredService<DatabaseState>(), metrics,
        Options.Create(options), time,
        NullLogger<RetentionJob>.Instance);

    /// <summary>A span in a session, a log record and a metric point of each of these ages in days.</summary>
    private async Task SendAsync(PhoenixServer server, string project, params int[] ages)
    {
        foreach (var age in ages)
        {
            var start = ((ulong)(_now - DateTimeOffset.UnixEpoch).Ticks * 100) - ((ulong)age * Day);
            var spans = Otlp.Spans(1, project, start);
            spans.ResourceSpans[0].ScopeSpans[0].Spans[0].Attributes.Add(Otlp.Text("session.id", $"s{age}"));
            var log = Otlp.Log("l", project);
            log.ResourceLogs[0].ScopeLogs[0].LogRecords[0].TimeUnixNano = start;
            var gauge = Otlp.Gauge("g", 1, start);
            gauge.ResourceMetrics[0].Resource.Attributes.Add(Otlp.Text("openinference.project.name", project));
            foreach (var message in (Google.Protobuf.IMessage[])[spans, log, gauge])
            {
                using var answer = await server.Client.PostAsync(message);
                answer.EnsureSuccessStatusCode();
            }
        }

        await QueryServer.RolledUpAsync(server);
    }

    private static Task<string> CountsAsync(PhoenixServer server) => server.ScalarAsync<string>("""
        SELECT concat_ws('|', (SELECT count(*) FROM spans), (SELECT count(*) FROM logs), (SELECT count(*) FROM metric_points), (SELECT count(*) FROM traces),
            (SELECT count(*) FROM sessions), (SELECT count(*) FROM span_minutes))
        """);

    private Task<long> LeavesAsync(PhoenixServer server, int age) => server.ScalarAsync<long>(
        $"SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = current_schema()::regnamespace AND relname LIKE '%{_now.AddDays(-age):yyyy_MM_dd}'");

    private static double Dropped(RetentionMetrics metrics)
    {
        var writer = new global::Phoenix.Service.Metrics.PrometheusWriter(openMetrics: false);
        metrics.WriteAsync(writer, CancellationToken.None).AsTask().GetAwaiter().GetResult();
        var text = Metrics.PrometheusText.Parse(writer.Finish());
        return text["phoenix_retention_dropped_partitions_total",
            "signal=\"spans\""] + text["phoenix_retention_dropped_partitions_total", "signal=\"logs\""]
            + text["phoenix_retention_dropped_partitions_total", "signal=\"metric_points\""];
    }
}
