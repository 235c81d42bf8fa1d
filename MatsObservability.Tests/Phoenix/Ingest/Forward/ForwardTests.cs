using System.Net;
using System.Text;
using Google.Protobuf;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Tests.Conformance;
using MatsObservability.Tests.Phoenix.Metrics;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Forward;

namespace MatsObservability.Tests.Phoenix.Ingest.Forward;

/// <summary>What one service stores reaches another: a second one that asks for a key, or an endpoint that shows the very bytes.</summary>
[Trait("Req", "B042")]
public sealed class ForwardTests(PostgresFixture postgres, SecuredServer secured)
    : IClassFixture<PostgresFixture>, IClassFixture<SecuredServer>
{
    private const string GrpcTraces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    [Fact]
    public async Task Export_EverySignalAndTransport_IsStoredInASecondServiceToo()
    {
        var project = $"forwarded-{Guid.NewGuid():N}";
        await using var server = await StartAsync(
            secured.Phoenix.OtlpHttpUrl, ("PHOENIX_FORWARD_HEADERS", $"authorization=Bearer%20{secured.Keys["SYSTEM"]}"));
        using var grpc = new HttpClient { BaseAddress = new Uri(server.GrpcUrl) };
        using var json = Otlp.Content(
            Encoding.UTF8.GetBytes(new JsonFormatter(JsonFormatter.Settings.Default).Format(Otlp.Spans(3, project))), "application/json");

        (await server.Client.PostAsync(Otlp.Spans(2, project))).EnsureSuccessStatusCode();
        (await server.Client.PostAsync("/v1/traces", json)).EnsureSuccessStatusCode();
        Assert.Equal("0", (await OtlpGrpcTests.GrpcCalls.CallAsync(grpc, GrpcTraces, Otlp.Spans(4, project).ToByteArray())).Status);
        (await server.Client.PostAsync(Otlp.Log("a line", project))).EnsureSuccessStatusCode();
        (await server.Client.PostAsync(Otlp.Gauge(project, 1, Otlp.NowNanos))).EnsureSuccessStatusCode();
        using var sender = new HttpClient(
            new SocketsHttpHandler { RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8 })
        {
            BaseAddress = new Uri(server.HttpUrl),
        };
        sender.DefaultRequestHeaders.Add("x-project-name", $"{project}-é");
        (await sender.PostAsync(Otlp.Spans(5))).EnsureSuccessStatusCode();

        var metrics = Metrics(server);
        await Eventually.TrueAsync(() => metrics.SentRecords == 16);
        foreach (var service in (PhoenixServer[])[server, secured.Phoenix])
        {
            Assert.Equal(
                9, await service.ScalarAsync<long>($"SELECT count(*) FROM spans s JOIN projects p ON p.id = s.project_id WHERE p.name = '{project}'"));
            Assert.Equal(
                5, await service.ScalarAsync<long>($"SELECT count(*) FROM spans s JOIN projects p ON p.id = s.project_id WHERE p.name = '{project}-é'"));
            Assert.Equal(
                1, await service.ScalarAsync<long>($"SELECT count(*) FROM logs l JOIN projects p ON p.id = l.project_id WHERE p.name = '{project}'"));
            Assert.Equal(
                1, await service.ScalarAsync<long>($"SELECT count(*) FROM metric_points m JOIN metric_series s ON s.id = m.series_id WHERE s.name = '{project}'"));
        }

        using var client = new HttpClient();
        var text = PrometheusText.Parse(await client.GetStringAsync($"{server.MetricsUrl.TrimEnd('/')}/metrics?collect=phoenix"));
        Assert.Equal((14d, 1d, 0d), (
            text["phoenix_forward_sent_records_total", "signal=\"traces\""], text["phoenix_forward_sent_records_total", "signal=\"logs\""],
            text["phoenix_forward_queue_bytes"]));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("authorization=Bearer%20wrong")]
    public async Task Export_WithoutTheKeyOfTheOtherSide_IsStoredHereAndCountedAsRefused(string? header)
    {
        await using var server = await StartAsync(secured.Phoenix.HttpUrl, header is null ? [] : [("PHOENIX_FORWARD_HEADERS", header)]);

        using var answer = await server.Client.PostAsync(Otlp.Spans(3, "refused"));

        answer.EnsureSuccessStatusCode();
        await Eventually.TrueAsync(() => Metrics(server).DroppedRecords(DropReason.Refused) == 3);
        Assert.Equal(
            (3L, 0L), (await server.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await secured.Phoenix.ScalarAsync<long>("SELECT count(*) FROM projects WHERE name = 'refused'")));
    }

    [Fact]
    public async Task Export_SinkStoppedUnderLoadAndStartedAgain_GetsEverySpanOnce()
    {
        var (database, port) = (await postgres.CreateDatabaseAsync(), FreePort.Next());
        await using var server = await StartAsync($"http://127.0.0.1:{port}", ("Phoenix:Forward:FirstRetryDelay", "100ms"),
            ("Phoenix:Forward:LongestRetryDelay", "200ms"));
        Task<int> sending;
        await using (var first = await PhoenixServer.StartAsync(database, ("PHOENIX_OTLP_HTTP_PORT", $"{port}")))
        {
            sending = SendAsync(server, requests: 30);
            await Eventually.TrueAsync(() => Metrics(server).SentRecords >= 1000);
        }

        // However much of the first half it had before it stopped, it has nothing of the second.
        Assert.Equal(3000, await SendAsync(server, requests: 30));
        Assert.Equal(3000, await sending);
        await Eventually.TrueAsync(() => Metrics(server).Retries > 0);
        await using var second = await PhoenixServer.StartAsync(database, ("PHOENIX_OTLP_HTTP_PORT", $"{port}"));

        await Eventually.TrueAsync(() => Metrics(server).SentRecords == 6000);
        Assert.Equal(
            (6000L, 6000L), (await second.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await second.ScalarAsync<long>("SELECT count(DISTINCT (trace_id, span_id)) FROM spans")));
        Assert.Equal(0, Enum.GetValues<DropReason>().Sum(Metrics(server).DroppedRecords));
    }

    [Fact]
    public async Task Export_SinkHangs_IsAcknowledgedAllTheSame()
    {
        using var release = new SemaphoreSlim(0);
        await using var sink = await OtlpSink.StartAsync();
        sink.Answer = context => release.WaitAsync(context.RequestAborted);
        await using var server = await StartAsync(sink.Url, ("Phoenix:Forward:Connections", "1"));

        Assert.Equal(2000, await SendAsync(server, requests: 20).WaitAsync(TimeSpan.FromSeconds(30)));
        var stopping = server.StopAsync();
        release.Release(20);
        await stopping;

        Assert.Equal(2000, sink.Requests.Sum(static request => Spans(request).Count));
    }

    [Fact]
    public async Task Export_NothingToTakeOut_ForwardsTheBytesAsTheyCame()
    {
        await using var sink = await OtlpSink.StartAsync();
        await using var server = await StartAsync(sink.Url, ("PHOENIX_FORWARD_SIGNALS", "traces"));
        var body = Otlp.Spans(3, "plain").ToByteArray();
        using var packed = new MemoryStream();
        await using (var gzip = new System.IO.Compression.GZipStream(
            packed, System.IO.Compression.CompressionLevel.Fastest, leaveOpen: true))
        {
            await gzip.WriteAsync(body);
        }

        (await server.Client.PostAsync(Otlp.Log("not asked for"))).EnsureSuccessStatusCode();
        (await server.Client.PostAsync("/v1/traces", Otlp.Content(packed.ToArray(), encoding: "gzip"))).EnsureSuccessStatusCode();

        await Eventually.TrueAsync(() => sink.Requests.Length == 1);
        var request = Assert.Single(sink.Requests);
        Assert.Equal(("/v1/traces", "application/x-protobuf"), (request.Path, request.Headers["content-type"]));
        Assert.Equal(body, request.Body);
        Assert.Equal(0, Metrics(server).DroppedRecords(DropReason.Loop));
    }

    [Fact]
    [Trait("Req", "B131")]
    public async Task Export_SecretsInEverySignal_NoneIsForwarded()
    {
        string[] secrets = ["sk-proj-seededkeyseededkeyseededkey0001", "seeded-user-token-0002",
            "seededbearer0004seededbearer", "ada.seeded@example.com"];
        await using var sink = await OtlpSink.StartAsync();
        await using var server = await StartAsync(sink.Url, ("Phoenix:Redaction:Rules:0", "hash user.email"));
        KeyValue[] seeded =
        [
            Otlp.Text("llm.api_key", secrets[0]), Otlp.Text("user.token", secrets[1]),
            Otlp.Text("note", $"Authorization: Bearer {secrets[2]}"),
            Otlp.Text("user.email", secrets[3]), Otlp.Text("kept", "harmless"),
            new KeyValue { Key = "nested",
                Value = new AnyValue { KvlistValue = new KeyValueList { Values = { Otlp.Text("user.token", secrets[1]) } } } },
        ];
        var spans = Otlp.Spans(1);
        spans.ResourceSpans[0].Resource.Attributes.AddRange(seeded);
        spans.ResourceSpans[0].ScopeSpans[0].Scope.Attributes.AddRange(seeded);
        var span = spans.ResourceSpans[0].ScopeSpans[0].Spans[0];
        span.Attributes.AddRange(seeded);
        span.Status = new Status { Message = $"refused Bearer {secrets[2]}" };
        span.Events.Add(new Span.Types.Event { Name = "e", Attributes = { seeded } });
        span.Links.Add(new Span.Types.Link { TraceId = span.TraceId, SpanId = span.SpanId, Attributes = { seeded } });
        var logs = Otlp.Log($"called with Bearer {secrets[2]}");
        logs.ResourceLogs[0].ScopeLogs[0].LogRecords[0].Attributes.AddRange(seeded);
        var points = Otlp.Gauge("g", 1, Otlp.NowNanos);
        points.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints[0].Attributes.AddRange(seeded);

        foreach (var message in (IMessage[])[spans, logs, points])
        {
            (await server.Client.PostAsync(message)).EnsureSuccessStatusCode();
        }

        await Eventually.TrueAsync(() => sink.Requests.Length == 3);
        Assert.All(sink.Requests, request =>
        {
            var text = Encoding.UTF8.GetString(request.Body);
            Assert.All(secrets, secret => Assert.DoesNotContain(secret, text, StringComparison.Ordinal));
            Assert.Contains("harmless", text, StringComparison.Ordinal);
        });
        var forwarded = Assert.Single(Spans(sink.Requests.Single(static request => request.Path == "/v1/traces")));
        var stored = await server.ScalarAsync<string>("SELECT attributes::jsonb->>'user.email' FROM spans");
        Assert.Equal((span.Name, stored),
            (forwarded.Name, forwarded.Attributes.Single(static attribute => attribute.Key == "user.email").Value.StringValue));
        Assert.Equal("refused Bearer ***", forwarded.Status.Message);
    }

    [Fact]
    public async Task Export_SpansThatAreNotStored_AreNotForwarded()
    {
        await using var sink = await OtlpSink.StartAsync();
        await using var server = await StartAsync(
            sink.Url, ("Phoenix:Normalize:FilterPaths:0", "/health"), ("Phoenix:Normalize:ServiceSampleRates:0", "noisy=0"));
        var request = Otlp.Spans(4);
        var spans = request.ResourceSpans[0].ScopeSpans[0].Spans;
        spans[1].Attributes.Add(Otlp.Text("url.path", "/health"));
        spans[2].SpanId = ByteString.Empty;
        var noisy = Otlp.Spans(3);
        noisy.ResourceSpans[0].Resource.Attributes[0] = Otlp.Text("service.name", "noisy");
        request.ResourceSpans.Add(noisy.ResourceSpans[0]);

        (await server.Client.PostAsync(noisy)).EnsureSuccessStatusCode();
        (await server.Client.PostAsync(request)).EnsureSuccessStatusCode();

        await Eventually.TrueAsync(() => Metrics(server).SentRecords == 2);
        Assert.Equal(["span 1", "span 4"], Spans(Assert.Single(sink.Requests)).Select(static span => span.Name));
    }

    [Fact]
    public async Task Export_ThatComesBackToTheService_IsNotForwardedAgain()
    {
        await using var sink = await OtlpSink.StartAsync();
        await using var server = await StartAsync(sink.Url);
        (await server.Client.PostAsync(Otlp.Spans(2))).EnsureSuccessStatusCode();
        await Eventually.TrueAsync(() => sink.Requests.Length == 1);

        using var back = Otlp.Content(sink.Requests[0].Body);
        using var message = new HttpRequestMessage(HttpMethod.Post, "/v1/traces") { Content = back };
        message.Headers.Add("Via", $"{sink.Requests[0].Headers["via"]}, 1.1 another");
        using var answer = await server.Client.SendAsync(message);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(
            (2d, 2L), (Metrics(server).DroppedRecords(DropReason.Loop), await server.ScalarAsync<long>("SELECT count(*) FROM spans")));
        Assert.Single(sink.Requests);
    }

    [Fact]
    public async Task Scrape_WithoutAnEndpoint_KnowsNothingOfForwarding()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var client = new HttpClient();

        Assert.DoesNotContain("phoenix_forward",
            await client.GetStringAsync($"{server.MetricsUrl.TrimEnd('/')}/metrics?collect=phoenix"), StringComparison.Ordinal);
        Assert.Null(server.Services.GetService<Forwarder>());
    }

    private static ForwardMetrics Metrics(PhoenixServer server) => server.Services.GetRequiredService<ForwardMetrics>();

    private static List<Span> Spans(SinkRequest request) =>
        [.. ExportTraceServiceRequest.Parser.ParseFrom(request.Body).ResourceSpans.SelectMany(static resource => resource.ScopeSpans)
            .SelectMany(static scope => scope.Spans)];

    /// <summary>Sends so many requests of 100 spans on four connections; the spans acknowledged.</summary>
    private static async Task<int> SendAsync(PhoenixServer server, int requests)
    {
        var sent = 0;
        await Parallel.ForEachAsync(Enumerable.Range(0, requests), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (_, _) =>
        {
            using var answer = await server.Client.PostAsync(Otlp.Spans(100));
            answer.EnsureSuccessStatusCode();
            Interlocked.Add(ref sent, 100);
        });
        return sent;
    }

    private Task<PhoenixServer> StartAsync(string endpoint, params (string Key, string Value)[] settings) =>
        PhoenixServer.StartAsync(postgres, [("PHOENIX_FORWARD_ENDPOINT", endpoint), .. settings]);
}
