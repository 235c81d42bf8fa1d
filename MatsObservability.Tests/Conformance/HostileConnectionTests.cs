using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using Phoenix.Service.Listening;

namespace MatsObservability.Tests.Conformance;

/// <summary>
/// Clients that send slowly or nothing at all, on every port that takes telemetry: they are ended, and others do not notice them.
/// </summary>
[Trait("Req", "B040")]
public sealed class HostileConnectionTests(HostileConnectionTests.Server server, PostgresFixture postgres)
    : IClassFixture<HostileConnectionTests.Server>, IClassFixture<PostgresFixture>
{
    private static readonly byte[] s_preface = [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, .. Frame(4, 0, 0, [])];
    private static readonly TimeSpan s_drip = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan s_prompt = TimeSpan.FromSeconds(5);

    public sealed class Server : IAsyncLifetime
    {
        private readonly PostgresFixture _postgres = new();

        public PhoenixServer Phoenix { get; private set; } = null!;

        public async Task InitializeAsync() => Phoenix = await PhoenixServer.StartAsync(
            _postgres, ("Phoenix:Server:HeaderTimeout", "2s"), ("Phoenix:Server:IdleTimeout", "3s"),
            ("Phoenix:Server:BodyGracePeriod", "2s"));

        public async Task DisposeAsync()
        {
            await Phoenix.DisposeAsync();
            await _postgres.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public async Task Connect_HeadersThatTrickle_AreEndedAndOthersAreServed(string listener)
    {
        using var client = await ConnectAsync(listener);
        // Half a header block: over HTTP/2 a HEADERS frame that says another one follows.
        await client.SendAsync(listener == nameof(Listeners.Grpc)
            ? [.. s_preface, .. Frame(1, 0, 1, Header(":method", "POST"))]
            : Encoding.ASCII.GetBytes("POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Slow: "));

        var ended = EndedAsync(client, listener == nameof(Listeners.Grpc) ? [] : "a"u8.ToArray());

        await AssertOthersAreServedAsync();
        await ended.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public async Task Connect_BodyThatTrickles_IsEndedAndOthersAreServed(string listener)
    {
        using var client = await ConnectAsync(listener);
        await client.SendAsync(listener == nameof(Listeners.Grpc)
            ?
            [
                .. s_preface, .. Frame(1, 4, 1, [
                    .. Header(":method", "POST"), .. Header(":scheme", "http"), .. Header(":authority", "x"),
                    .. Header(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"), .. Header(
                        "content-type", "application/grpc"),
                ]),
            ]
            : Encoding.ASCII.GetBytes(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n"));

        var ended = EndedAsync(client, listener == nameof(Listeners.Grpc) ? Frame(0, 0, 1, [0]) : "a"u8.ToArray());

        await AssertOthersAreServedAsync();
        await ended.WaitAsync(TimeSpan.FromSeconds(20));
    }

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public async Task Connect_AThousandIdleConnections_OthersAreServedAndTheIdleOnesAreEnded(string listener)
    {
        var idle = new List<Socket>();
        try
        {
            while (idle.Count < 1000)
            {
                idle.Add(await ConnectAsync(listener));
            }

            if (listener == nameof(Listeners.Grpc))
            {
                // Proper HTTP/2 connections that ask for nothing but prove to be alive.
                foreach (var socket in idle)
                {
                    await socket.SendAsync((byte[])[.. s_preface, .. Frame(6, 0, 0, new byte[8])]);
                }
            }

            await AssertOthersAreServedAsync();
            await EndedAsync(idle[0], []).WaitAsync(TimeSpan.FromSeconds(20));
            await AssertOthersAreServedAsync();
        }
        finally
        {
            idle.ForEach(static socket => socket.Dispose());
        }
    }

    /// <summary>
    /// Keep-alive pings of HTTP/2 keep a connection, as gRPC senders want; the number of connections is what bounds them.
    /// </summary>
    [Fact]
    public async Task Connect_MoreThanTheLimit_AreTurnedAwayUntilOthersEnd()
    {
        await using var small = await PhoenixServer.StartAsync(
            postgres, ("Phoenix:Server:MaxConnections", "20"), ("Phoenix:Server:IdleTimeout", "2s"));
        var target = new Uri(small.GrpcUrl);
        var idle = new List<Socket>();
        for (var count = 0; count < 30; count++)
        {
            var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            await socket.ConnectAsync(target.Host, target.Port);
            idle.Add(socket);
        }

        await EndedAsync(idle[^1], []).WaitAsync(s_prompt);
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var answer = await small.Client.PostAsync(Otlp.Spans(1));
                return answer.StatusCode == HttpStatusCode.OK;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
        idle.ForEach(static socket => socket.Dispose());
    }

    private async Task<Socket> ConnectAsync(string listener)
    {
        var target = new Uri(listener switch
        {
            nameof(Listeners.Http) => server.Phoenix.HttpUrl,
            nameof(Listeners.Otlp) => server.Phoenix.OtlpHttpUrl, _ => server.Phoenix.GrpcUrl,
        });
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(target.Host, target.Port);
        return socket;
    }

    /// <summary>A request by every way in, each on a new connection (this server soon ends idle ones) and answered at once.</summary>
    private async Task AssertOthersAreServedAsync()
    {
        using var http = new HttpClient { BaseAddress = server.Phoenix.Client.BaseAddress, Timeout = s_prompt };
        using var otlp = new HttpClient { BaseAddress = new Uri(server.Phoenix.OtlpHttpUrl), Timeout = s_prompt };
        using var grpc = new HttpClient { BaseAddress = new Uri(server.Phoenix.GrpcUrl), Timeout = s_prompt };
        foreach (var client in new[] { http, otlp })
        {
            using var answer = await client.PostAsync(Otlp.Spans(1)).WaitAsync(s_prompt);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        var called = await OtlpGrpcTests.GrpcCalls.CallAsync(
            grpc, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Otlp.Spans(1).ToByteArray());
        Assert.Equal("0", called.Status);
    }

    /// <summary>Goes on sending <paramref name="drop"/> now and then, if it is not empty, until the server ends the connection.</summary>
    private static async Task EndedAsync(Socket client, byte[] drop)
    {
        var buffer = new byte[4096];
        try
        {
            var read = client.ReceiveAsync(buffer);
            while (true)
            {
                if (await Task.WhenAny(read, Task.Delay(s_drip)) == read)
                {
                    if (await read == 0)
                    {
                        return;
                    }

                    read = client.ReceiveAsync(buffer);
                }
                else if (drop.Length > 0)
                {
                    await client.SendAsync(drop);
                }
            }
        }
        catch (SocketException)
        {
            // Reset: ended as well.
        }
    }

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        BinaryPrimitives.WriteInt32BigEndian(frame, payload.Length << 8);
        (frame[3], frame[4]) = (type, flags);
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    /// <summary>A literal header field without indexing (RFC 7541, 6.2.2).</summary>
    private static byte[] Header(string name, string value) =>
        [0, (byte)name.Length, .. Encoding.ASCII.GetBytes(name), (byte)value.Length, .. Encoding.ASCII.GetBytes(value)];
}
