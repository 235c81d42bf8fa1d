using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Export;

/// <summary>The body of <c>records/resolve</c>.</summary>
internal sealed record ResolveRequest(RecordRef?[]? Refs);

/// <summary>
/// What evidence cites: a span (trace and span id), a log record (record id) or a metric point (series id and time). Which fields count
/// depends on <see cref="Kind"/>. Numbers may be sent as strings.
/// </summary>
internal sealed record RecordRef(string? Kind, string? TraceId, string? SpanId, long? RecordId, long? SeriesId, long? TimeNs);

/// <summary>JSON of the slice.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower, NumberHandling = JsonNumberHandling.AllowReadingFromString)]
[JsonSerializable(typeof(ResolveRequest))]
internal sealed partial class ResolveJsonContext : JsonSerializerContext;

/// <summary>Answers which records references stand for, in request order, with null for those that do not exist.</summary>
internal static class ResolveEndpoint
{
    /// <summary>Most references of one request.</summary>
    public const int MaxRefs = 1_000;

    private static readonly JsonWriterOptions s_options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary><c>POST /v1/projects/{project}/records/resolve</c></summary>
    public static async Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ResolveAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, LogReader logs,
        MetricReader metrics, InternReader interned,
        CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, ResolveJsonContext.Default.ResolveRequest, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.Refs is not { } refs)
        {
            return ApiResults.Invalid(new ValidationError(["body", "refs"], "Field required", "missing"));
        }

        if (refs.Length > MaxRefs)
        {
            return ApiResults.Invalid(
                new ValidationError(["body", "refs"], $"List should have at most {MaxRefs} items, got {refs.Length}", "too_long"));
        }

        var lookup = new Lookup();
        for (var index = 0; index < refs.Length; index++)
        {
            lookup.Add(index, refs[index]);
        }

        if (lookup.Errors.Count > 0)
        {
            return ApiResults.Invalid(lookup.Errors);
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        await lookup.ReadAsync(found.Id, spans, logs, metrics, interned, cancellationToken);
        context.Response.ContentType = "application/json";
        await using var writer = new Utf8JsonWriter(context.Response.BodyWriter, s_options);
        writer.WriteStartObject();
        writer.WriteStartArray("data");
        for (var index = 0; index < refs.Length; index++)
        {
            lookup.Write(writer, index);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
        return TypedResults.Empty;
    }

    /// <summary>The references of one request by kind, then the rows found for them.</summary>
    private sealed class Lookup
    {
        private readonly List<object> _keys = [];
        private readonly List<(Guid TraceId, long SpanId)> _spanIds = [];
        private readonly List<long> _logIds = [];
        private readonly List<(long SeriesId, long TimeNanos)> _pointIds = [];
        private Dictionary<(Guid TraceId, long SpanId), SpanRow> _spans = [];
        private Dictionary<long, LogRow> _logs = [];
        private Dictionary<(long SeriesId, long TimeNanos), MetricPointRow> _points = [];
        private Dictionary<long, MetricSeriesRow> _series = [];
        private IReadOnlyDictionary<long, ResourceRow> _resources = new Dictionary<long, ResourceRow>();
        private IReadOnlyDictionary<long, ScopeRow> _scopes = new Dictionary<long, ScopeRow>();

        public List<ValidationError> Errors { get; } = [];

        public void Add(int index, RecordRef? reference)
        {
            switch (reference?.Kind)
            {
                case "span" when TelemetryIds.TryParseTrace(reference.TraceId, out var traceId)
                    && TelemetryIds.TryParseSpan(reference.SpanId, out var spanId):
                    _keys.Add((traceId, spanId));
                    _spanIds.Add((traceId, spanId));
                    return;
                case "log" when reference.RecordId is { } recordId:
                    _keys.Add(recordId);
                    _logIds.Add(recordId);
                    return;
                case "metric" when reference is { SeriesId: { } seriesId, TimeNs: { } timeNanos }:
                    _keys.Add((seriesId, timeNanos));
                    _pointIds.Add((seriesId, timeNanos));
                    return;
                case "span":
                    Errors.Add(
                        new ValidationError(["body", "refs", index],
                            "A span needs trace_id (32 hex digits) and span_id (16 hex digits)", "value_error"));
                    return;
                case "log":
                    Errors.Add(new ValidationError(["body", "refs", index, "record_id"], "Field required", "missing"));
                    return;
                case "metric":
                    Errors.Add(new ValidationError(["body", "refs", index], "A metric needs series_id and time_ns", "missing"));
                    return;
                default:
                    Errors.Add(
                        new ValidationError(["body", "refs", index, "kind"], "Input should be 'span', 'log' or 'metric'", "literal_error"));
                    return;
            }
        }

        public async Task ReadAsync(
            int projectId, SpanReader spans, LogReader logs, MetricReader metrics, InternReader interned,
            CancellationToken cancellationToken)
        {
            if (_spanIds.Count > 0)
            {
                // A sender may repeat a span's id with another start: both are stored, the earliest stands for the id.
                _spans = (await spans.FindAsync(projectId, _spanIds, cancellationToken)).OrderBy(row => row.StartNanos)
                    .DistinctBy(row => (row.TraceId, row.SpanId)).ToDictionary(row => (row.TraceId, row.SpanId));
            }

            if (_logIds.Count > 0)
            {
                _logs = (await logs.FindAsync(projectId, [.. _logIds], cancellationToken)).ToDictionary(row => row.Id);
            }

            if (_pointIds.Count > 0)
            {
                long[] ids = [.. _pointIds.Select(point => point.SeriesId)];
                _series = (await metrics.FindSeriesAsync(projectId, ids, cancellationToken)).ToDictionary(row => row.Id);
                _points = (await metrics.FindPointsAsync(ids, [.. _pointIds.Select(point => point.TimeNanos)], cancellationToken))
                    .DistinctBy(row => (row.SeriesId, row.TimeNanos)).ToDictionary(row => (row.SeriesId, row.TimeNanos));
            }

            _resources = await interned.ResourcesAsync(
                _spans.Values.Select(row => row.ResourceId).Concat(_logs.Values.Select(row => row.ResourceId))
                    .Concat(_series.Values.Select(row => row.ResourceId)),
                cancellationToken);
            _scopes = await interned.ScopesAsync(
                _spans.Values.Select(row => row.ScopeId).Concat(_logs.Values.Select(row => row.ScopeId)), cancellationToken);
        }

        public void Write(Utf8JsonWriter writer, int index)
        {
            switch (_keys[index])
            {
                case (Guid traceId, long spanId) when _spans.TryGetValue((traceId, spanId), out var span):
                    RecordJson.WriteSpan(writer, span, _resources[span.ResourceId], _scopes[span.ScopeId]);
                    return;
                case long recordId when _logs.TryGetValue(recordId, out var log):
                    RecordJson.WriteLog(writer, log, _resources[log.ResourceId], _scopes[log.ScopeId]);
                    return;
                case (long seriesId, long timeNanos) when _points.TryGetValue((seriesId, timeNanos), out var point)
                    && _series.TryGetValue(seriesId, out var series):
                    writer.WriteStartObject();
                    RecordJson.WriteSeries(writer, series, _resources[series.ResourceId]);
                    writer.WriteNumber("time_ns", point.TimeNanos);
                    if (point.Number is { } number)
                    {
                        writer.WriteNumber("value", number);
                    }
                    else
                    {
                        writer.WriteNull("value");
                    }

                    writer.WriteEndObject();
                    return;
                default:
                    writer.WriteNullValue();
                    return;
            }
        }
    }
}
