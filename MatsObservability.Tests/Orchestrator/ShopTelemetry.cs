using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>
/// Telemetry of a small shop, sent as OTLP/JSON: <c>front</c> calls <c>orders</c>, which calls its database; healthy, then broken by a
/// wrong setting.
/// </summary>
internal static class ShopTelemetry
{
    public static readonly DateTimeOffset Baseline = new(2026, 11, 20, 10, 0, 0, TimeSpan.Zero);
    public static readonly DateTimeOffset Incident = Baseline + TimeSpan.FromMinutes(15);
    public const int Minutes = 10;

    /// <summary>
    /// Sends ten healthy minutes and, five minutes after them, ten minutes in which every order fails on name resolution.
    /// </summary>
    public static async Task SendAsync(PhoenixServer phoenix, string project, string? injected = null)
    {
        await PostAsync(phoenix, "/v1/traces", Spans(project, Baseline, broken: false, injected: null));
        await PostAsync(phoenix, "/v1/logs", Logs(project, Baseline, broken: false, injected: null));
        await PostAsync(phoenix, "/v1/traces", Spans(project, Incident, broken: true, injected));
        await PostAsync(phoenix, "/v1/logs", Logs(project, Incident, broken: true, injected));
    }

    /// <summary>Sends the record of a change that somebody made.</summary>
    public static Task ChangeAsync(
        PhoenixServer phoenix, string project, DateTimeOffset at, string type, string target, string field, string before, string after)
    {
        var record = new JsonObject
        {
            ["timeUnixNano"] = Nanos(at),
            ["severityNumber"] = 9,
            ["body"] = new JsonObject { ["stringValue"] = $"{type} of {target}: {field} from {before} to {after}" },
            ["attributes"] = new JsonArray(
                Attribute("event.name", "change"), Attribute("change.id", $"chg-{field}"), Attribute("change.type", type),
                Attribute("change.target", target),
                Attribute("change.field", field), Attribute("change.before", before), Attribute("change.after", after)),
        };
        return PostAsync(phoenix, "/v1/logs", new()
        {
            ["resourceLogs"] = new JsonArray(new JsonObject
            {
                ["resource"] = Resource(project, "control-plane"),
                ["scopeLogs"] = new JsonArray(
                    new JsonObject { ["scope"] = new JsonObject { ["name"] = "changes" }, ["logRecords"] = new JsonArray(record) }),
            }),
        });
    }

    /// <summary>The request body that asks about the incident.</summary>
    public static object Request(string project) => new
    {
        user_request = "Users report failures or slowness",
        project,
        start_time = Iso(Incident),
        end_time = Iso(Incident + TimeSpan.FromMinutes(Minutes)),
    };

    public static string Iso(DateTimeOffset time) => time.ToString("yyyy-MM-ddTHH:mm:ssZ", CultureInfo.InvariantCulture);

    internal static async Task PostAsync(PhoenixServer phoenix, string path, JsonObject body)
    {
        using var content = new StringContent(body.ToJsonString(), Encoding.UTF8, "application/json");
        using var response = await phoenix.Client.PostAsync(path, content);
        Assert.True(
            response.StatusCode == HttpStatusCode.OK, $"{path}: {(int)response.StatusCode} {await response.Content.ReadAsStringAsync()}");
    }

    private static JsonObject Spans(string project, DateTimeOffset start, bool broken, string? injected)
    {
        var front = new JsonArray();
        var orders = new JsonArray();
        for (var i = 0; i < Minutes * 12; i++)
        {
            var at = start + TimeSpan.FromSeconds(5 * i);
            var trace = Id(start, i, 32);
            front.Add(Span(trace, Id(start, i, 16, "a"), null, "GET /checkout", 2, at, broken ? 45 : 60, broken, null));
            orders.Add(
                Span(trace, Id(start, i, 16, "b"), Id(start, i, 16, "a"), "POST /orders", 2, at.AddMilliseconds(5),
                    broken ? 35 : 50, broken, injected));
            orders.Add(
                Span(trace, Id(start, i, 16, "c"), Id(start, i, 16, "b"), "SELECT orders", 3, at.AddMilliseconds(10),
                    broken ? 20 : 30, broken, null));
        }

        return new()
        {
            ["resourceSpans"] = new JsonArray(
                new JsonObject
                {
                    ["resource"] = Resource(project, "front"),
                    ["scopeSpans"] = new JsonArray(new JsonObject { ["scope"] = new JsonObject { ["name"] = "shop" }, ["spans"] = front }),
                },
                new JsonObject
                {
                    ["resource"] = Resource(project, "orders"),
                    ["scopeSpans"] = new JsonArray(new JsonObject { ["scope"] = new JsonObject { ["name"] = "shop" }, ["spans"] = orders }),
                }),
        };
    }

    private static JsonObject Logs(string project, DateTimeOffset start, bool broken, string? injected)
    {
        var records = new JsonArray();
        for (var i = 0; i < Minutes * 12; i++)
        {
            var body = broken
                ? "OrderStore#42 could not connect to invalid_host:5432: name resolution failed"
                : "OrderStore#58 order stored";
            records.Add(
                Log(start + TimeSpan.FromSeconds(5 * i) + TimeSpan.FromMilliseconds(15), broken ? 17 : 9, body,
                    Id(start, i, 32), Id(start, i, 16, "b")));
            if (broken && injected is not null && i % 10 == 0)
            {
                records.Add(
                    Log(start + TimeSpan.FromSeconds(5 * i) + TimeSpan.FromMilliseconds(16), 13, injected,
                        Id(start, i, 32), Id(start, i, 16, "b")));
            }
        }

        return new()
        {
            ["resourceLogs"] = new JsonArray(new JsonObject
            {
                ["resource"] = Resource(project, "orders"),
                ["scopeLogs"] = new JsonArray(
                    new JsonObject { ["scope"] = new JsonObject { ["name"] = "OrderStore" }, ["logRecords"] = records }),
            }),
        };
    }

    internal static JsonObject Span(
        string trace, string span, string? parent, string name, int kind, DateTimeOffset at, int milliseconds, bool failed, string? note)
    {
        var result = new JsonObject
        {
            ["traceId"] = trace,
            ["spanId"] = span,
            ["name"] = name,
            ["kind"] = kind,
            ["startTimeUnixNano"] = Nanos(at),
            ["endTimeUnixNano"] = Nanos(at.AddMilliseconds(milliseconds)),
            ["status"] = failed ? new JsonObject { ["code"] = 2, ["message"] = "name resolution failed: invalid_host" } : new JsonObject(),
        };
        if (parent is not null)
        {
            result["parentSpanId"] = parent;
        }

        if (note is not null)
        {
            result["attributes"] = new JsonArray(Attribute("note", note));
        }

        return result;
    }

    private static JsonObject Log(DateTimeOffset at, int severity, string body, string trace, string span) => new()
    {
        ["timeUnixNano"] = Nanos(at),
        ["severityNumber"] = severity,
        ["body"] = new JsonObject { ["stringValue"] = body },
        ["traceId"] = trace,
        ["spanId"] = span,
    };

    internal static JsonObject Resource(string project, string service) => new()
    {
        ["attributes"] = new JsonArray(
            Attribute("service.name", service), Attribute("openinference.project.name", project),
            Attribute("service.instance.id", $"{service}-1")),
    };

    internal static JsonObject Attribute(string key, string value) =>
        new() { ["key"] = key, ["value"] = new JsonObject { ["stringValue"] = value } };

    internal static string Nanos(DateTimeOffset time) => ((time - DateTimeOffset.UnixEpoch).Ticks * 100).ToString(
        CultureInfo.InvariantCulture);

    internal static string Id(DateTimeOffset start, int i, int length, string prefix = "f") =>
        prefix + (start.ToUnixTimeSeconds() * 1000 + i).ToString("x", CultureInfo.InvariantCulture).PadLeft(length - prefix.Length, '0');
}
