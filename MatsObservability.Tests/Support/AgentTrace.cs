using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace MatsObservability.Tests.Support;

/// <summary>
/// Builds traces of an agent as a person would see them (OpenInference attributes) and posts them as OTLP/JSON. Times start at
/// <paramref name="startNanos"/>; a span's own are given in milliseconds after it.
/// </summary>
internal sealed class AgentTrace(string project, string service, ulong startNanos)
{
    private const ulong NanosPerMillisecond = 1_000_000;
    private readonly JsonArray _spans = [];
    private readonly JsonArray _logs = [];
    private int _next;

    /// <summary>32 hex digits.</summary>
    public string TraceId { get; } = Guid.NewGuid().ToString("N");

    /// <summary>Adds a span and gives its id. A non-null <paramref name="error"/> makes it one in error with an exception event.</summary>
    public string Add(
        string name, string? kind, string? parent, ulong offsetMilliseconds, ulong milliseconds, string? error = null,
        params (string Key, object Value)[] attributes)
    {
        var id = (++_next).ToString("x16");
        var start = startNanos + offsetMilliseconds * NanosPerMillisecond;
        var end = start + milliseconds * NanosPerMillisecond;
        var span = new JsonObject
        {
            ["traceId"] = TraceId,
            ["spanId"] = id,
            ["name"] = name,
            ["kind"] = 1,
            ["startTimeUnixNano"] = $"{start}",
            ["endTimeUnixNano"] = $"{end}",
            ["attributes"] = Attributes(kind is null ? attributes : [("openinference.span.kind", kind), .. attributes]),
            ["status"] = error is null ? new JsonObject { ["code"] = 1 } : new JsonObject { ["code"] = 2, ["message"] = error },
        };
        if (parent is not null)
        {
            span["parentSpanId"] = parent;
        }

        if (error is not null)
        {
            span["events"] = new JsonArray(new JsonObject
            {
                ["timeUnixNano"] = $"{end}",
                ["name"] = "exception",
                ["attributes"] = Attributes(
                    [("exception.type", "System.TimeoutException"), ("exception.message", error),
                        ("exception.stacktrace", "   at Shop.Db.OpenAsync() in Db.cs:line 12")]),
            });
        }

        _spans.Add((JsonNode)span);
        return id;
    }

    /// <summary>Adds a span under an id that another one has already, with a start of its own.</summary>
    public void AddAgain(string name, string id, ulong offsetMilliseconds, params (string Key, object Value)[] attributes)
    {
        Add(name, "LLM", null, offsetMilliseconds, 1, null, attributes);
        _spans[^1]!["spanId"] = id;
    }

    /// <summary>Adds a log record of a span.</summary>
    public void Log(string spanId, string body) => _logs.Add((JsonNode)new JsonObject
    {
        ["timeUnixNano"] = $"{startNanos}",
        ["severityNumber"] = 17,
        ["severityText"] = "ERROR",
        ["body"] = new JsonObject { ["stringValue"] = body },
        ["traceId"] = TraceId,
        ["spanId"] = spanId,
    });

    /// <summary>Posts spans and logs; stored when it returns.</summary>
    public async Task PostAsync(HttpClient client)
    {
        await PostAsync(client, "/v1/traces", "resourceSpans", "scopeSpans", "spans", _spans);
        if (_logs.Count > 0)
        {
            await PostAsync(client, "/v1/logs", "resourceLogs", "scopeLogs", "logRecords", _logs);
        }
    }

    private async Task PostAsync(HttpClient client, string path, string resources, string scopes, string items, JsonArray records)
    {
        var body = new JsonObject
        {
            [resources] = new JsonArray(new JsonObject
            {
                ["resource"] = new JsonObject
                {
                    ["attributes"] = Attributes([("service.name", service), ("openinference.project.name", project)]),
                },
                [scopes] = new JsonArray(
                    new JsonObject { ["scope"] = new JsonObject { ["name"] = "tests" }, [items] = records.DeepClone() }),
            }),
        };
        using var response = await client.PostAsJsonAsync(path, body);
        response.EnsureSuccessStatusCode();
    }

    private static JsonArray Attributes(IEnumerable<(string Key, object Value)> attributes) =>
    [
        .. attributes.Select(attribute => (JsonNode)new JsonObject
        {
            ["key"] = attribute.Key,
            ["value"] = attribute.Value is string text
                ? new JsonObject { ["stringValue"] = text }
                : new JsonObject { ["intValue"] = JsonSerializer.Serialize(attribute.Value) },
        }),
    ];
}
