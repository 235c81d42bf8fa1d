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

/// <summary>
/// Answers which records references stand for, in request order, with null for those that do not exist. They are read and sent slice by
/// slice, because together they may be larger than the memory.
/// </summary>
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

        var (keys, errors) = (new List<object>(refs.Length), new List<ValidationError>());
        for (var index = 0; index < refs.Length; index++)
        {
            AddKey(keys, errors, index, refs[index]);
        }

        if (errors.Count > 0)
        {
            return ApiResults.Invalid(errors);
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        // Read before the first byte is written: a fault still has its status.
        var slice = new Slice(found.Id, keys, spans, logs, metrics, interned);
        var end = await slice.ReadAsync(0, cancellationToken);
        context.Response.ContentType = "application/json";
        var output = context.Response.BodyWriter;
        await using var writer = new Utf8JsonWriter(output, s_options);
        writer.WriteStartObject();
        writer.WriteStartArray("data");
        for (var index = 0; index < keys.Count; index++)
        {
            // All that is written is sent before more is read: a fault then cuts the answer off.
            if (index == end || output.UnflushedBytes >= ExportStream.FlushBytes)
            {
                await writer.FlushAsync(cancellationToken);
                await output.FlushAsync(cancellationToken);
            }

            if (index == end)
            {
                end = await slice.ReadAsync(index, cancellationToken);
            }

            slice.Write(writer, index);
        }

        writer.WriteEndArray();
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
        return TypedResults.Empty;
    }

    /// <summary>
    /// Adds what identifies the record: ids of trace and span, the record id of a log, or series id and time; or says what is missing.
    /// </summary>
    private static void AddKey(List<object> keys, List<ValidationError> errors, int index, RecordRef? reference)
    {
        switch (reference?.Kind)
        {
            case "span" when TelemetryIds.TryParseTrace(reference.TraceId, out var traceId)
                && TelemetryIds.TryParseSpan(reference.SpanId, out var spanId):
                keys.Add((traceId, spanId));
                return;
            case "log" when reference.RecordId is { } recordId:
                keys.Add(recordId);
                return;
            case "metric" when reference is { SeriesId: { } seriesId, TimeNs: { } timeNanos }:
                keys.Add((seriesId, timeNanos));
                return;
            case "span":
                errors.Add(
                    new ValidationError(["body", "refs", index],
                        "A span needs trace_id (32 hex digits) and span_id (16 hex digits)", "value_error"));
                return;
            case "log":
                errors.Add(new ValidationError(["body", "refs", index, "record_id"], "Field required", "missing"));
                return;
            case "metric":
                errors.Add(new ValidationError(["body", "refs", index], "A metric needs series_id and time_ns", "missing"));
                return;
            default:
                errors.Add(
                    new ValidationError(["body", "refs", index, "kind"], "Input should be 'span', 'log' or 'metric'", "literal_error"));
                return;
        }
    }

    /// <summary>The records of as many references in a row as may be held at once: of each kind no more than a page.</summary>
    private sealed class Slice(
        int projectId, List<object> keys, SpanReader spans, LogReader logs, MetricReader metrics, InternReader interned)
    {
        private int _most = MaxRefs;
        private Dictionary<(Guid TraceId, long SpanId), SpanRow> _spans = [];
        private Dictionary<long, LogRow> _logs = [];
        private Dictionary<(long SeriesId, long TimeNanos), MetricPointRow> _points = [];
        private Dictionary<long, MetricSeriesRow> _series = [];
        private IReadOnlyDictionary<long, ResourceRow> _resources = new Dictionary<long, ResourceRow>();
        private IReadOnlyDictionary<long, ScopeRow> _scopes = new Dictionary<long, ScopeRow>();

        /// <summary>Reads the records of the references from <paramref name="first"/> on; where those it holds end, exclusive.</summary>
        public async Task<int> ReadAsync(int first, CancellationToken cancellationToken)
        {
            var count = Math.Min(_most, keys.Count - first);
            while (!await TryReadAsync(keys.GetRange(first, count), cancellationToken))
            {
                // Those that follow are likely as large; one alone always fits.
                _most = count /= 2;
            }

            return first + count;
        }

        public void Write(Utf8JsonWriter writer, int index)
        {
            switch (keys[index])
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

        /// <summary>Reads the records of <paramref name="some"/> references; false when those of one kind are more than a page.</summary>
        private async Task<bool> TryReadAsync(List<object> some, CancellationToken cancellationToken)
        {
            _spans = [];
            _logs = [];
            _points = [];
            _series = [];
            if (some.OfType<(Guid TraceId, long SpanId)>().ToList() is { Count: > 0 } spanIds)
            {
                var (rows, cut) = await spans.FindAsync(projectId, spanIds, cancellationToken);
                if (cut)
                {
                    return false;
                }

                _spans = rows.ToDictionary(row => (row.TraceId, row.SpanId));
            }

            if (some.OfType<long>().ToArray() is { Length: > 0 } logIds)
            {
                var page = await logs.FindAsync(projectId, logIds, cancellationToken);
                if (page.Next is not null)
                {
                    return false;
                }

                _logs = page.Logs.ToDictionary(row => row.Id);
            }

            if (some.OfType<(long SeriesId, long TimeNanos)>().Distinct().ToList() is { Count: > 0 } points)
            {
                long[] seriesIds = [.. points.Select(point => point.SeriesId)];
                var (rows, cut) = await metrics.FindSeriesAsync(projectId, seriesIds, cancellationToken);
                if (cut)
                {
                    return false;
                }

                _series = rows.ToDictionary(row => row.Id);
                _points = (await metrics.FindPointsAsync(seriesIds, [.. points.Select(point => point.TimeNanos)], cancellationToken))
                    .ToDictionary(row => (row.SeriesId, row.TimeNanos));
            }

            _resources = await interned.ResourcesAsync(
                _spans.Values.Select(row => row.ResourceId).Concat(_logs.Values.Select(row => row.ResourceId))
                    .Concat(_series.Values.Select(row => row.ResourceId)),
                cancellationToken);
            _scopes = await interned.ScopesAsync(
                _spans.Values.Select(row => row.ScopeId).Concat(_logs.Values.Select(row => row.ScopeId)), cancellationToken);
            return true;
        }
    }
}
