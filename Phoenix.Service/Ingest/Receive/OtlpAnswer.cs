using System.Text;
using System.Text.Json;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Receive;

/// <summary>Bodies of OTLP answers: Export*ServiceResponse and google.rpc.Status, in protobuf or JSON.</summary>
internal static class OtlpAnswer
{
    private const string RetryInfoType = "type.googleapis.com/google.rpc.RetryInfo";

    /// <summary>
    /// The response message: empty, or with partial_success when records were rejected (opentelemetry-proto specification, Partial
    /// Success).
    /// </summary>
    public static byte[] Success(Signal signal, IngestOutcome outcome, bool json)
    {
        if (outcome.Rejected == 0)
        {
            return json ? "{}"u8.ToArray() : [];
        }

        if (json)
        {
            return Json(writer =>
            {
                writer.WriteStartObject("partialSuccess");
                writer.WriteString(RejectedName(signal), outcome.Rejected.ToString(System.Globalization.CultureInfo.InvariantCulture));
                writer.WriteString("errorMessage", outcome.Message);
                writer.WriteEndObject();
            });
        }

        using var message = new ProtobufWriter();
        var partial = message.Begin(1);
        message.WriteVarint(1, (ulong)outcome.Rejected);
        message.WriteBytes(2, Encoding.UTF8.GetBytes(outcome.Message ?? ""));
        message.End(partial);
        return message.Written.ToArray();
    }

    /// <summary>google.rpc.Status, with google.rpc.RetryInfo when <paramref name="retryAfter"/> is given.</summary>
    public static byte[] Status(GrpcCode code, string text, TimeSpan? retryAfter, bool json)
    {
        if (json)
        {
            return Json(writer =>
            {
                writer.WriteNumber("code", (int)code);
                writer.WriteString("message", text);
                if (retryAfter is { } delay)
                {
                    writer.WriteStartArray("details");
                    writer.WriteStartObject();
                    writer.WriteString("@type", RetryInfoType);
                    writer.WriteString("retryDelay",
                        string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{delay.TotalSeconds:0.###}s"));
                    writer.WriteEndObject();
                    writer.WriteEndArray();
                }
            });
        }

        using var message = new ProtobufWriter();
        message.WriteVarint(1, (ulong)code);
        message.WriteBytes(2, Encoding.UTF8.GetBytes(text));
        if (retryAfter is { } hint)
        {
            var detail = message.Begin(3);
            message.WriteBytes(1, Encoding.UTF8.GetBytes(RetryInfoType));
            var retryInfo = message.Begin(2);
            var duration = message.Begin(1);
            message.WriteVarint(1, (ulong)hint.TotalSeconds);
            message.WriteVarint(2, (ulong)(hint.Ticks % TimeSpan.TicksPerSecond * 100));
            message.End(duration);
            message.End(retryInfo);
            message.End(detail);
        }

        return message.Written.ToArray();
    }

    private static string RejectedName(Signal signal) => signal switch
    {
        Signal.Spans => "rejectedSpans",
        Signal.Logs => "rejectedLogRecords",
        _ => "rejectedDataPoints",
    };

    private static byte[] Json(Action<Utf8JsonWriter> fill)
    {
        using var stream = new MemoryStream();
        using (var writer = new Utf8JsonWriter(stream))
        {
            writer.WriteStartObject();
            fill(writer);
            writer.WriteEndObject();
        }

        return stream.ToArray();
    }
}

/// <summary>Status codes of gRPC that OTLP answers use (grpc doc/statuscodes.md).</summary>
internal enum GrpcCode
{
    Ok = 0,
    Cancelled = 1,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    PermissionDenied = 7,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Unavailable = 14,
    Unauthenticated = 16,
}
