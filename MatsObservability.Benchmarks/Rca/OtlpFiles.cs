using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using System.Text.Json.Nodes;
using Orchestrator.Agent.Evidence;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>
/// Reads telemetry in OTLP/JSON lines (one export request a line, gzip) into a window, as Phoenix.Service would answer it.
/// </summary>
internal sealed class OtlpFiles
{
    private readonly List<SpanRecord> _spans = [];
    private readonly List<LogRecord> _logs = [];
    private readonly List<MetricSeries> _series = [];

    /// <summary>The whole folder; a signal without its file stays empty.</summary>
    public static TelemetryWindow Read(string folder, string project)
    {
        var files = new OtlpFiles();
        foreach (var (_, line) in Requests(folder))
        {
            files.Add(line);
        }

        return files.ToWindow(project);
    }

    /// <summary>The export requests of a folder as (signal, JSON): <c>traces</c>, <c>logs</c>, <c>metrics</c>.</summary>
    public static IEnumerable<(string Signal, string Line)> Requests(string folder)
    {
        foreach (var signal in (string[])["traces", "logs", "metrics"])
        {
            var path = Path.Combine(folder, signal + ".jsonl.gz");
            if (!File.Exists(path))
            {
                continue;
            }

            using var reader = new StreamReader(new GZipStream(File.OpenRead(path), CompressionMode.Decompress));
            while (reader.ReadLine() is { } line)
            {
                if (line.Length > 0)
                {
                    yield return (signal, line);
                }
            }
        }
    }

    /// <summary>The same with only the spans and logs in [from, to), metrics up to the end.</summary>
    public static IEnumerable<(string Signal, string Line)> Requests(string folder, long from, long to)
    {
        foreach (var (signal, line) in Requests(folder))
        {
            var request = JsonNode.Parse(line)!;
            foreach (var scope in Arrays(request).SelectMany(Arrays))
            {
                foreach (var (name, field, lower) in new[] { ("spans", "startTimeUnixNano", from), ("logRecords", "timeUnixNano", from) })
                {
                    (scope[name] as JsonArray)?.RemoveAll(record => Nanos(record, field) is var time && (time < lower || time >= to));
                }

                foreach (var metric in scope["metrics"] as JsonArray ?? [])
                {
                    foreach (var kind in s_metricKinds)
                    {
                        (metric?[kind]?["dataPoints"] as JsonArray)?.RemoveAll(point => Nanos(point, "timeUnixNano") >= to);
                    }
                }
            }

            yield return (signal, request.ToJsonString());
        }
    }

    /// <summary>The objects in the arrays of an object: the resources of a request, the scopes of a resource.</summary>
    private static IEnumerable<JsonObject> Arrays(JsonNode? owner) =>
        (owner as JsonObject ?? []).Select(static pair => pair.Value).OfType<JsonArray>()
            .SelectMany(static list => list.OfType<JsonObject>());

    private static long Nanos(JsonNode? record, string field) =>
        long.TryParse(record?[field]?.ToString(), NumberStyles.Integer, CultureInfo.InvariantCulture, out var nanos) ? nanos : 0;

    public void Add(string exportRequest)
    {
        using var document = JsonDocument.Parse(exportRequest);
        foreach (var group in document.RootElement.EnumerateObject())
        {
            foreach (var resource in group.Value.EnumerateArray())
            {
                var about = resource.TryGetProperty("resource", out var described) ? Attributes(described) : [];
                var service = about.GetValueOrDefault("service.name") as string ?? "unknown";
                var instance = about.GetValueOrDefault("k8s.pod.name") as string
                    ?? about.GetValueOrDefault("service.instance.id") as string;
                Scopes(resource, "scopeSpans", "spans", span => _spans.Add(Span(span, service, instance)));
                Scopes(resource, "scopeLogs", "logRecords", log => _logs.Add(Log(log, service, instance)));
                Scopes(resource, "scopeMetrics", "metrics", metric => _series.AddRange(Series(metric, service, instance)));
            }
        }
    }

    public TelemetryWindow ToWindow(string project)
    {
        _spans.Sort(static (a, b) => a.StartNanos.CompareTo(b.StartNanos));
        _logs.Sort(static (a, b) => a.TimeNanos.CompareTo(b.TimeNanos));
        var times = _spans.Select(static span => span.StartNanos).Concat(_logs.Select(static log => log.TimeNanos)).ToList();
        if (times.Count == 0)
        {
            times = [.. _series.SelectMany(static series => series.Points).Select(static point => point.TimeNanos).DefaultIfEmpty(0)];
        }

        var (start, end) = (times.Min(), times.Max() + 1);
        return new(project, start, end, [.. _spans],
            [.. _logs.Select(static (log, index) => log with { RecordId = index + 1 })], [.. _series], []);
    }

    private static void Scopes(JsonElement resource, string scopes, string records, Action<JsonElement> read)
    {
        if (!resource.TryGetProperty(scopes, out var list))
        {
            return;
        }

        foreach (var scope in list.EnumerateArray())
        {
            if (scope.TryGetProperty(records, out var found) && found.ValueKind == JsonValueKind.Array)
            {
                foreach (var record in found.EnumerateArray())
                {
                    read(record);
                }
            }
        }
    }

    private static SpanRecord Span(JsonElement span, string service, string? instance)
    {
        var status = span.TryGetProperty("status", out var given) ? given : default;
        return new(
            Text(span, "traceId")!, Text(span, "spanId")!, Text(span, "parentSpanId") is { Length: > 0 } parent ? parent : null, service,
            instance, Text(span, "name") ?? "",
            Enumerated(span, "kind", s_spanKinds) ?? 1,
            status.ValueKind == JsonValueKind.Object ? Enumerated(status, "code", s_statusCodes) ?? 0 : 0,
            status.ValueKind == JsonValueKind.Object ? Text(status, "message") : null,
            Nanos(span, "startTimeUnixNano"), Nanos(span, "endTimeUnixNano"), Attributes(span),
            span.TryGetProperty("events", out var events)
                ? [.. events.EnumerateArray()
                    .Select(static happened =>
                        new SpanEventRecord(Text(happened, "name") ?? "", Nanos(happened, "timeUnixNano"), Attributes(happened)))]
                : []);
    }

    private static LogRecord Log(JsonElement log, string service, string? instance)
    {
        var attributes = Attributes(log);
        return new(
            0, Nanos(log, "timeUnixNano"), service, instance,
            log.TryGetProperty("severityNumber", out var severity) ? severity.GetInt32() : 0, Text(log, "severityText"),
            log.TryGetProperty("body", out var body) ? Value(body) as string ?? "" : "", Text(log, "traceId"), Text(log, "spanId"),
            Text(log, "eventName") ?? attributes.GetValueOrDefault("event.name") as string, attributes);
    }

    private static IEnumerable<MetricSeries> Series(JsonElement metric, string service, string? instance)
    {
        var name = Text(metric, "name") ?? "";
        var type = Array.FindIndex(s_metricKinds, kind => metric.TryGetProperty(kind, out _)) + 1;
        if (type == 0 || !metric.GetProperty(s_metricKinds[type - 1]).TryGetProperty("dataPoints", out var points))
        {
            return [];
        }

        return points.EnumerateArray()
            .Select(static point => (Attributes: Attributes(point), Time: Nanos(point, "timeUnixNano"),
                Value: Value(point, "asDouble") ?? Value(point, "asInt") ?? Mean(point)))
            .Where(static point => point.Value is { } value && double.IsFinite(value))
            .GroupBy(static point => string.Join(',', point.Attributes.Select(static pair => $"{pair.Key}={pair.Value}")),
                StringComparer.Ordinal)
            .Select(group => new MetricSeries(
                HashCode.Combine(name, service, instance, group.Key), name, Text(metric, "unit"), type, service,
                instance, group.First().Attributes,
                [.. group.Select(static point => new MetricPoint(point.Time, point.Value!.Value))
                    .OrderBy(static point => point.TimeNanos)]));
    }

    /// <summary>In the order of <see cref="MetricSeries.Type"/>, which counts from 1.</summary>
    private static readonly string[] s_metricKinds = ["gauge", "sum", "histogram", "exponentialHistogram", "summary"];

    private static readonly string[] s_spanKinds =
        ["SPAN_KIND_UNSPECIFIED", "SPAN_KIND_INTERNAL", "SPAN_KIND_SERVER", "SPAN_KIND_CLIENT", "SPAN_KIND_PRODUCER", "SPAN_KIND_CONSUMER"];

    private static readonly string[] s_statusCodes = ["STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"];

    /// <summary>An enum's number, which may be written as a name; null when it is not there.</summary>
    private static int? Enumerated(JsonElement owner, string field, string[] names) =>
        !owner.TryGetProperty(field, out var value) ? null
        : value.ValueKind == JsonValueKind.Number ? value.GetInt32()
        : Array.IndexOf(names, value.ToString()) is >= 0 and var number ? number : null;

    /// <summary>A number, which may be written as text (64-bit integers, NaN); null when it is not there.</summary>
    private static double? Value(JsonElement point, string field) =>
        point.TryGetProperty(field, out var value)
            && double.TryParse(value.ToString(), NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    private static double? Mean(JsonElement point) => Value(point, "count") is > 0 and var count ? Value(point, "sum") / count : null;

    private static string? Text(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long Nanos(JsonElement element, string name) =>
        element.TryGetProperty(name, out var value)
            && long.TryParse(value.ToString(), NumberStyles.Integer, CultureInfo.InvariantCulture, out var nanos) ? nanos : 0;

    private static Dictionary<string, object> Attributes(JsonElement owner)
    {
        var attributes = new Dictionary<string, object>(StringComparer.Ordinal);
        if (owner.TryGetProperty("attributes", out var list))
        {
            foreach (var pair in list.EnumerateArray())
            {
                attributes[Text(pair, "key") ?? ""] = pair.TryGetProperty("value", out var value) ? Value(value) : "";
            }
        }

        return attributes;
    }

    private static object Value(JsonElement any)
    {
        foreach (var value in any.EnumerateObject())
        {
            return value.Name switch
            {
                "stringValue" => value.Value.GetString()!,
                "boolValue" => value.Value.GetBoolean(),
                "intValue" => long.Parse(value.Value.ToString(), CultureInfo.InvariantCulture),
                "doubleValue" => value.Value.GetDouble(),
                _ => value.Value.GetRawText(),
            };
        }

        return "";
    }
}
