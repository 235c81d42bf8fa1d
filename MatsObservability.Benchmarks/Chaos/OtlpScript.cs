using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;

namespace MatsObservability.Benchmarks.Chaos;

/// <summary>Where generated telemetry comes from.</summary>
internal sealed record Source(string Service, string Instance, string Region);

/// <summary>
/// Collects spans, logs and gauges and writes them as OTLP/JSON export requests. Ids come from a counter and a seed: the same script gives
/// the same bytes.
/// </summary>
internal sealed class OtlpScript(string seed)
{
    private readonly Dictionary<Source, (JsonArray Spans, JsonArray Logs, Dictionary<(string, string), JsonArray> Gauges)> _sources = [];
    private long _ids;

    public string NewTraceId() => Id(16);

    /// <summary>Adds a span and returns its id.</summary>
    public string Span(
        Source source, string traceId, string? parentId, string name, int kind, DateTimeOffset start,
        double durationMs, string? error = null,
        params ReadOnlySpan<(string Key, object Value)> attributes)
    {
        var id = Id(8);
        var span = new JsonObject
        {
            ["traceId"] = traceId,
            ["spanId"] = id,
            ["name"] = name,
            ["kind"] = kind,
            ["startTimeUnixNano"] = Nanos(start),
            ["endTimeUnixNano"] = Nanos(start.AddTicks((long)(durationMs * TimeSpan.TicksPerMillisecond))),
            ["attributes"] = Attributes(attributes),
        };
        if (parentId is not null)
        {
            span["parentSpanId"] = parentId;
        }

        if (error is not null)
        {
            span["status"] = new JsonObject { ["code"] = 2, ["message"] = error };
        }

        Of(source).Spans.Add((JsonNode)span);
        return id;
    }

    public void Log(
        Source source, DateTimeOffset time, string severity, string body, string? traceId = null, string? spanId = null,
        params ReadOnlySpan<(string Key, object Value)> attributes)
    {
        var log = new JsonObject
        {
            ["timeUnixNano"] = Nanos(time),
            ["severityText"] = severity,
            ["severityNumber"] = severity switch { "INFO" => 9, "WARN" => 13, _ => 17 },
            ["body"] = new JsonObject { ["stringValue"] = body },
            ["attributes"] = Attributes(attributes),
        };
        if (traceId is not null)
        {
            log["traceId"] = traceId;
            log["spanId"] = spanId;
        }

        Of(source).Logs.Add((JsonNode)log);
    }

    /// <summary>Records that somebody changed something: a change event.</summary>
    public void Change(Source source, DateTimeOffset time, string type, string target, string field, string before, string after) => Log(
        source, time, "INFO", $"{type} {target} {field}: {before} -> {after}", null, null,
        ("event.name", "change"), ("change.id", $"chg-{Id(4)}"), ("change.type", type), ("change.target", target),
        ("change.field", field), ("change.before", before),
        ("change.after", after), ("change.actor", "operator@example.com"));

    public void Gauge(Source source, DateTimeOffset time, string name, string unit, double value)
    {
        var gauges = Of(source).Gauges;
        if (!gauges.TryGetValue((name, unit), out var points))
        {
            gauges[(name, unit)] = points = [];
        }

        points.Add((JsonNode)new JsonObject { ["timeUnixNano"] = Nanos(time), ["asDouble"] = value });
    }

    /// <summary>One request per source and signal.</summary>
    public IEnumerable<(string Signal, string Line)> Requests()
    {
        foreach (var (source, (spans, logs, gauges)) in _sources)
        {
            if (spans.Count > 0)
            {
                yield return ("traces", Request("resourceSpans", "scopeSpans", "spans", source, (JsonArray)spans.DeepClone()));
            }

            if (logs.Count > 0)
            {
                yield return ("logs", Request("resourceLogs", "scopeLogs", "logRecords", source, (JsonArray)logs.DeepClone()));
            }

            if (gauges.Count > 0)
            {
                var metrics = new JsonArray([.. gauges.Select(static gauge => new JsonObject
                {
                    ["name"] = gauge.Key.Item1,
                    ["unit"] = gauge.Key.Item2,
                    ["gauge"] = new JsonObject { ["dataPoints"] = gauge.Value.DeepClone() },
                })]);
                yield return ("metrics", Request("resourceMetrics", "scopeMetrics", "metrics", source, metrics));
            }
        }
    }

    private static string Request(string root, string scopes, string records, Source source, JsonArray list) => new JsonObject
    {
        [root] = new JsonArray(new JsonObject
        {
            ["resource"] = new JsonObject
            {
                ["attributes"] = Attributes(("service.name", source.Service), ("service.instance.id", source.Instance),
                    ("cloud.region", source.Region)),
            },
            [scopes] = new JsonArray(new JsonObject { ["scope"] = new JsonObject { ["name"] = "generated" }, [records] = list }),
        }),
    }.ToJsonString();

    private (JsonArray Spans, JsonArray Logs, Dictionary<(string, string), JsonArray> Gauges) Of(Source source)
    {
        if (!_sources.TryGetValue(source, out var found))
        {
            _sources[source] = found = ([], [], []);
        }

        return found;
    }

    private string Id(int bytes) =>
        Convert.ToHexStringLower(
            SHA256.HashData(Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{seed}/{_ids++}")))[..bytes]);

    private static string Nanos(DateTimeOffset time) => Rca.RcaCases.Nanos(time).ToString(CultureInfo.InvariantCulture);

    private static JsonArray Attributes(params ReadOnlySpan<(string Key, object Value)> attributes)
    {
        var list = new JsonArray();
        foreach (var (key, value) in attributes)
        {
            list.Add((JsonNode)new JsonObject
            {
                ["key"] = key,
                ["value"] = value switch
                {
                    int number => new JsonObject { ["intValue"] = number.ToString(CultureInfo.InvariantCulture) },
                    double real => new JsonObject { ["doubleValue"] = real },
                    bool flag => new JsonObject { ["boolValue"] = flag },
                    _ => new JsonObject { ["stringValue"] = value.ToString() },
                },
            });
        }

        return list;
    }
}
