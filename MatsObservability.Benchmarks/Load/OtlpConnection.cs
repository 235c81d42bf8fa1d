using System.Buffers.Binary;
using System.Globalization;
using System.Net.Sockets;
using System.Text;

namespace MatsObservability.Benchmarks.Load;

/// <summary>How the server answered one export.</summary>
internal enum ExportAnswer
{
    /// <summary>Acknowledged whole.</summary>
    Stored,

    /// <summary>Refused, to be sent again.</summary>
    Retry,

    /// <summary>Anything else.</summary>
    Failed,
}

/// <summary>
/// One connection that exports one request at a time, with as little work as the protocol allows, so that the generator does not slow the
/// server.
/// </summary>
internal abstract class OtlpConnection(Socket socket) : IAsyncDisposable
{
    private readonly byte[] _received = new byte[64 * 1024];

    /// <summary>Bytes received and not yet taken.</summary>
    protected Memory<byte> Received { get; private set; }

    /// <summary>Connects to <paramref name="url"/>.</summary>
    public static async Task<OtlpConnection> ConnectAsync(string url, bool grpc, CancellationToken cancellationToken)
    {
        var target = new Uri(url);
        var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(target.Host, target.Port, cancellationToken);
            return grpc ? await GrpcConnection.OpenAsync(socket, target.Authority, cancellationToken) : new HttpConnection(
                socket, target.Authority);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Exports one request and waits for its answer.</summary>
    /// <exception cref="IOException">The connection broke: whether the request was stored is not known.</exception>
    /// <exception cref="SocketException">As above.</exception>
    public abstract Task<ExportAnswer> ExportAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken);

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        socket.Dispose();
        return ValueTask.CompletedTask;
    }

    /// <summary>Sends all of <paramref name="bytes"/>.</summary>
    protected async ValueTask SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken)
    {
        while (bytes.Length > 0)
        {
            bytes = bytes[await socket.SendAsync(bytes, cancellationToken)..];
        }
    }

    /// <summary>Waits until at least <paramref name="count"/> bytes are received.</summary>
    protected async ValueTask FillAsync(int count, CancellationToken cancellationToken)
    {
        while (Received.Length < count)
        {
            Received.CopyTo(_received);
            var read = await socket.ReceiveAsync(_received.AsMemory(Received.Length), cancellationToken);
            if (read == 0)
            {
                throw new IOException("The server closed the connection.");
            }

            Received = _received.AsMemory(0, Received.Length + read);
        }
    }

    /// <summary>Takes <paramref name="count"/> received bytes away.</summary>
    protected void Take(int count) => Received = Received[count..];

    private sealed class HttpConnection(Socket socket, string authority) : OtlpConnection(socket)
    {
        public override async Task<ExportAnswer> ExportAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
        {
            var head = $"POST /v1/traces HTTP/1.1\r\nHost: {authority}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {request.Length.ToString(CultureInfo.InvariantCulture)}\r\n\r\n";
            await SendAsync(Encoding.ASCII.GetBytes(head), cancellationToken);
            await SendAsync(request, cancellationToken);

            int end;
            while ((end = Received.Span.IndexOf("\r\n\r\n"u8)) < 0)
            {
                await FillAsync(Received.Length + 1, cancellationToken);
            }

            var answer = Encoding.ASCII.GetString(Received.Span[..end]);
            var status = int.Parse(answer.AsSpan(9, 3), CultureInfo.InvariantCulture);
            var length = answer.IndexOf("Content-Length: ", StringComparison.OrdinalIgnoreCase);
            var body = length < 0
                ? 0
                : int.Parse(answer.AsSpan(length + 16).TrimEnd().ToString().Split('\r')[0], CultureInfo.InvariantCulture);
            await FillAsync(end + 4 + body, cancellationToken);
            Take(end + 4 + body);
            return status == 200 && body == 0 ? ExportAnswer.Stored : status is 429 or 503 ? ExportAnswer.Retry : ExportAnswer.Failed;
        }
    }

    /// <summary>The part of HTTP/2 that one unary call at a time needs (RFC 9113), without header compression state (RFC 7541).</summary>
    private sealed class GrpcConnection : OtlpConnection
    {
        private const int Data = 0, Headers = 1, ResetStream = 3, Settings = 4, Ping = 6, GoAway = 7, WindowUpdate = 8;
        private const int EndStream = 1, Acknowledge = 1, EndHeaders = 4;

        private readonly byte[] _headers;
        private readonly byte[] _frame = new byte[9 + 5];
        private int _stream = -1;
        private long _connectionWindow = 65_535;
        private long _streamWindow;
        private long _initialWindow = 65_535;
        private int _maxFrame = 16_384;
        private ExportAnswer? _answer;

        private GrpcConnection(Socket socket, string authority)
            : base(socket)
        {
            using var block = new MemoryStream();
            // Static table: 3 = :method POST, 6 = :scheme http, 4 = :path, 1 = :authority, 31 = content-type; "te" as a literal.
            block.Write([0x83, 0x86, 0x04]);
            Literal(block, "/opentelemetry.proto.collector.trace.v1.TraceService/Export");
            block.WriteByte(0x01);
            Literal(block, authority);
            block.Write([0x0f, 0x10]);
            Literal(block, "application/grpc");
            block.WriteByte(0x00);
            Literal(block, "te");
            Literal(block, "trailers");
            _headers = block.ToArray();
        }

        public static async Task<GrpcConnection> OpenAsync(Socket socket, string authority, CancellationToken cancellationToken)
        {
            var connection = new GrpcConnection(socket, authority);
            // One setting: no dynamic header table (1 = 0), so that trailers arrive as plain text.
            await connection.SendAsync(
                (byte[])[.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 6, Settings, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0], cancellationToken);
            return connection;
        }

        public override async Task<ExportAnswer> ExportAsync(ReadOnlyMemory<byte> request, CancellationToken cancellationToken)
        {
            _stream += 2;
            _answer = null;
            _streamWindow = _initialWindow;
            await SendAsync((byte[])[.. FrameHead(_headers.Length, Headers, EndHeaders), .. _headers], cancellationToken);

            var prefix = 5;
            while (request.Length > 0 || prefix > 0)
            {
                while (Math.Min(_connectionWindow, _streamWindow) <= prefix && _answer is null)
                {
                    await ReadFrameAsync(cancellationToken);
                }

                if (_answer is { } early)
                {
                    return early;
                }

                var size = (int)Math.Min(request.Length, Math.Min(_maxFrame, Math.Min(_connectionWindow, _streamWindow)) - prefix);
                FrameHead(size + prefix, Data, size == request.Length ? EndStream : 0).CopyTo(_frame, 0);
                if (prefix > 0)
                {
                    _frame[9] = 0;
                    BinaryPrimitives.WriteInt32BigEndian(_frame.AsSpan(10), request.Length);
                }

                await SendAsync(_frame.AsMemory(0, 9 + prefix), cancellationToken);
                await SendAsync(request[..size], cancellationToken);
                _connectionWindow -= size + prefix;
                _streamWindow -= size + prefix;
                request = request[size..];
                prefix = 0;
            }

            while (_answer is null)
            {
                await ReadFrameAsync(cancellationToken);
            }

            return _answer.Value;
        }

        private async ValueTask ReadFrameAsync(CancellationToken cancellationToken)
        {
            await FillAsync(9, cancellationToken);
            var head = Received[..9].ToArray();
            var length = (head[0] << 16) | (head[1] << 8) | head[2];
            await FillAsync(9 + length, cancellationToken);
            var payload = Received.Slice(9, length);
            var stream = BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5));
            switch (head[3])
            {
                case Settings when (head[4] & Acknowledge) == 0:
                    Apply(payload.Span);
                    await SendAsync((byte[])[0, 0, 0, Settings, Acknowledge, 0, 0, 0, 0], cancellationToken);
                    break;
                case Ping when (head[4] & Acknowledge) == 0:
                    await SendAsync((byte[])[0, 0, 8, Ping, Acknowledge, 0, 0, 0, 0, .. payload.Span], cancellationToken);
                    break;
                case WindowUpdate when stream == 0:
                    _connectionWindow += BinaryPrimitives.ReadInt32BigEndian(payload.Span);
                    break;
                case WindowUpdate when stream == _stream:
                    _streamWindow += BinaryPrimitives.ReadInt32BigEndian(payload.Span);
                    break;
                case Headers when (head[4] & EndStream) != 0 && stream == _stream:
                    _answer = Status(payload.Span);
                    break;
                // A request refused before all of it was sent is answered first and reset afterwards: that reset belongs to an earlier
                // stream.
                case ResetStream when stream == _stream:
                    _answer = ExportAnswer.Failed;
                    break;
                case GoAway:
                    throw new IOException("The server ends the connection.");
                default:
                    break;
            }

            Take(9 + length);
        }

        private static ExportAnswer Status(ReadOnlySpan<byte> trailers)
        {
            var at = trailers.IndexOf("grpc-status"u8);
            var length = at < 0 ? 0 : trailers[at + 11];
            return length is < 1 or > 2 ? ExportAnswer.Failed : Encoding.ASCII.GetString(trailers.Slice(at + 12, length)) switch
            {
                "0" => ExportAnswer.Stored,
                "8" or "14" or "4" => ExportAnswer.Retry,
                _ => ExportAnswer.Failed,
            };
        }

        private void Apply(ReadOnlySpan<byte> settings)
        {
            for (; settings.Length >= 6; settings = settings[6..])
            {
                var value = BinaryPrimitives.ReadInt32BigEndian(settings[2..]);
                switch (BinaryPrimitives.ReadUInt16BigEndian(settings))
                {
                    case 4:
                        _streamWindow += value - _initialWindow;
                        _initialWindow = value;
                        break;
                    case 5:
                        _maxFrame = value;
                        break;
                    default:
                        break;
                }
            }
        }

        private byte[] FrameHead(int length, int type, int flags)
        {
            var head = new byte[9];
            (head[0], head[1], head[2], head[3], head[4]) = ((byte)(length >> 16), (byte)(length >> 8),
                (byte)length, (byte)type, (byte)flags);
            BinaryPrimitives.WriteInt32BigEndian(head.AsSpan(5), _stream);
            return head;
        }

        private static void Literal(MemoryStream block, string text)
        {
            block.WriteByte((byte)text.Length);
            block.Write(Encoding.ASCII.GetBytes(text));
        }
    }
}
