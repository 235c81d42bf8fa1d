using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Trace.V1;

namespace MatsObservability.Tests.Conformance;

[Trait("Req", "A06")]
public sealed class OtlpGrpcTests(OtlpGrpcTests.Server server) : IClassFixture<OtlpGrpcTests.Server>
{
    private const string Traces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    public sealed class Server : IAsyncLifetime
    {
        private readonly PostgresFixture _postgres = new();

        public PhoenixServer Phoenix { get; private set; } = null!;

        public HttpClient Client { get; private set; } = null!;

        public async Task InitializeAsync()
        {
            Phoenix = await PhoenixServer.StartAsync(_postgres, ("PHOENIX_MAX_REQUEST_SIZE", "1M"));
            Client = new HttpClient
            {
                BaseAddress = new Uri(Phoenix.GrpcUrl),
                DefaultRequestVersion = HttpVersion.Version20,
                DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
        }

        public async Task DisposeAsync()
        {
            Client.Dispose();
            await Phoenix.DisposeAsync();
            await _postgres.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Export_Spans_AreStoredBeforeTheAnswer(bool gzip)
    {
        var trace = Guid.NewGuid();

        var answer = await CallAsync(Traces, Otlp.Spans(trace, 20).ToByteArray(), gzip: gzip);

        Assert.Equal("0", answer.Status);
        Assert.Empty(answer.Message);
        Assert.Equal(20, await server.Phoenix.ScalarAsync<int>($"SELECT count(*)::int FROM spans WHERE trace_id = '{trace}'"));
    }

    [Fact]
    public async Task Export_LogsAndMetrics_AreStored()
    {
        var logs = await CallAsync("/opentelemetry.proto.collector.logs.v1.LogsService/Export", Otlp.Log("by grpc").ToByteArray());
        var metrics = await CallAsync("/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
            Otlp.Gauge("by.grpc", 1, Otlp.NowNanos).ToByteArray());

        Assert.Equal(("0", "0"), (logs.Status, metrics.Status));
        Assert.Equal(1L, await server.Phoenix.ScalarAsync<long>("SELECT count(*) FROM logs WHERE body = 'by grpc'"));
        Assert.Equal(1L, await server.Phoenix.ScalarAsync<long>("SELECT count(*) FROM metric_series WHERE name = 'by.grpc'"));
    }

    [Fact]
    public async Task Export_OneInvalidSpan_IsReportedInPartialSuccess()
    {
        var request = Otlp.Spans(2);
        request.ResourceSpans[0].ScopeSpans[0].Spans[0].TraceId = ByteString.Empty;

        var answer = await CallAsync(Traces, request.ToByteArray());

        Assert.Equal("0", answer.Status);
        Assert.Equal(1, ExportTraceServiceResponse.Parser.ParseFrom(answer.Message).PartialSuccess.RejectedSpans);
    }

    [Fact]
    public async Task Call_UnknownMethod_IsUnimplemented() =>
        Assert.Equal("12", (await CallAsync("/opentelemetry.proto.collector.profiles.v1.ProfilesService/Export", [])).Status);

    [Fact]
    public async Task Export_BrokenMessage_IsInvalidArgument() => Assert.Equal("3", (await CallAsync(Traces, [0x0a, 0xff, 0x01])).Status);

    [Fact]
    public async Task Export_PrefixThatLies_IsInvalidArgument()
    {
        var answer = await CallAsync(Traces, [], body: [0, 0, 0, 0, 9, 1]);

        Assert.Equal("3", answer.Status);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("identity")]
    public async Task Export_CompressedInNoNamedWay_IsInvalidArgument(string? encoding)
    {
        var answer = await CallAsync(Traces, [], body: [1, 0, 0, 0, 0], encoding: encoding);

        Assert.Equal("3", answer.Status);
        Assert.Contains("grpc-encoding", answer.Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Export_EmptyMessage_IsAnEmptySuccess()
    {
        var answer = await CallAsync(Traces, [], body: [0, 0, 0, 0, 0]);

        Assert.Equal("0", answer.Status);
        Assert.Empty(answer.Message);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Export_AboveTheLimit_IsResourceExhausted(bool gzip)
    {
        var answer = await CallAsync(Traces, new byte[2 * 1024 * 1024], gzip);

        Assert.Equal("8", answer.Status);
        Assert.Null(answer.Details);
    }

    [Fact]
    public async Task Export_UnknownCompression_IsUnimplemented()
    {
        var answer = await CallAsync(Traces, [], body: [1, 0, 0, 0, 1, 0], encoding: "snappy");

        Assert.Equal("12", answer.Status);
    }

    [Fact]
    public async Task Call_WithoutGrpcContentType_Is415()
    {
        using var response = await server.Client.PostAsync(Traces, Otlp.Content([0, 0, 0, 0, 0]));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    private async Task<Answer> CallAsync(string path, byte[] message, bool gzip = false, byte[]? body = null, string? encoding = null) =>
        await GrpcCalls.CallAsync(server.Client, path, message, gzip, body, encoding);

    internal sealed record Answer(string Status, byte[] Message, byte[]? Details, string? Text);

    internal static class GrpcCalls
    {
        public static async Task<Answer> CallAsync(
            HttpClient client, string path, byte[] message, bool gzip = false, byte[]? body = null,
            string? encoding = null, string? timeout = null)
        {
            if (body is null)
            {
                var payload = gzip ? Gzip(message) : message;
                body = [gzip ? (byte)1 : (byte)0, 0, 0, 0, 0, .. payload];
                BinaryPrimitives.WriteInt32BigEndian(body.AsSpan(1), payload.Length);
            }

            using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(body) };
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
            request.Headers.TryAddWithoutValidation("te", "trailers");
            if (gzip || encoding is not null)
            {
                request.Headers.TryAddWithoutValidation("grpc-encoding", encoding ?? "gzip");
            }

            if (timeout is not null)
            {
                request.Headers.TryAddWithoutValidation("grpc-timeout", timeout);
            }

            request.Version = HttpVersion.Version20;
            request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
            using var response = await client.SendAsync(request);
            var frame = await response.Content.ReadAsByteArrayAsync();
            return new Answer(
                Value(response, "grpc-status")!, frame.Length > 5 ? frame[5..] : [],
                Value(response, "grpc-status-details-bin") is { } details ? Convert.FromBase64String(details) : null,
                Value(response, "grpc-message"));
        }

        private static string? Value(HttpResponseMessage response, string name) =>
            response.TrailingHeaders.TryGetValues(name, out var trailer)
                ? trailer.Single()
                : response.Headers.TryGetValues(name, out var header) ? header.Single() : null;

        private static byte[] Gzip(byte[] bytes)
        {
            using var output = new MemoryStream();
            using (var stream = new GZipStream(output, CompressionLevel.Fastest))
            {
                stream.Write(bytes);
            }

            return output.ToArray();
        }
    }
}
