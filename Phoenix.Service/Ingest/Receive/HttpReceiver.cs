using System.Globalization;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Net.Http.Headers;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Receive;

/// <summary>OTLP over HTTP: protobuf and JSON, answered in the request's encoding (opentelemetry-proto specification, OTLP/HTTP).</summary>
internal static class HttpReceiver
{
    private const string Protobuf = "application/x-protobuf";
    private const string Json = "application/json";

    /// <summary>Takes in one POST of <paramref name="signal"/>.</summary>
    public static async Task HandleAsync(HttpContext context, IngestPipeline pipeline, Signal signal)
    {
        var isJson = IsType(context.Request.ContentType, Json);
        if (!isJson && !IsType(context.Request.ContentType, Protobuf))
        {
            await AnswerAsync(context, StatusCodes.Status415UnsupportedMediaType,
                OtlpAnswer.Status(GrpcCode.InvalidArgument, $"Content-Type must be {Protobuf} or {Json}", retryAfter: null, json: true),
                json: true);
            return;
        }

        // The pipeline enforces its own limit, with an answer in the request's encoding.
        context.Features.Get<IHttpMaxRequestBodySizeFeature>()!.MaxRequestBodySize = null;
        var outcome = await pipeline.RunAsync(new IngestRequest
        {
            Signal = signal,
            Transport = IngestTransport.Http,
            Body = context.Request.BodyReader,
            ContentLength = context.Request.ContentLength,
            Encoding = context.Request.Headers.ContentEncoding.ToString().Trim().ToLowerInvariant(),
            IsJson = isJson,
            Via = context.Request.Headers.Via,
            ProjectName = ProjectHeader.Read(context.Request),
        }, context.RequestAborted);

        if (outcome.Status == IngestStatus.Accepted)
        {
            await AnswerAsync(context, StatusCodes.Status200OK, OtlpAnswer.Success(signal, outcome, isJson), isJson);
            return;
        }

        if (outcome.RetryAfter is { } delay)
        {
            context.Response.Headers.RetryAfter = Math.Ceiling(delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        }

        var (status, code) = Map(outcome.Status);
        await AnswerAsync(context, status, OtlpAnswer.Status(code, outcome.Message ?? "", outcome.RetryAfter, isJson), isJson);
    }

    private static (int Status, GrpcCode Code) Map(IngestStatus status) => status switch
    {
        IngestStatus.Malformed => (StatusCodes.Status400BadRequest, GrpcCode.InvalidArgument),
        IngestStatus.TooLarge => (StatusCodes.Status413PayloadTooLarge, GrpcCode.ResourceExhausted),
        IngestStatus.Unsupported => (StatusCodes.Status415UnsupportedMediaType, GrpcCode.Unimplemented),
        IngestStatus.Busy => (StatusCodes.Status429TooManyRequests, GrpcCode.ResourceExhausted),
        IngestStatus.Unavailable => (StatusCodes.Status503ServiceUnavailable, GrpcCode.Unavailable),
        IngestStatus.DeadlineExceeded => (StatusCodes.Status503ServiceUnavailable, GrpcCode.DeadlineExceeded),
        _ => (StatusCodes.Status408RequestTimeout, GrpcCode.Cancelled),
    };

    private static bool IsType(string? contentType, string type) => contentType is not null
        && (string.Equals(contentType, type, StringComparison.OrdinalIgnoreCase)
            || (MediaTypeHeaderValue.TryParse(contentType, out var parsed)
                && parsed.MediaType.Equals(type, StringComparison.OrdinalIgnoreCase)));

    private static Task AnswerAsync(HttpContext context, int status, byte[] body, bool json)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = json ? Json : Protobuf;
        context.Response.ContentLength = body.Length;
        return context.Response.Body.WriteAsync(body, context.RequestAborted).AsTask();
    }
}
