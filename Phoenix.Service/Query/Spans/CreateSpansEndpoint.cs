using System.Buffers;
using System.Globalization;
using System.IO.Pipelines;
using System.Runtime.InteropServices;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Ingest;
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
    /// <summary>Checks, converts, stores.</summary>
    public static async Task<Results<JsonHttpResult<SpansQueued>, JsonHttpResult<SpansRefused>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> CreateAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, IngestPipeline pipeline,
        CancellationToken cancellationToken)
    {
        JsonDocument document;
        try
        {
            document = await JsonDocument.ParseAsync(context.Request.Body, cancellationToken: cancellationToken);
        }
        catch (JsonException exception)
        {
            return ApiResults.Invalid(new ValidationError(["body"], $"Invalid JSON: {exception.Message}", "json_invalid"));
        }

        using (document)
        {
            // By its bytes, because looking a name up throws on one beside it that is no text.
            var data = document.RootElement.ValueKind == JsonValueKind.Object
                ? document.RootElement.EnumerateObject()
                    .LastOrDefault(static member => JsonMarshal.GetRawUtf8PropertyName(member).SequenceEqual("data"u8)).Value
                : default;
            if (data.ValueKind != JsonValueKind.Array)
            {
                return ApiResults.Invalid(new ValidationError(["body", "data"], "Field required: a list of spans", "missing"));
            }

            var errors = new List<ValidationError>();
            var sent = data.EnumerateArray().Select((item, index) => SentSpan.Read(item, index, errors)).ToList();
            if (errors.Count > 0)
            {
                return ApiResults.Invalid(errors);
            }

            var found = await projects.FindProjectAsync(project, cancellationToken);
            if (found is null && GlobalId.TryParse(project, "Project", out _))
            {
                return ApiResults.NoProject(project);
            }

            if (await FindFaultsAsync(sent!, found, spans, cancellationToken) is { } refused)
            {
                return ApiResults.Json(refused, SpanJsonContext.Default.SpansRefused, StatusCodes.Status400BadRequest);
            }

            return sent.Count == 0 ? Queued(0, 0) : await StoreAsync(sent!, found?.Name ?? project, context, pipeline);
        }
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

    private static async Task<Results<JsonHttpResult<SpansQueued>, JsonHttpResult<SpansRefused>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> StoreAsync(
        List<SentSpan> sent, string project, HttpContext context, IngestPipeline pipeline)
    {
        var buffer = new ArrayBufferWriter<byte>(16 * 1024);
        using (var writer = new Utf8JsonWriter(buffer))
        {
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
        }

        var outcome = await pipeline.RunAsync(new IngestRequest
        {
            Signal = Signal.Spans,
            Transport = IngestTransport.Http,
            Body = PipeReader.Create(new ReadOnlySequence<byte>(buffer.WrittenMemory)),
            ContentLength = buffer.WrittenCount,
            IsJson = true,
            ProjectName = project,
        }, context.RequestAborted);
        if (outcome.Status == IngestStatus.Accepted)
        {
            return Queued(sent.Count, sent.Count - outcome.Rejected);
        }

        if (outcome.RetryAfter is { } delay)
        {
            context.Response.Headers.RetryAfter = Math.Ceiling(delay.TotalSeconds).ToString(CultureInfo.InvariantCulture);
        }

        return ApiResults.Text(
            outcome.Status switch
            {
                IngestStatus.TooLarge => StatusCodes.Status413PayloadTooLarge,
                IngestStatus.Malformed => StatusCodes.Status400BadRequest,
                IngestStatus.Busy => StatusCodes.Status429TooManyRequests,
                _ => StatusCodes.Status503ServiceUnavailable,
            },
            outcome.Message ?? "The spans could not be stored");
    }

    private static JsonHttpResult<SpansQueued> Queued(int received, int queued) =>
        ApiResults.Json(new SpansQueued(received, queued), SpanJsonContext.Default.SpansQueued, StatusCodes.Status202Accepted);
}
