using System.IO.Compression;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Trace.V1;

namespace MatsObservability.Tests.Conformance;

[Trait("Req", "B040")]
public sealed class OtlpHttpTests(OtlpHttpTests.Server server) : IClassFixture<OtlpHttpTests.Server>
{
    public sealed class Server : IAsyncLifetime
    {
        private readonly PostgresFixture _postgres = new();

        public PhoenixServer Phoenix { get; private set; } = null!;

        public async Task InitializeAsync() => Phoenix = await PhoenixServer.StartAsync(_postgres,
            ("PHOENIX_MAX_REQUEST_SIZE", "1M"), ("PHOENIX_CORS_ORIGINS", "https://app.example,http://localhost:3001"),
            ("Phoenix:Server:BodyGracePeriod", "2s"));

        public async Task DisposeAsync()
        {
            await Phoenix.DisposeAsync();
            await _postgres.DisposeAsync();
        }
    }

    private HttpClient Client => server.Phoenix.Client;

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    [Trait("Req", "A14")]
    public async Task Post_JsonWithoutSpans_IsAnsweredEmptyObject(bool otlpPort)
    {
        var url = otlpPort ? server.Phoenix.OtlpHttpUrl : server.Phoenix.HttpUrl;

        using var response = await Client.PostAsync($"{url}/v1/traces",
            Otlp.Content("""{"resourceSpans":[]}"""u8.ToArray(), "application/json; charset=utf-8"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("{}", await response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("application/x-protobuf")]
    [InlineData("application/x-protobuf; charset=utf-8")]
    [InlineData("Application/X-Protobuf")]
    public async Task Post_Protobuf_IsStoredBeforeTheAnswer(string contentType)
    {
        var trace = Guid.NewGuid();

        using var response = await Client.PostAsync("/v1/traces", Otlp.Content(Otlp.Spans(trace, 3).ToByteArray(), contentType));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("application/x-protobuf", response.Content.Headers.ContentType!.MediaType);
        Assert.Empty(await response.Content.ReadAsByteArrayAsync());
        Assert.Equal(3, await CountAsync(trace));
    }

    [Fact]
    [Trait("Req", "B002")]
    public async Task Post_AllThreeSignals_AreStored()
    {
        using var logs = await Client.PostAsync(Otlp.Log("disk is full"));
        using var metrics = await Client.PostAsync(Otlp.Gauge("queue.depth", 4.5, Otlp.NowNanos));

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (logs.StatusCode, metrics.StatusCode));
        Assert.Equal(1L, await server.Phoenix.ScalarAsync<long>("SELECT count(*) FROM logs WHERE body = 'disk is full' AND id > 0"));
        Assert.Equal(
            4.5, await server.Phoenix.ScalarAsync<double>(
                "SELECT value FROM metric_points JOIN metric_series ON id = series_id WHERE name = 'queue.depth'"));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("raw deflate")]
    [InlineData("br")]
    public async Task Post_Compressed_IsStored(string encoding)
    {
        var trace = Guid.NewGuid();
        var body = Compress(Otlp.Spans(trace, 50).ToByteArray(), encoding);

        using var response = await Client.PostAsync("/v1/traces", Otlp.Content(body, encoding: encoding.Split(' ')[^1]));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(50, await CountAsync(trace));
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task Post_CutShortCompression_Is400(string encoding)
    {
        var body = Compress(Otlp.Spans(50).ToByteArray(), encoding);

        using var response = await Client.PostAsync("/v1/traces", Otlp.Content(body[..(body.Length / 2)], encoding: encoding));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("corrupt", await ProtobufMessageAsync(response), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_UnknownEncoding_Is415()
    {
        using var response = await Client.PostAsync("/v1/traces", Otlp.Content(Otlp.Spans(1).ToByteArray(), encoding: "zstd"));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task Post_UnknownContentType_Is415()
    {
        using var response = await Client.PostAsync("/v1/traces", Otlp.Content("x"u8.ToArray(), "text/plain"));

        Assert.Equal(HttpStatusCode.UnsupportedMediaType, response.StatusCode);
    }

    [Fact]
    public async Task Post_BrokenJson_Is400WithJsonStatus()
    {
        using var response = await Client.PostAsync("/v1/traces", Otlp.Content("{\"resourceSpans\":["u8.ToArray(), "application/json"));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        using var status = System.Text.Json.JsonDocument.Parse(await response.Content.ReadAsStringAsync());
        Assert.Equal(3, status.RootElement.GetProperty("code").GetInt32());
        Assert.NotEmpty(status.RootElement.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task Post_BrokenProtobuf_Is400WithProtobufStatus()
    {
        using var response = await Client.PostAsync("/v1/traces", Otlp.Content([0x0a, 0xff, 0x01]));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("application/x-protobuf", response.Content.Headers.ContentType!.MediaType);
        Assert.NotEmpty(await ProtobufMessageAsync(response));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Post_AboveTheLimit_Is413(bool onlyAfterInflation)
    {
        var body = new byte[2 * 1024 * 1024];
        var content = onlyAfterInflation ? Otlp.Content(Compress(body, "gzip"), encoding: "gzip") : Otlp.Content(body);

        using var response = await Client.PostAsync("/v1/traces", content);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("MaxRequestBytes", await ProtobufMessageAsync(response), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_OneInvalidSpan_IsReportedAndItsNeighboursStored()
    {
        var trace = Guid.NewGuid();
        var request = Otlp.Spans(trace, 3);
        request.ResourceSpans[0].ScopeSpans[0].Spans[1].SpanId = ByteString.CopyFrom(new byte[8]);

        using var response = await Client.PostAsync(request);
        var answer = ExportTraceServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync());

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(1, answer.PartialSuccess.RejectedSpans);
        Assert.NotEmpty(answer.PartialSuccess.ErrorMessage);
        Assert.Equal(2, await CountAsync(trace));
    }

    [Fact]
    [Trait("Req", "B023")]
    public async Task Post_ProjectHeader_WinsOverTheResource()
    {
        var trace = Guid.NewGuid();
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/traces")
        {
            Content = Otlp.Content(Otlp.Spans(trace, 1, "by-resource").ToByteArray()),
        };
        request.Headers.Add("x-project-name", "by-header");

        using var response = await Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(
            "by-header",
            await server.Phoenix.ScalarAsync<string>($"SELECT projects.name FROM spans JOIN projects ON projects.id = project_id WHERE trace_id = '{trace}'"));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Get_IngestRoute_Is405(bool otlpPort)
    {
        using var response = await Client.GetAsync($"{(otlpPort ? server.Phoenix.OtlpHttpUrl : server.Phoenix.HttpUrl)}/v1/traces");

        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(["POST"], response.Content.Headers.Allow);
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/v1/traces/v1/traces")]
    [InlineData("/v1/projects")] // of the other port
    public async Task Post_PathThatIsNotOfTheOtlpPort_IsToldThoseThatAre(string path)
    {
        using var response = await Client.PostAsync(server.Phoenix.OtlpHttpUrl + path, Otlp.Content("{}"u8.ToArray(), "application/json"));

        Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        Assert.Contains("POST to /v1/traces, /v1/logs or /v1/metrics", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://app.example", true)]
    [InlineData("https://evil.example", false)]
    [Trait("Req", "B030")]
    public async Task Preflight_Origin_IsAnsweredExactly(string origin, bool allowed)
    {
        using var request = new HttpRequestMessage(HttpMethod.Options, "/v1/traces");
        request.Headers.Add("Origin", origin);
        request.Headers.Add("Access-Control-Request-Method", "POST");
        request.Headers.Add("Access-Control-Request-Headers", "content-type");

        using var response = await Client.SendAsync(request);

        Assert.Equal(allowed, response.Headers.TryGetValues("Access-Control-Allow-Origin", out var origins) && origins.Single() == origin);
    }

    [Fact]
    public async Task Post_BodyThatTrickles_IsAnswered408OrEnded()
    {
        var target = new Uri(server.Phoenix.OtlpHttpUrl);
        using var slow = new TcpClient();
        await slow.ConnectAsync(target.Host, target.Port);
        await slow.GetStream()
            .WriteAsync(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\nabc"u8.ToArray());

        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var answer = new byte[1024];
        var read = await slow.GetStream().ReadAsync(answer, deadline.Token);

        Assert.True(read == 0 || Encoding.ASCII.GetString(answer, 0, read).StartsWith("HTTP/1.1 408", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Post_BesideAThousandIdleConnections_IsServed()
    {
        var target = new Uri(server.Phoenix.OtlpHttpUrl);
        var idle = new List<Socket>();
        try
        {
            for (var i = 0; i < 1000; i++)
            {
                var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                idle.Add(socket);
                await socket.ConnectAsync(target.Host, target.Port);
            }

            using var response = await Client.PostAsync(Otlp.Spans(1));

            Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        }
        finally
        {
            idle.ForEach(socket => socket.Dispose());
        }
    }

    private Task<int> CountAsync(Guid trace) =>
        server.Phoenix.ScalarAsync<int>($"SELECT count(*)::int FROM spans WHERE trace_id = '{trace}'");

    private static byte[] Compress(byte[] bytes, string encoding)
    {
        using var output = new MemoryStream();
        using (Stream stream = encoding switch
        {
            "gzip" => new GZipStream(output, CompressionLevel.Fastest),
            "deflate" => new ZLibStream(output, CompressionLevel.Fastest),
            "raw deflate" => new DeflateStream(output, CompressionLevel.Fastest),
            _ => new BrotliStream(output, CompressionLevel.Fastest),
        })
        {
            stream.Write(bytes);
        }

        return output.ToArray();
    }

    /// <summary>Field 2 of google.rpc.Status.</summary>
    private static async Task<string> ProtobufMessageAsync(HttpResponseMessage response)
    {
        var input = new CodedInputStream(await response.Content.ReadAsByteArrayAsync());
        var message = "";
        while (input.ReadTag() is var tag && tag != 0)
        {
            if (WireFormat.GetTagFieldNumber(tag) == 2)
            {
                message = input.ReadString();
            }
            else
            {
                input.SkipLastField();
            }
        }

        return message;
    }
}
