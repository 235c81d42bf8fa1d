using System.Net;
using System.Text;
using Google.Protobuf;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Tests.Conformance;
using MatsObservability.Tests.Phoenix.Metrics;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Phoenix.Ingest;

/// <summary>
/// A real process with little memory: it refuses with a retry hint before it runs out, and takes requests again by itself.
/// </summary>
[Trait("Req", "B026")]
public sealed class MemoryLimitTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const int Mebibyte = 1024 * 1024;
    private const int LimitMebibytes = 320;
    private const string GrpcTraces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    [Fact]
    public async Task Export_DatabaseStuckAndMemoryShort_IsRefusedBeforeTheLimitAndTakenAgainAfterwards()
    {
        // The bounds of the queue are out of reach: only the memory limit protects the process.
        await using var phoenix = await StartAsync(
            ("Phoenix__Ingest__MaxQueueBytes", "8G"), ("PHOENIX_MAX_SPANS_QUEUE_SIZE", "100000000"), ("PHOENIX_REQUEST_TIMEOUT", "5m"));
        using var client = new HttpClient { BaseAddress = new Uri(phoenix.Process.HttpUrl), Timeout = TimeSpan.FromMinutes(6) };
        using var grpc = new HttpClient { BaseAddress = new Uri(phoenix.Process.GrpcUrl) };
        using var metrics = new HttpClient { BaseAddress = new Uri(phoenix.Process.MetricsUrl) };
        var small = Otlp.Spans(1);
        using (var first = await client.PostAsync(small))
        {
            Assert.Equal(HttpStatusCode.OK, first.StatusCode);
        }

        var waiting = new List<Task<HttpStatusCode>>();
        await using (var connection = await phoenix.OpenAsync())
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", connection);
            await command.ExecuteNonQueryAsync();

            for (var serial = 1; !waiting.Exists(task => task.IsCompleted); serial++)
            {
                Assert.True(serial < 1000, "nothing was refused");
                waiting.Add(SendLargeAsync(client, (ulong)serial));
                var sent = 4000.0 * serial;
                await Eventually.TrueAsync(async () =>
                    waiting[^1].IsCompleted
                        || PrometheusText.Parse(await metrics.GetStringAsync("/metrics"))["phoenix_span_queue_size"] >= sent);
            }

            using var refused = await client.PostAsync(Otlp.Spans(1));
            var byGrpc = await OtlpGrpcTests.GrpcCalls.CallAsync(grpc, GrpcTraces, Otlp.Spans(1).ToByteArray());

            Assert.Equal((HttpStatusCode.TooManyRequests, "8"), (refused.StatusCode, byGrpc.Status));
            Assert.NotNull(refused.Headers.RetryAfter);
            Assert.Contains("the memory limit is reached",
                Encoding.UTF8.GetString(await refused.Content.ReadAsByteArrayAsync()), StringComparison.Ordinal);
            Assert.Contains("google.rpc.RetryInfo", Encoding.UTF8.GetString(byGrpc.Details!), StringComparison.Ordinal);
        }

        var answers = await Task.WhenAll(waiting);
        Assert.All(answers, status => Assert.True(status is HttpStatusCode.OK or HttpStatusCode.TooManyRequests, $"{status}"));
        await Eventually.TrueAsync(async () =>
        {
            using var again = await client.PostAsync(small);
            return again.StatusCode == HttpStatusCode.OK;
        });

        Assert.Equal(1 + (answers.Count(status => status == HttpStatusCode.OK) * 4000L), await phoenix.CountAsync());
        Assert.True(
            phoenix.Process.PeakResidentBytes <= LimitMebibytes * (long)Mebibyte, $"peak {phoenix.Process.PeakResidentBytes / Mebibyte} MiB");
        var text = PrometheusText.Parse(await metrics.GetStringAsync("/metrics"));
        Assert.Equal(LimitMebibytes * (double)Mebibyte, text["phoenix_memory_limit_bytes"]);
        Assert.Equal(LimitMebibytes * (double)Mebibyte, text["otelcol_processor_memory_limiter_limit_bytes"]);
        Assert.True(text["phoenix_span_queue_rejections_total", "reason=\"memory_limit\""] >= 3);
        Assert.True(text["otelcol_processor_refused_spans_total", "processor=\"memory_limit\""] >= 3);
        await Eventually.GetAsync(
            async () => PrometheusText.Parse(await metrics.GetStringAsync("/metrics"))["process_resident_memory_bytes"],
            static resident => resident < LimitMebibytes * 0.8 * Mebibyte);
    }

    [Fact]
    public async Task Export_OverloadWithLittleMemory_StaysUnderTheLimitAndLosesNothing()
    {
        await using var phoenix = await StartAsync();

        var load = await new LoadRun(phoenix.Process.GrpcUrl, grpc: true, connections: 24, spansPerRequest: 1000).RunAsync(
            TimeSpan.FromSeconds(6), null, CancellationToken.None);

        Assert.Equal(load.Spans, await phoenix.CountAsync());
        Assert.True(
            phoenix.Process.PeakResidentBytes <= LimitMebibytes * (long)Mebibyte, $"peak {phoenix.Process.PeakResidentBytes / Mebibyte} MiB");
        using var client = new HttpClient { BaseAddress = new Uri(phoenix.Process.HttpUrl) };
        await Eventually.TrueAsync(async () =>
        {
            using var answer = await client.PostAsync(Otlp.Spans(1));
            return answer.StatusCode == HttpStatusCode.OK;
        });
    }

    [Theory]
    [InlineData("[],")]
    [InlineData("{},")]
    [InlineData("1,")]
    public async Task CreateSpans_JsonThatTakesMoreThanThereIs_IsRefusedBeforeItIsTaken(string item)
    {
        await using var phoenix = await StartAsync();
        using var client = new HttpClient { BaseAddress = new Uri(phoenix.Process.HttpUrl) };
        var items = string.Concat(Enumerable.Repeat(item, 18 * Mebibyte / item.Length));

        using var answer = await client.PostAsync(
            "/v1/projects/default/spans", new StringContent($$"""{"data":[{{items}}0]}""", Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.TooManyRequests, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
        Assert.True(
            phoenix.Process.PeakResidentBytes <= LimitMebibytes * (long)Mebibyte, $"peak {phoenix.Process.PeakResidentBytes / Mebibyte} MiB");
    }

    private static async Task<HttpStatusCode> SendLargeAsync(HttpClient client, ulong serial)
    {
        var request = new SpanLoad((int)serial).Next(4000);
        request.Stamp(serial, LoadRun.NowNanos());
        using var answer = await client.PostAsync("/v1/traces", Otlp.Content(request.Bytes.ToArray()));
        return answer.StatusCode;
    }

    private async Task<SmallPhoenix> StartAsync(params (string Key, string Value)[] settings)
    {
        var database = await postgres.CreateDatabaseAsync();
        var variables = settings.ToDictionary(setting => setting.Key, setting => (string?)setting.Value, StringComparer.Ordinal);
        variables["ConnectionStrings__phoenixdb"] = database;
        variables["PHOENIX_MEMORY_LIMIT"] = $"{LimitMebibytes}M";
        var process = new PhoenixProcess(variables);
        await process.StartAsync(CancellationToken.None);
        return new SmallPhoenix(process, new NpgsqlConnectionStringBuilder(database) { SearchPath = "phoenix" }.ConnectionString);
    }

    private sealed class SmallPhoenix(PhoenixProcess process, string connectionString) : IAsyncDisposable
    {
        public PhoenixProcess Process { get; } = process;

        public async Task<NpgsqlConnection> OpenAsync()
        {
            var connection = new NpgsqlConnection(connectionString);
            await connection.OpenAsync();
            return connection;
        }

        public async Task<long> CountAsync()
        {
            await using var connection = await OpenAsync();
            await using var command = new NpgsqlCommand("SELECT count(DISTINCT (trace_id, span_id)) FROM spans", connection);
            return (long)(await command.ExecuteScalarAsync())!;
        }

        public ValueTask DisposeAsync() => Process.DisposeAsync();
    }
}
