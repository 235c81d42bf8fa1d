using System.Buffers;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>What the other endpoint made of a request.</summary>
internal enum ForwardStatus
{
    /// <summary>It has it; some records it may have rejected.</summary>
    Taken,

    /// <summary>Not now; the same again may be taken.</summary>
    Retry,

    /// <summary>Never.</summary>
    Refused,
}

/// <summary>The answer to one attempt.</summary>
/// <param name="Status">What became of it.</param>
/// <param name="Reason">Why, for people; holds no header of the request. Null when taken whole.</param>
/// <param name="Rejected">Records left out of a request that was taken.</param>
/// <param name="RetryAfter">Earliest time for the next attempt, if the other side asks for one.</param>
internal readonly record struct ForwardAnswer(ForwardStatus Status, string? Reason = null, long Rejected = 0, TimeSpan? RetryAfter = null);

/// <summary>One attempt to hand a request over, by OTLP/HTTP in protobuf (opentelemetry-proto specification, OTLP/HTTP).</summary>
internal sealed class ForwardClient : IDisposable
{
    private const int MaxAnswerBytes = 16 * 1024;
    private const int MaxReasonChars = 200;
    private const string Protobuf = "application/x-protobuf";

    private readonly HttpClient _http;
    private readonly List<(string Name, string Value)> _headers = [];
    private readonly string _base;
    private readonly TimeSpan _timeout;
    private readonly TimeProvider _time;

    /// <summary>A client of the endpoint that <paramref name="options"/> name.</summary>
    public ForwardClient(IOptions<ForwardOptions> options, TimeProvider time)
    {
        (_base, _timeout, _time) = (options.Value.Endpoint.TrimEnd('/'), options.Value.RequestTimeout, time);
        foreach (var entry in options.Value.Headers)
        {
            if (ForwardOptions.TryParseHeader(entry, out var name, out var value))
            {
                _headers.Add((name, value));
            }
        }

        _http = new HttpClient(new SocketsHttpHandler
        {
            // A redirect would take the credentials to somewhere else; a span of the request would come back to be forwarded.
            AllowAutoRedirect = false,
            UseCookies = false,
            ActivityHeadersPropagator = null,
            AutomaticDecompression = DecompressionMethods.All,
            RequestHeaderEncodingSelector = static (_, _) => Encoding.UTF8,
            // The name may lead elsewhere after a while.
            PooledConnectionLifetime = TimeSpan.FromMinutes(2),
        })
        {
            Timeout = Timeout.InfiniteTimeSpan,
        };
    }

    /// <summary>Sends <paramref name="body"/>, at most for the request time-out; throws only when cancelled.</summary>
    public async Task<ForwardAnswer> SendAsync(
        ForwardRequest request, ReadOnlyMemory<byte> body, string via, CancellationToken cancellationToken)
    {
        using var message = new HttpRequestMessage(HttpMethod.Post, $"{_base}/v1/{ForwardOptions.NameOf(request.Signal)}")
        {
            Content = new ReadOnlyMemoryContent(body),
        };
        message.Content.Headers.ContentType = new MediaTypeHeaderValue(Protobuf);
        message.Headers.TryAddWithoutValidation("Via", request.Via is { Length: > 0 } before ? $"{before}, {via}" : via);
        if (request.ProjectName is { } project && !project.Any(char.IsControl))
        {
            message.Headers.TryAddWithoutValidation("x-project-name", project);
        }

        foreach (var (name, value) in _headers)
        {
            message.Headers.TryAddWithoutValidation(name, value);
        }

        using var timeout = new CancellationTokenSource(_timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        try
        {
            using var response = await _http.SendAsync(message, HttpCompletionOption.ResponseHeadersRead, either.Token);
            var answer = response.Content.Headers.ContentType?.MediaType == Protobuf ? await ReadAsync(response, either.Token) : [];
            return Judge(response, answer);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            return new(ForwardStatus.Retry, $"no answer within {_timeout}");
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException)
        {
            return new(ForwardStatus.Retry, Clean((exception.InnerException ?? exception).Message));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _http.Dispose();

    /// <summary>What the status means: 429, 502, 503 and 504 are worth a retry, no other failure is (specification, Failures).</summary>
    private ForwardAnswer Judge(HttpResponseMessage response, byte[] answer)
    {
        if (response.IsSuccessStatusCode)
        {
            var (rejected, text) = ReadPartialSuccess(answer);
            return new(ForwardStatus.Taken, text.Length == 0 && rejected == 0 ? null : Clean(text), rejected);
        }

        var (message, hint) = ReadStatus(answer);
        var reason = Clean($"it answers {(int)response.StatusCode} {response.ReasonPhrase}{(message.Length > 0 ? ": " : "")}{message}");
        return response.StatusCode is HttpStatusCode.TooManyRequests or HttpStatusCode.BadGateway or HttpStatusCode.ServiceUnavailable
            or HttpStatusCode.GatewayTimeout
            ? new(ForwardStatus.Retry, reason, RetryAfter: RetryAfter(response) ?? hint)
            : new(ForwardStatus.Refused, reason);
    }

    private TimeSpan? RetryAfter(HttpResponseMessage response) => response.Headers.RetryAfter switch
    {
        { Delta: { } delta } => delta,
        { Date: { } date } => date - _time.GetUtcNow(),
        _ => null,
    };

    /// <summary>Text for the log: short, of one line, and without the values of our headers, should the other side repeat them.</summary>
    private string Clean(string text)
    {
        text = _headers.Aggregate(text, static (cleaned, header) => cleaned.Replace(header.Value, "***", StringComparison.Ordinal))
            .ReplaceLineEndings(" ");
        return text.Length <= MaxReasonChars ? text : text[..MaxReasonChars] + "…";
    }

    private static async Task<byte[]> ReadAsync(HttpResponseMessage response, CancellationToken cancellationToken)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        var buffer = ArrayPool<byte>.Shared.Rent(MaxAnswerBytes);
        try
        {
            return buffer[..await stream.ReadAtLeastAsync(buffer, MaxAnswerBytes, throwOnEndOfStream: false, cancellationToken)];
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    /// <summary>rejected_… and error_message of Export…ServiceResponse.partial_success.</summary>
    private static (long Rejected, string Message) ReadPartialSuccess(ReadOnlySpan<byte> response)
    {
        var partial = Nested(response, field: 1);
        var (rejected, message) = (0L, "");
        var reader = new ProtobufReader(partial);
        while (!reader.AtEnd && reader.TryReadTag(out var tag))
        {
            if (tag == ((1 << 3) | WireType.Varint) && reader.TryReadVarint(out var count))
            {
                rejected = (long)count;
            }
            else if (tag == ((2 << 3) | WireType.Bytes) && reader.TryReadBytes(out var text))
            {
                message = Encoding.UTF8.GetString(text);
            }
            else if (!reader.TrySkip(tag))
            {
                break;
            }
        }

        return (rejected, message);
    }

    /// <summary>message of google.rpc.Status, and retry_delay of the google.rpc.RetryInfo among its details.</summary>
    private static (string Message, TimeSpan? RetryAfter) ReadStatus(ReadOnlySpan<byte> status)
    {
        var message = Encoding.UTF8.GetString(Nested(status, field: 2));
        var detail = Nested(status, field: 3);
        if (!Nested(detail, field: 1).EndsWith("google.rpc.RetryInfo"u8))
        {
            return (message, null);
        }

        var delay = TimeSpan.Zero;
        var reader = new ProtobufReader(Nested(Nested(detail, field: 2), field: 1));
        while (!reader.AtEnd && reader.TryReadTag(out var tag) && reader.TryReadVarint(out var number))
        {
            delay += (tag >> 3) == 1
                ? TimeSpan.FromSeconds(Math.Min(number, 86_400))
                : TimeSpan.FromTicks((long)Math.Min(number, 1_000_000_000) / 100);
        }

        return (message, delay);
    }

    /// <summary>The content of the first field <paramref name="field"/> of a message; empty when there is none.</summary>
    private static ReadOnlySpan<byte> Nested(ReadOnlySpan<byte> message, uint field)
    {
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd && reader.TryReadTag(out var tag))
        {
            if (tag == ((field << 3) | WireType.Bytes))
            {
                return reader.TryReadBytes(out var content) ? content : default;
            }

            if (!reader.TrySkip(tag))
            {
                break;
            }
        }

        return default;
    }
}
