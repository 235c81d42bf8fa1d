using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.Features;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Receive;

/// <summary>
/// OTLP over gRPC: one unary call a signal, served straight from Kestrel's HTTP/2 (grpc doc/PROTOCOL-HTTP2.md). Every answer is HTTP 200
/// with the status in the trailers; any other method is UNIMPLEMENTED.
/// </summary>
internal static class GrpcReceiver
{
    private const string Package = "/opentelemetry.proto.collector.";

    /// <summary>Takes in whatever came in through the gRPC listener.</summary>
    public static async Task HandleAsync(HttpContext context, IngestPipeline pipeline)
    {
        var contentType = context.Request.ContentType;
        if (context.Request.Method != HttpMethods.Post || contentType is null
            || !contentType.StartsWith("application/grpc", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.StatusCode = StatusCodes.Status415UnsupportedMediaType;
            return;
        }

        context.Response.ContentType = "application/grpc";
        if (SignalOf(context.Request.Path.Value) is not { } signal)
        {
            Refuse(context, GrpcCode.Unimplemented, $"unknown method {context.Request.Path.Value}", retryAfter: null);
            return;
        }

        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        var outcome = await pipeline.RunAsync(new IngestRequest
        {
            Signal = signal,
            Transport = IngestTransport.Grpc,
            Body = context.Request.BodyReader,
            ContentLength = context.Request.ContentLength,
            Encoding = context.Request.Headers.GrpcEncoding.ToString().ToLowerInvariant(),
            IsGrpcFrame = true,
            Via = context.Request.Headers.Via,
            ProjectName = ProjectHeader.Read(context.Request),
            Timeout = ParseTimeout(context.Request.Headers.GrpcTimeout),
        }, context.RequestAborted);

        if (outcome.Status == IngestStatus.Accepted)
        {
            var message = OtlpAnswer.Success(signal, outcome, json: false);
            var frame = new byte[5 + message.Length];
            System.Buffers.Binary.BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.Length);
            message.CopyTo(frame, 5);
            await context.Response.Body.WriteAsync(frame, context.RequestAborted);
            context.Response.AppendTrailer("grpc-status", "0");
            return;
        }

        if (outcome.Status == IngestStatus.Unsupported)
        {
            context.Response.Headers.GrpcAcceptEncoding = "identity,gzip,deflate,br";
        }

        Refuse(context, Map(outcome.Status), outcome.Message ?? "", outcome.RetryAfter);
    }

    /// <summary>A grpc-timeout such as "100m"; null when there is none or it cannot be read.</summary>
    public static TimeSpan? ParseTimeout(string? header)
    {
        if (header is not { Length: >= 2 and <= 9 }
            || !long.TryParse(header.AsSpan(0, header.Length - 1), NumberStyles.None, CultureInfo.InvariantCulture, out var value))
        {
            return null;
        }

        return header[^1] switch
        {
            'H' => TimeSpan.FromHours(Math.Min(value, 100_000)),
            'M' => TimeSpan.FromMinutes(value),
            'S' => TimeSpan.FromSeconds(value),
            'm' => TimeSpan.FromMilliseconds(value),
            'u' => TimeSpan.FromMicroseconds(value),
            'n' => TimeSpan.FromTicks(value / 100),
            _ => null,
        };
    }

    private static Signal? SignalOf(string? path) => path switch
    {
        Package + "trace.v1.TraceService/Export" => Signal.Spans,
        Package + "logs.v1.LogsService/Export" => Signal.Logs,
        Package + "metrics.v1.MetricsService/Export" => Signal.MetricPoints,
        _ => null,
    };

    private static GrpcCode Map(IngestStatus status) => status switch
    {
        IngestStatus.Malformed => GrpcCode.InvalidArgument,
        IngestStatus.TooLarge or IngestStatus.Busy => GrpcCode.ResourceExhausted,
        IngestStatus.Unsupported => GrpcCode.Unimplemented,
        IngestStatus.Unavailable => GrpcCode.Unavailable,
        IngestStatus.DeadlineExceeded => GrpcCode.DeadlineExceeded,
        _ => GrpcCode.Cancelled,
    };

    /// <summary>Ends a call without a message.</summary>
    public static void Refuse(HttpContext context, GrpcCode code, string text, TimeSpan? retryAfter)
    {
        context.Response.ContentType = "application/grpc";
        context.Response.AppendTrailer("grpc-status", ((int)code).ToString(CultureInfo.InvariantCulture));
        context.Response.AppendTrailer("grpc-message", PercentEncode(text));
        if (retryAfter is not null)
        {
            context.Response.AppendTrailer("grpc-status-details-bin",
                Convert.ToBase64String(OtlpAnswer.Status(code, text, retryAfter, json: false)));
        }
    }

    /// <summary>UTF-8 with everything but printable ASCII, and '%', escaped.</summary>
    private static string PercentEncode(string text)
    {
        var encoded = new StringBuilder(text.Length);
        foreach (var unit in Encoding.UTF8.GetBytes(text))
        {
            _ = unit is >= 0x20 and <= 0x7e and not (byte)'%'
                ? encoded.Append((char)unit)
                : encoded.Append(CultureInfo.InvariantCulture, $"%{unit:X2}");
        }

        return encoded.ToString();
    }
}
