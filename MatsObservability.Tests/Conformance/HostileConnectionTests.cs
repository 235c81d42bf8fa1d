using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
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
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(60);

    public sealed class Server : IAsyncLifetime
    {
        private readonly PostgresFixture _postgres = new();

        /// <summary>Ends nobody within <see cref="s_deadline"/>: who is served there is served beside them.</summary>
        public PhoenixServer Patient { get; private set; } = null!;

        /// <summary>Ends such clients within seconds.</summary>
        public PhoenixServer Hasty { get; private set; } = null!;

        /// <summary>Settings of <see cref="Patient"/>.</summary>
        public static (string Key, string Value)[] Patience =>
        [
            ("Phoenix:Server:HeaderTimeout", "10m"), ("Phoenix:Server:IdleTimeout", "10m"), ("Phoenix:Server:BodyGracePeriod", "10m"),
        ];

        public async Task InitializeAsync()
        {
            Patient = await PhoenixServer.StartAsync(_postgres, Patience);
            Hasty = await PhoenixServer.StartAsync(
                _postgres, ("Phoenix:Server:HeaderTimeout", "2s"), ("Phoenix:Server:IdleTimeout", "3s"),
                ("Phoenix:Server:BodyGracePeriod", "2s"));
        }

        public async Task DisposeAsync()
        {
            await Patient.DisposeAsync();
            await Hasty.DisposeAsync();
            await _postgres.DisposeAsync();
        }
    }

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public Task Connect_HeadersThatTrickle_AreEndedAndOthersAreServed(string listener) =>
        // Half a header block: over HTTP/2 a HEADERS frame that says another one follows.
        listener == nameof(Listeners.Grpc)
            ? AssertHarmlessAsync(listener, [.. s_preface, .. Frame(1, 0, 1, Header(":method", "POST"))], [])
            : AssertHarmlessAsync(listener, "POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Slow: "u8.ToArray(), "a"u8.ToArray());

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public Task Connect_BodyThatTrickles_IsEndedAndOthersAreServed(string listener) => listener == nameof(Listeners.Grpc)
        ? AssertHarmlessAsync(
            listener,
            [
                .. s_preface, .. Frame(1, 4, 1, [
                    .. Header(":method", "POST"), .. Header(":scheme", "http"), .. Header(":authority", "x"),
                    .. Header(":path", "/opentelemetry.proto.collector.trace.v1.TraceService/Export"), .. Header(
                        "content-type", "application/grpc"),
                ]),
            ],
            Frame(0, 0, 1, [0]))
        : AssertHarmlessAsync(
            listener,
            Encoding.ASCII.GetBytes(
                "POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-protobuf\r\nContent-Length: 100000\r\n\r\n"),
            "a"u8.ToArray());

    [Theory]
    [InlineData(nameof(Listeners.Http))]
    [InlineData(nameof(Listeners.Otlp))]
    [InlineData(nameof(Listeners.Grpc))]
    public async Task Connect_AThousandIdleConnections_OthersAreServedAndTheIdleOnesAreEnded(string listener)
    {
        foreach (var phoenix in new[] { server.Patient, server.Hasty })
        {
            var idle = new List<Socket>();
            try
            {
                while (idle.Count < 1000)
                {
                    idle.Add(await ConnectAsync(phoenix, listener));
                    if (listener == nameof(Listeners.Grpc))
                    {
                        // A proper HTTP/2 connection that asks for nothing but proves to be alive.
                        await idle[^1].SendAsync((byte[])[.. s_preface, .. Frame(6, 0, 0, new byte[8])]);
                    }
                }

                if (phoenix == server.Hasty)
                {
                    await EndedAsync(idle[0], []).WaitAsync(s_deadline);
                }

                await AssertOthersAreServedAsync(phoenix);
            }
            finally
            {
                idle.ForEach(static socket => socket.Dispose());
            }
        }
    }

    /// <summary>
    /// Keep-alive pings of HTTP/2 keep a connection, as gRPC senders want; the number of connections is what bounds them.
    /// </summary>
    [Fact]
    public async Task Connect_MoreThanTheLimit_AreTurnedAwayUntilOthersEnd()
    {
        await using var small = await PhoenixServer.StartAsync(
            postgres, [.. Server.Patience, ("Phoenix:Server:MaxConnections", "20")]);
        var idle = new List<Socket>();
        while (idle.Count < 20)
        {
            idle.Add(await ConnectAsync(small, nameof(Listeners.Grpc)));
            await idle[^1].SendAsync(s_preface);
            await AssertAnswersPingAsync(idle[^1]);
        }

        using (var over = await ConnectAsync(small, nameof(Listeners.Grpc)))
        {
            await EndedAsync(over, []).WaitAsync(s_deadline);
        }

        await AssertAnswersPingAsync(idle[0]);

        idle.ForEach(static socket => socket.Dispose());
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                return await ExportByGrpcAsync(small) == "0";
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    /// <summary>
    /// A client that sends <paramref name="start"/> and then <paramref name="drop"/> now and then keeps no other from being served as long
    /// as it is borne, and is not borne for long.
    /// </summary>
    private async Task AssertHarmlessAsync(string listener, byte[] start, byte[] drop)
    {
        using var borne = await ConnectAsync(server.Patient, listener);
        await borne.SendAsync(start);
        var ended = EndedAsync(borne, drop);
        await AssertOthersAreServedAsync(server.Patient);
        Assert.False(ended.IsCompleted);
        borne.Dispose();
        await ended.WaitAsync(s_deadline);

        using var client = await ConnectAsync(server.Hasty, listener);
        await client.SendAsync(start);
        await EndedAsync(client, drop).WaitAsync(s_deadline);
    }

    private static async Task<Socket> ConnectAsync(PhoenixServer phoenix, string listener)
    {
        var target = new Uri(listener switch
        {
            nameof(Listeners.Http) => phoenix.HttpUrl,
            nameof(Listeners.Otlp) => phoenix.OtlpHttpUrl,
            _ => phoenix.GrpcUrl,
        });
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(target.Host, target.Port);
        return socket;
    }

    /// <summary>A request by every way in, each on a new connection, because the hasty server soon ends idle ones.</summary>
    private static async Task AssertOthersAreServedAsync(PhoenixServer phoenix)
    {
        using var http = new HttpClient { BaseAddress = new Uri(phoenix.HttpUrl), Timeout = s_deadline };
        using var otlp = new HttpClient { BaseAddress = new Uri(phoenix.OtlpHttpUrl), Timeout = s_deadline };
        foreach (var client in new[] { http, otlp })
        {
            using var answer = await client.PostAsync(Otlp.Spans(1));
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        }

        Assert.Equal("0", await ExportByGrpcAsync(phoenix));
    }

    /// <summary>A request on a new connection; its gRPC status.</summary>
    private static async Task<string> ExportByGrpcAsync(PhoenixServer phoenix)
    {
        using var client = new HttpClient { BaseAddress = new Uri(phoenix.GrpcUrl), Timeout = s_deadline };
        var answer = await OtlpGrpcTests.GrpcCalls.CallAsync(
            client, "/opentelemetry.proto.collector.trace.v1.TraceService/Export", Otlp.Spans(1).ToByteArray());
        return answer.Status;
    }

    /// <summary>The server still has this connection over HTTP/2: it answers a ping with the ping's own bytes.</summary>
    private static async Task AssertAnswersPingAsync(Socket client)
    {
        var ping = RandomNumberGenerator.GetBytes(8);
        await client.SendAsync(Frame(6, 0, 0, ping));
        var (received, buffer) = (new List<byte>(), new byte[4096]);
        while (received.ToArray().AsSpan().IndexOf(ping) < 0)
        {
            var read = await client.ReceiveAsync(buffer).WaitAsync(s_deadline);
            Assert.NotEqual(0, read);
            received.AddRange(buffer[..read]);
        }
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
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // Reset, ended as well; or the test has disposed it.
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
