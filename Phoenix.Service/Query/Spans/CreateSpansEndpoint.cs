using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Ingest.Receive;
using Phoenix.Service.Metrics;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Spans;

/// <summary>Answer to accepted spans; <paramref name="TotalQueued"/> leaves out what the ingest rejected, as OTLP's partial success does.</summary>
internal sealed record SpansQueued(int TotalReceived, int TotalQueued);

/// <summary>Answer to refused spans: all of them are refused.</summary>
internal sealed record SpansRefused(
    string Error, int TotalReceived, int TotalQueued, int TotalDuplicates, int TotalInvalid, IReadOnlyList<SpanIdentity> DuplicateSpans,
    IReadOnlyList<InvalidSpan> InvalidSpans);

/// <summary>A span by its ids.</summary>
internal sealed record SpanIdentity(string SpanId, string TraceId);

/// <summary>A span that cannot be stored, and why.</summary>
internal sealed record InvalidSpan(string SpanId, string TraceId, string Error);

/// <summary>JSON of the slice's bodies.</summary>
[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(SpansQueued))]
[JsonSerializable(typeof(SpansRefused))]
[JsonSerializable(typeof(JsonElement))]
internal sealed partial class SpanJsonContext : JsonSerializerContext;

/// <summary>
/// <c>POST /v1/projects/{project}/spans</c>: all or nothing. The spans become an OTLP/JSON request and take
/// the same way as any other telemetry, so they are durable when the answer is 202.
/// </summary>
internal static class CreateSpansEndpoint
{
    /// <summary>About what a token of JSON takes: its place in the index, and what OTLP/JSON puts around it.</summary>
    private const int TokenBytes = 64;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Checks, converts, stores. Its memory is that of the ingest: reserved before it is taken, refused when there is too much.</summary>
    public static async Task<Results<JsonHttpResult<SpansQueued>, JsonHttpResult<SpansRefused>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> CreateAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, IngestQueue queue, IngestPipeline pipeline,
        IOptions<IngestOptions> options, CancellationToken cancellationToken)
    {
        using var reservation = queue.TryAdmit(out var full);
        if (reservation is null)
        {
            return Busy(context, full!, options.Value);
        }

        ReadOnlyMemory<byte> otlp;
        int count;
        ProjectRow? found;
        using (var body = new RequestBody(reservation, options.Value.MaxRequestBytes))
        {
            switch (await body.ReadAsync(context.Request.BodyReader, context.Request.ContentLength, cancellationToken))
            {
                case BodyFault.TooLarge:
                    return ApiResults.Text(
                        StatusCodes.Status413PayloadTooLarge,
                        $"the body is larger than {options.Value.MaxRequestBytes} bytes (Phoenix:Ingest:MaxRequestBytes)");
                case BodyFault.Busy:
                    return Busy(context, reservation.Refusal, options.Value);
            }

            if (body.Span.StartsWith(Encoding.UTF8.Preamble))
            {
                body.Skip(Encoding.UTF8.Preamble.Length);
            }

            JsonDocument document;
            try
            {
                if (!reservation.TryGrow(body.Memory.Length + ((long)CountTokens(body.Span) * TokenBytes)))
                {
                    return Busy(context, reservation.Refusal, options.Value);
                }

                document = JsonDocument.Parse(body.Memory);
            }
            catch (JsonException exception)
            {
                return ApiResults.Invalid(new ValidationError(["body"], $"Invalid JSON: {exception.Message}", "json_invalid"));
            }

            using (document)
            {
                var errors = new List<ValidationError>();
                var sent = ReadSpans(document.RootElement, errors);
                if (errors.Count > 0)
                {
                    return ApiResults.Invalid(errors);
                }

                found = await projects.FindProjectAsync(project, cancellationToken);
                if (found is null && GlobalId.TryParse(project, "Project", out _))
                {
                    return ApiResults.NoProject(project);
                }

                if (found is null && Encoding.UTF8.GetByteCount(project) > AttributePolicy.MaxLabelBytes)
                {
                    return ApiResults.Invalid(new ValidationError(
                        ["path", "project"], $"A project's name has at most {AttributePolicy.MaxLabelBytes} bytes", "string_too_long"));
                }

                if (await FindFaultsAsync(sent, found, spans, cancellationToken) is { } refused)
                {
                    return ApiResults.Json(refused, SpanJsonContext.Default.SpansRefused, StatusCodes.Status400BadRequest);
                }

                (otlp, count) = (ToOtlp(sent), sent.Count);
            }
        }

        reservation.Settle(otlp.Length, 0);
        return count == 0 ? Queued(0, 0) : await StoreAsync(otlp, count, found?.Name ?? project, context, pipeline);
    }

    /// <summary>The spans of <c>data</c>; what is malformed goes to <paramref name="errors"/>.</summary>
    private static List<SentSpan> ReadSpans(JsonElement root, List<ValidationError> errors)
    {
        // By its bytes, because looking a name up throws on one beside it that is no text.
        var data = root.ValueKind == JsonValueKind.Object
            ? root.EnumerateObject().LastOrDefault(static member => JsonMarshal.GetRawUtf8PropertyName(member).SequenceEqual("data"u8)).Value
            : default;
        if (data.ValueKind != JsonValueKind.Array)
        {
            errors.Add(new ValidationError(["body", "data"], "Field required: a list of spans", "missing"));
            return [];
        }

        var sent = new List<SentSpan>();
        foreach (var (index, item) in data.EnumerateArray().Index())
        {
            if (errors.Count >= SentSpan.MostErrors)
            {
                break;
            }

            if (SentSpan.Read(item, index, errors) is { } span)
            {
                sent.Add(span);
            }
        }

        return sent;
    }

    private static int CountTokens(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(json);
        var count = 0;
        while (reader.Read())
        {
            count++;
        }

        return count;
    }

    private static async Task<SpansRefused?> FindFaultsAsync(
        List<SentSpan> sent, ProjectRow? project, SpanReader spans, CancellationToken cancellationToken)
    {
        var invalid = sent.Where(span => span.Fault is not null)
            .Select(span => new InvalidSpan(span.SpanIdText, span.TraceIdText, span.Fault!)).ToList();
        var sound = sent.Where(span => span.Fault is null).ToList();
        var stored = project is null || sound.Count == 0
            ? []
            : await spans.FindIdsAsync(project.Id, [.. sound.Select(span => (span.TraceId, span.SpanId)).Distinct()], cancellationToken);
        var duplicates = sound.Where(span => !stored.Add((span.TraceId, span.SpanId)))
            .Select(span => new SpanIdentity(span.SpanIdText, span.TraceIdText)).ToList();
        return invalid.Count + duplicates.Count == 0
            ? null
            : new SpansRefused(
                "Request contains invalid or duplicate spans", sent.Count, 0, duplicates.Count, invalid.Count, duplicates, invalid);
    }

    private static ReadOnlyMemory<byte> ToOtlp(List<SentSpan> sent)
    {
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        using var writer = new Utf8JsonWriter(buffer, s_options);
        writer.WriteStartObject();
        writer.WriteStartArray("resourceSpans");
        writer.WriteStartObject();
        writer.WriteStartArray("scopeSpans");
        writer.WriteStartObject();
        writer.WriteStartArray("spans");
        foreach (var span in sent)
        {
            span.WriteOtlp(writer);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.WriteEndArray();
        writer.WriteEndObject();
        writer.Flush();
        return buffer.WrittenMemory;
    }

    private static async Task<Results<JsonHttpResult<SpansQueued>, JsonHttpResult<SpansRefused>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> StoreAsync(
        ReadOnlyMemory<byte> otlp, int count, string project, HttpContext context, IngestPipeline pipeline)
    {
        var outcome = await pipeline.RunAsync(new IngestRequest
        {
            Signal = Signal.Spans,
            Transport = IngestTransport.Http,
            Body = PipeReader.Create(new ReadOnlySequence<byte>(otlp)),
            ContentLength = otlp.Length,
            IsJson = true,
            ProjectName = project,
        }, context.RequestAborted);
        if (outcome.Status == IngestStatus.Accepted)
        {
            return Queued(count, count - outcome.Rejected);
        }

        return Refused(
            context, outcome.RetryAfter,
            outcome.Status switch
            {
                IngestStatus.TooLarge => StatusCodes.Status413PayloadTooLarge,
                IngestStatus.Malformed => StatusCodes.Status400BadRequest,
                IngestStatus.Busy => StatusCodes.Status429TooManyRequests,
                _ => StatusCodes.Status503ServiceUnavailable,
            },
            outcome.Message ?? "The spans could not be stored");
    }

    private static ContentHttpResult Busy(HttpContext context, QueueRefusal refusal, IngestOptions options) =>
        Refused(context, options.BusyRetryDelay, StatusCodes.Status429TooManyRequests, refusal.Reason);

    private static ContentHttpResult Refused(HttpContext context, TimeSpan? retryAfter, int status, string reason)
    {
        if (retryAfter is { } delay)
        {
            context.Response.Headers.RetryAfter = Math.Ceiling(delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        }

        return ApiResults.Text(status, reason);
    }

    private static JsonHttpResult<SpansQueued> Queued(int received, int queued) =>
        ApiResults.Json(new SpansQueued(received, queued), SpanJsonContext.Default.SpansQueued, StatusCodes.Status202Accepted);
}
