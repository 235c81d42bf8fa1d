using System.Diagnostics;
using System.Net;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Logging;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;
using LogRecord = OpenTelemetry.Proto.Logs.V1.LogRecord;

namespace MatsObservability.Tests.Phoenix.Query;

/// <summary>
/// GenAI events that come as log records are the messages of their span, in queries and on pages (semantic conventions 2.5).
/// </summary>
[Trait("Req", "B002")]
public sealed class LoggedEventTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Theory]
    [InlineData(OtlpExportProtocol.Grpc, true)]
    [InlineData(OtlpExportProtocol.Grpc, false)]
    [InlineData(OtlpExportProtocol.HttpProtobuf, true)]
    [InlineData(OtlpExportProtocol.HttpProtobuf, false)]
    public async Task Export_EventsAsLogsBeforeOrAfterTheirSpan_AreItsMessages(OtlpExportProtocol protocol, bool logsFirst)
    {
        var project = $"events-{protocol}-{logsFirst}";
        Uri Endpoint(string signal) =>
            new(protocol == OtlpExportProtocol.Grpc ? server.Server.GrpcUrl : $"{server.Server.OtlpHttpUrl}/v1/{signal}");
        void Otlp(OtlpExporterOptions options, string signal) => (options.Endpoint, options.Protocol) = (Endpoint(signal), protocol);
        var resource = ResourceBuilder.CreateEmpty().AddService("assistant").AddAttributes([new("openinference.project.name", project)]);
        using var source = new ActivitySource(project);
        using var tracing = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(project)
            .AddOtlpExporter(options => Otlp(options, "traces")).Build();
        var logging = LoggerFactory.Create(builder => builder.AddOpenTelemetry(logs =>
        {
            logs.IncludeFormattedMessage = true;
            logs.SetResourceBuilder(resource).AddOtlpExporter(options => Otlp(options, "logs"));
        }));
        Activity span;
        using (span = source.StartActivity("chat gpt-4o", ActivityKind.Client)!)
        {
            span.SetTag("gen_ai.operation.name", "chat").SetTag("gen_ai.request.model", "gpt-4o").SetTag("gen_ai.response.id", "r-1");
            var logger = logging.CreateLogger(project);
            Tell(logger, "gen_ai.system.message", """{"role":"system","content":"Be brief."}""");
            Tell(logger, "gen_ai.user.message", """{"content":"Where is order 7?"}""");
            Tell(logger, "gen_ai.choice",
                """{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":"I will look.","tool_calls":[{"id":"c1","type":"function","function":{"name":"find_order","arguments":"{\"id\":7}"}}]}}""");
            if (logsFirst)
            {
                logging.Dispose();
                Assert.Equal(3L, await CountLogsAsync(span));
            }
        }

        Assert.True(tracing.ForceFlush(10_000));
        if (!logsFirst)
        {
            Assert.Single(await SpansAsync(project));
            logging.Dispose();
            Assert.Equal(3L, await CountLogsAsync(span));
        }

        var attributes = Assert.Single(await SpansAsync(project)).GetProperty("attributes");
        Assert.Equal("Be brief.", Text(attributes, "llm.input_messages.0.message.content"));
        Assert.Equal(("user", "Where is order 7?"),
            (Text(attributes, "llm.input_messages.1.message.role"), Text(attributes, "llm.input_messages.1.message.content")));
        Assert.Equal("I will look.", Text(attributes, "llm.output_messages.0.message.content"));
        Assert.Equal("find_order", Text(attributes, "llm.output_messages.0.message.tool_calls.0.tool_call.function.name"));
        Assert.Equal("Where is order 7?", Text(attributes, "input.value"));
        Assert.Equal("I will look.", Text(attributes, "output.value"));
        Assert.Equal("tool_calls", Text(attributes, "llm.finish_reason"));
        var page = await Eventually.GetAsync(() => server.Client.GetStringAsync($"/projects/{project}/traces"),
            html => html.Contains(span.TraceId.ToHexString(), StringComparison.Ordinal));
        Assert.Contains("Where is order 7?", page, StringComparison.Ordinal);
        Assert.Contains("I will look.", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_DetailsEventWithNativeLists_GivesMessagesInstructionsAndTools()
    {
        await server.SendAsync("details",
            TestSpan.Of(71, 711, name: "chat", attributes: [("gen_ai.operation.name", "chat"), ("gen_ai.request.model", "gpt-4o")]));
        await LogAsync("details", 71, 711, Record("gen_ai.client.inference.operation.details", null,
            ("gen_ai.system_instructions", Parts("Be brief.")),
            ("gen_ai.input.messages", Messages("user", "Hello?")),
            ("gen_ai.output.messages", Messages("assistant", "Hello!")),
            ("gen_ai.tool.definitions",
                new object[] { new Dictionary<string, object> { ["type"] = "function", ["name"] = "find_order" } })));

        var attributes = Assert.Single(await SpansAsync("details")).GetProperty("attributes");

        Assert.Equal("Be brief.", Text(attributes, "llm.input_messages.0.message.content"));
        Assert.Equal("Hello?", Text(attributes, "llm.input_messages.1.message.content"));
        Assert.Equal("Hello!", Text(attributes, "llm.output_messages.0.message.content"));
        Assert.Contains("find_order", attributes.GetRawText(), StringComparison.Ordinal);
        Assert.Equal("Hello!", Text(attributes, "output.value"));
    }

    [Fact]
    public async Task Read_EventNameAsAttributeAndPlainTextBody_IsTheMessage()
    {
        await server.SendAsync("plain", TestSpan.Of(72, 721, kind: "LLM"), TestSpan.Of(72, 722, parent: 721, kind: "TOOL"));
        await LogAsync("plain", 72, 721, Record(null, TestSpan.Any("Hello?"), ("event.name", "gen_ai.user.message")),
            Record("an.other.event", TestSpan.Any("not this")));
        await LogAsync("plain", 72, 722, Record("gen_ai.user.message", TestSpan.Any("not a model's")));

        var spans = await SpansAsync("plain");

        Assert.Equal("Hello?", Text(spans.Single(span => Text(span, "span_kind") == "LLM").GetProperty("attributes"), "input.value"));
        Assert.DoesNotContain("not ", JsonSerializer.Serialize(spans), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Read_SpanWithItsOwnMessages_KeepsThem()
    {
        await server.SendAsync("own", TestSpan.Of(73, 731, kind: "LLM", attributes: [
            ("llm.input_messages.0.message.role", "user"), ("llm.input_messages.0.message.content", "mine"), ("input.value", "mine")]));
        await LogAsync("own", 73, 731,
            Record("gen_ai.user.message", TestSpan.Any(new Dictionary<string, object> { ["content"] = "another" })),
            Record("gen_ai.choice",
                TestSpan.Any(new Dictionary<string, object> { ["message"] = new Dictionary<string, object> { ["content"] = "answer" } })));

        var attributes = Assert.Single(await SpansAsync("own")).GetProperty("attributes");

        Assert.Equal("mine", Text(attributes, "llm.input_messages.0.message.content"));
        Assert.False(attributes.TryGetProperty("llm.input_messages.1.message.content", out _));
        Assert.Equal(("mine", "answer"), (Text(attributes, "input.value"), Text(attributes, "llm.output_messages.0.message.content")));
    }

    [Fact]
    public async Task Read_EventsOfTheSameIdsInAnotherProject_StayThere()
    {
        await server.SendAsync("theirs", TestSpan.Of(74, 741, kind: "LLM"));
        await LogAsync("not-theirs", 74, 741, Record("gen_ai.user.message", TestSpan.Any("secret")));

        Assert.DoesNotContain("secret", JsonSerializer.Serialize(await SpansAsync("theirs")), StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_SearchForTextOrAttributeOfALoggedMessage_FindsItsSpanAlone()
    {
        await server.SendAsync(
            "searched", [.. Enumerable.Range(1, 4).Select(id => TestSpan.Of(75, 7500 + id, kind: "LLM", startMs: id)),
                TestSpan.Of(75, 7505, kind: "TOOL")]);
        await LogAsync("searched", 75, 7501, Record("gen_ai.user.message", TestSpan.Any("Where is the Blue Parcel?")));
        await LogAsync("searched", 75, 7502,
            Record("gen_ai.user.message", TestSpan.Any(new Dictionary<string, object> { ["content"] = "green" })));
        await LogAsync("searched", 75, 7503, Record(null, null, ("event.name", "gen_ai.user.message"), ("content", "a blue PARCEL")));
        await LogAsync("searched", 75, 7504, Record("an.other.event", TestSpan.Any("blue parcel")));
        await LogAsync("searched", 75, 7505, Record("gen_ai.user.message", TestSpan.Any("blue parcel of a tool")));
        await LogAsync("searched-elsewhere", 75, 7502, Record("gen_ai.user.message", TestSpan.Any("blue parcel elsewhere")));

        Assert.Equal((int[])[7503, 7501], await FoundAsync("text=blue%20parcel"));
        Assert.Equal((int[])[7502], await FoundAsync("attribute=llm.input_messages.0.message.content:green"));
        Assert.Equal((int[])[7502], await FoundAsync("attribute=input.value:green&limit=1"));
        Assert.Empty(await FoundAsync("attribute=input.value:red"));

        async Task<int[]> FoundAsync(string query) =>
        [
            .. (await server.WalkAsync($"/v1/projects/searched/spans?{query}")).Select(
                span => Convert.ToInt32(span.GetProperty("context").GetProperty("span_id").GetString(), 16)),
        ];
    }

    private static void Tell(ILogger logger, string name, string json) =>
        logger.Log(LogLevel.Information, new EventId(1, name), json, null, static (text, _) => text);

    private static object[] Parts(string text) => [new Dictionary<string, object> { ["type"] = "text", ["content"] = text }];

    private static object[] Messages(string role, string text) =>
        [new Dictionary<string, object> { ["role"] = role, ["parts"] = Parts(text) }];

    private static LogRecord Record(string? name, OpenTelemetry.Proto.Common.V1.AnyValue? body,
        params (string Key, object Value)[] attributes)
    {
        var record = new LogRecord { TimeUnixNano = TestSpan.Epoch, EventName = name ?? string.Empty };
        if (body is not null)
        {
            record.Body = body;
        }

        record.Attributes.AddRange(
            attributes.Select(
                attribute => new OpenTelemetry.Proto.Common.V1.KeyValue { Key = attribute.Key, Value = TestSpan.Any(attribute.Value) }));
        return record;
    }

    private async Task LogAsync(string project, int trace, int span, params LogRecord[] records)
    {
        var at = TestSpan.Of(trace, span);
        foreach (var record in records)
        {
            (record.TraceId, record.SpanId) = (at.TraceId, at.SpanId);
        }

        using var response = await server.Client.PostAsync(new ExportLogsServiceRequest
        {
            ResourceLogs = { new ResourceLogs { Resource = QueryServer.ResourceOf(project),
                ScopeLogs = { new ScopeLogs { LogRecords = { records } } } } },
        });
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    private Task<long> CountLogsAsync(Activity span) => server.Server.ScalarAsync<long>(
        $"SELECT count(*) FROM logs WHERE trace_id = '{new Guid(Convert.FromHexString(span.TraceId.ToHexString()), bigEndian: true)}'");

    private async Task<List<JsonElement>> SpansAsync(string project) =>
        [.. (await server.GetAsync($"/v1/projects/{project}/spans")).GetProperty("data").EnumerateArray()];

    private static string? Text(JsonElement json, string name) => json.TryGetProperty(name, out var value) ? value.GetString() : null;
}
