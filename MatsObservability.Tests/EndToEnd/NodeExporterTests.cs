using System.Diagnostics;
using System.Globalization;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.Json.Nodes;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.EndToEnd;

/// <summary>
/// The published OpenTelemetry exporters for Node, unmodified, against the real service; every value is read back and compared with what
/// was sent.
/// </summary>
[Trait("Req", "B002")]
public sealed class NodeExporterTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly string[] s_spanFields =
        ["trace_id", "span_id", "parent_id", "name", "kind", "start_ns", "end_ns", "status", "status_message",
            "events", "links", "attributes"];

    private static readonly string[] s_logFields = ["time_ns", "severity", "severity_text", "body", "trace_id", "span_id", "attributes"];

    [NodeTheory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    [InlineData("http/json")]
    public async Task Export_AllSignals_ComesBackAsSent(string protocol)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var project = "node-" + protocol.Replace('/', '-');

        var sent = await RunClientAsync(protocol, protocol == "grpc" ? server.GrpcUrl : server.OtlpHttpUrl, project);
        var stored = await ExportAsync(server, project);

        Assert.Equal(Comparable(sent["spans"]!.AsArray(), s_spanFields), Comparable(Records(stored, "span"), s_spanFields));
        Assert.Equal(Comparable(sent["logs"]!.AsArray(), s_logFields), Comparable(Records(stored, "log"), s_logFields));
        Assert.Equal(Values(sent["values"]!.AsObject()), StoredValues(stored));
        Assert.Equal("node-client", (string?)Assert.Single(Records(stored, "resource"))!["service"]);
    }

    [NodeTheory]
    [InlineData("grpc")]
    [InlineData("http/protobuf")]
    [Trait("Req", "B042")]
    public async Task Export_WithAnApiKeyInTheHeaders_IsStored(string protocol)
    {
        await using var server = await PhoenixServer.StartAsync(postgres, SecuredServer.Settings);
        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", SecuredServer.AdminSecret);
        using var made = await server.Client.PostAsJsonAsync("/v1/system/api_keys", new { data = new { name = "node" } });
        var key = (await SecuredServer.DataAsync(made)).GetProperty("key").GetString();

        var sent = await RunClientAsync(protocol, protocol == "grpc" ? server.GrpcUrl : server.OtlpHttpUrl,
            "node-key", $"authorization=Bearer%20{key}");

        Assert.Equal(sent["spans"]!.AsArray().Count, Records(await ExportAsync(server, "node-key"), "span").Count);
    }

    private static async Task<JsonNode> RunClientAsync(string protocol, string endpoint, string project, string? headers = null)
    {
        var start = new ProcessStartInfo("node")
        {
            WorkingDirectory = NodeClients.Folder,
        };
        if (headers is not null)
        {
            start.Environment["OTEL_EXPORTER_OTLP_HEADERS"] = headers;
        }

        foreach (var argument in new[] { "export.mjs", protocol, endpoint, project })
        {
            start.ArgumentList.Add(argument);
        }

        var (exitCode, output, errors) = await EndingProcess.RunAsync(start);

        Assert.True(exitCode == 0, errors);
        Assert.Equal("", errors);
        return JsonNode.Parse(output)!;
    }

    private static async Task<JsonObject[]> ExportAsync(PhoenixServer server, string project)
    {
        var lines = await server.Client.GetStringAsync($"/v1/projects/{project}/export");
        var records = lines.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject()).ToArray();
        Assert.True(records[^1].ContainsKey("end"), "the export was cut short");
        return records;
    }

    private static JsonArray Records(JsonObject[] export, string kind) =>
        [.. export.Where(line => line.ContainsKey(kind)).Select(line => line[kind]!.DeepClone())];

    /// <summary>
    /// The fields of both sides in one form: numbers as text (nanoseconds do not fit a JavaScript number), objects with sorted keys, no
    /// empty fields.
    /// </summary>
    private static string Comparable(JsonArray records, string[] fields) => string.Join(
        "\n\n", records.Select(record => string.Join("\n", fields.Select(field => $"{field}={Text(record![field])}")))
            .Order(StringComparer.Ordinal));

    private static string Text(JsonNode? node) => node switch
    {
        null => "",
        JsonObject members => "{" + string.Join(",", members.Where(member => Text(member.Value) is not ("" or "{}" or "[]"))
            .OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => $"{member.Key}:{Text(member.Value)}")) + "}",
        JsonArray items => "[" + string.Join(",", items.Select(Text)) + "]",
        JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>(),
        var value => value.ToJsonString(),
    };

    private static SortedDictionary<string, double> Values(JsonObject values) =>
        new(values.ToDictionary(value => value.Key, value => (double)value.Value!), StringComparer.Ordinal);

    private static SortedDictionary<string, double> StoredValues(JsonObject[] export)
    {
        var names = Records(export, "series").ToDictionary(series => (string)series!["series_id"]!, series => (string)series!["name"]!);
        var values = Records(export, "points").Select(points =>
            (Name: names[(string)points!["series_id"]!],
                Value: Convert.ToDouble(points["values"]!.AsArray()[^1]![1]!.ToJsonString(), CultureInfo.InvariantCulture)));
        return new SortedDictionary<string, double>(values.ToDictionary(point => point.Name, point => point.Value), StringComparer.Ordinal);
    }
}

/// <summary>The Node project with the published exporters.</summary>
internal static class NodeClients
{
    public static string Folder { get; } = Find();

    /// <summary>Why the exporters cannot be run here; null when they can.</summary>
    public static string? Missing { get; } =
        Directory.Exists(Path.Combine(Folder, "node_modules", "@opentelemetry"))
            && Directory.Exists(Path.Combine(Folder, "node_modules", "@modelcontextprotocol"))
            ? null
            : "The Node packages are not installed: run 'npm ci' in MatsObservability.Tests/EndToEnd/Clients (eng/test.sh does).";

    private static string Find()
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (root is not null && !File.Exists(Path.Combine(root.FullName, "MatsObservability.sln")))
        {
            root = root.Parent;
        }

        return Path.Combine(root?.FullName ?? AppContext.BaseDirectory, "MatsObservability.Tests", "EndToEnd", "Clients");
    }
}

/// <summary>A theory that needs the Node exporters, and is skipped with the reason where they are missing.</summary>
internal sealed class NodeTheoryAttribute : TheoryAttribute
{
    public NodeTheoryAttribute() => Skip = NodeClients.Missing;
}
