using System.Net;
using System.Text.Json;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Phoenix.Query;

[Trait("Req", "B001")]
public sealed class SpanListTests(QueryServer server) : IClassFixture<QueryServer>
{
    [Fact]
    public async Task List_WhileSpansArrive_WalksEveryEarlierSpanOnceNewestFirst()
    {
        await server.SendAsync("walk", [.. Enumerable.Range(1, 95).Select(id => TestSpan.Of(100, id, startMs: id / 4))]);
        var arrived = 1000;

        var spans = await server.WalkAsync(
            "/v1/projects/walk/spans?limit=10", () => server.SendAsync("walk", TestSpan.Of(101, ++arrived, startMs: 90_000 + arrived)));

        Assert.Equal(Enumerable.Range(1, 95).Select(TestSpan.SpanHex).Order(), spans.Select(SpanId).Order());
        var starts = spans.Select(span => span.GetProperty("start_time").GetString()!).ToList();
        Assert.Equal(starts.OrderDescending(StringComparer.Ordinal), starts);
    }

    [Theory]
    [InlineData("", "1,2,3,4,5")]
    [InlineData("trace_id=TRACE7&trace_id=TRACE9", "1,2,3,4,5")]
    [InlineData("trace_id=TRACE9", "5")]
    [InlineData("trace_id=nonsense", "")]
    [InlineData("span_id=0000000000000002&span_id=0000000000000005", "2,5")]
    [InlineData("parent_id=null", "1,5")]
    [InlineData("parent_id=0000000000000001", "2,3,4")]
    [InlineData("name=chat&name=search", "2,3")]
    [InlineData("span_kind=llm&span_kind=TOOL", "2,3")]
    [InlineData("span_kind=LLM&name=search", "")]
    [InlineData("status_code=error", "4")]
    [InlineData("start_time_unix_nano=1760000000010000000&end_time_unix_nano=1760000000030000000", "2,3")]
    [InlineData("start_time=2025-10-09T08:53:20.010%2B00:00&end_time=2025-10-09T08:53:20.030", "2,3")]
    [InlineData("attribute=user.id:12345", "2")]
    [InlineData("attribute=user.id:%2212345%22", "3")]
    [InlineData("attribute=score:5", "2,4")]
    [InlineData("attribute=score:5.5", "3")]
    [InlineData("attribute=flag:true", "2")]
    [InlineData("attribute=flag:%22true%22", "3")]
    [InlineData("attribute=nested.deep.key:inside", "4")]
    [InlineData("attribute=metadata.team:blue", "5")]
    [InlineData("attribute=text:a:b", "5")]
    [InlineData("attribute=text:a%20\"b\"%20\\c", "4")]
    [InlineData("attribute=score:5&attribute=user.id:12345", "2")]
    [InlineData("attribute=tags:x", "")]
    [InlineData("attribute=absent:1", "")]
    [InlineData("text=INSIDE", "4")]
    [InlineData("text=sear", "3")]
    [InlineData("text=%22B%22%20%5Cc", "4")]
    [InlineData("text=%22team%22:%20%22blue%22", "5")]
    [InlineData("text=%22deep%22:%7B%22key%22", "4")]
    public async Task List_Filter_ReturnsExactlyTheMatchingSpans(string filter, string expected)
    {
        await EnsureFilterProjectAsync();

        var spans = await server.WalkAsync(
            $"/v1/projects/filters/spans?limit=2&{filter.Replace("TRACE7", TestSpan.Hex(7)).Replace("TRACE9", TestSpan.Hex(9))}");

        Assert.Equal(expected, string.Join(',', spans.Select(span => Convert.ToInt64(SpanId(span), 16)).Order()));
    }

    [Theory]
    [InlineData("name=%00")]
    [InlineData("text=a%00b")]
    public async Task List_ValueThatIsNoText_IsTheCallersFault(string query)
    {
        await EnsureFilterProjectAsync();

        var body = await server.GetAsync($"/v1/projects/filters/spans?{query}", HttpStatusCode.BadRequest, "text/plain");

        Assert.Contains("NUL", body.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("limit=0", "limit")]
    [InlineData("limit=1001", "limit")]
    [InlineData("limit=x", "limit")]
    [InlineData("start_time=yesterday", "start_time")]
    [InlineData("span_kind=BANANA", "span_kind")]
    [InlineData("status_code=FINE", "status_code")]
    [InlineData("attribute=nocolon", "attribute")]
    [InlineData("attribute=:v", "attribute")]
    [InlineData("attribute=k:", "attribute")]
    [InlineData("attribute=k:null", "attribute")]
    [InlineData("attribute=k:[1]", "attribute")]
    public async Task List_InvalidParameter_Is422WithItsLocation(string query, string parameter)
    {
        var body = await server.GetAsync($"/v1/projects/default/spans?{query}", HttpStatusCode.UnprocessableEntity, "application/json");

        var detail = Assert.Single(JsonSerializer.Deserialize<JsonElement>(body).GetProperty("detail").EnumerateArray());
        Assert.Equal(["query", parameter], detail.GetProperty("loc").EnumerateArray().Select(part => part.GetString()!));
        Assert.NotEqual("", detail.GetProperty("msg").GetString());
        Assert.NotEqual("", detail.GetProperty("type").GetString());
    }

    [Fact]
    public async Task List_BadCursorOrUnknownProject_IsText()
    {
        await server.GetAsync("/v1/projects/default/spans?cursor=%25%25", HttpStatusCode.UnprocessableEntity, "text/plain");
        var message = await server.GetAsync("/v1/projects/nobody/spans", HttpStatusCode.NotFound, "text/plain");

        Assert.Contains("nobody", message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task List_Span_ShowsEveryFieldAsPhoenixDoes()
    {
        var span = TestSpan.Of(
            20, 3, parent: 2, name: "chat", kind: "LLM", status: 2, session: "s", durationMs: 1,
            attributes:
            [
                ("text", "ä\"\n"), ("int", 7L), ("whole", 5.0), ("nan", double.NaN), ("bytes", new byte[] { 1, 2 }),
                ("list", new object[] { "a", "b" }),
                ("objects", new object[] { new Dictionary<string, object> { ["k"] = 1L } }),
                ("map", new Dictionary<string, object> { ["a"] = new Dictionary<string, object> { ["b"] = true } }),
                ("metadata", "{\"x\": 1}"), ("broken.metadata", "{x"),
            ]);
        span.Status.Message = "boom";
        span.Events.Add(
            new Span.Types.Event
            {
                Name = "exception",
                TimeUnixNano = TestSpan.Epoch + 1_234_567,
                Attributes = { Otlp.Text("exception.type", "E") },
            });
        await server.SendAsync("shape", span);

        var shown = Assert.Single((await server.GetAsync("/v1/projects/shape/spans")).GetProperty("data").EnumerateArray());

        Assert.Equal("chat", shown.GetProperty("name").GetString());
        Assert.Equal(TestSpan.Hex(20), shown.GetProperty("context").GetProperty("trace_id").GetString());
        Assert.Equal(TestSpan.SpanHex(3), SpanId(shown));
        Assert.Equal(TestSpan.SpanHex(2), shown.GetProperty("parent_id").GetString());
        Assert.Equal("LLM", shown.GetProperty("span_kind").GetString());
        Assert.Equal("2025-10-09T08:53:20.000000+00:00", shown.GetProperty("start_time").GetString());
        Assert.Equal("ERROR", shown.GetProperty("status_code").GetString());
        Assert.Equal("boom", shown.GetProperty("status_message").GetString());
        Assert.Equal(
            """{"session.id":"s","text":"ä\"\n","int":7,"whole":5.0,"nan":"NaN","bytes":"AQI=","list":["a","b"],"objects.0.k":1,"map.a.b":true,"metadata.x":1,"broken.metadata":"{x"}""",
            shown.GetProperty("attributes").GetRawText());
        Assert.Equal(
            """[{"name":"exception","timestamp":"2025-10-09T08:53:20.001234+00:00","attributes":{"exception.type":"E"}}]""",
            shown.GetProperty("events").GetRawText());
    }

    [Fact]
    public async Task ListOtlp_Span_IsExactToTheNanosecondAndType()
    {
        var span = TestSpan.Of(21, 4, attributes: [("i", 5L), ("d", 5.0), ("b", new byte[] { 255 }), ("l", new object[] { 1L })]);
        span.StartTimeUnixNano += 123;
        span.Kind = Span.Types.SpanKind.Server;
        span.TraceState = "a=b";
        span.Links.Add(new Span.Types.Link { TraceId = span.TraceId, SpanId = span.SpanId });
        await server.SendAsync("otlp", span);

        var shown = Assert.Single((await server.GetAsync("/v1/projects/otlp/spans/otlpv1")).GetProperty("data").EnumerateArray());

        Assert.Equal(TestSpan.Epoch + 123, shown.GetProperty("start_time_unix_nano").GetUInt64());
        Assert.Equal("SPAN_KIND_SERVER", shown.GetProperty("kind").GetString());
        Assert.Equal("a=b", shown.GetProperty("trace_state").GetString());
        Assert.Equal(
            """[{"key":"i","value":{"int_value":5}},{"key":"d","value":{"double_value":5.0}},{"key":"b","value":{"bytes_value":"/w=="}},{"key":"l","value":{"array_value":{"values":[{"int_value":1}]}}}]""",
            shown.GetProperty("attributes").GetRawText());
        Assert.Equal(TestSpan.Hex(21), Assert.Single(shown.GetProperty("links").EnumerateArray()).GetProperty("trace_id").GetString());
        Assert.Equal("STATUS_CODE_UNSET", shown.GetProperty("status").GetProperty("code").GetString());
    }

    [Theory]
    [InlineData("{\"q\":\"abc\\ud83d\"}", "tool.parameters.q", "abc\ufffd")]
    [InlineData("{\"\\uDE00\":\"named\"}", "tool.parameters.\ufffd", "named")]
    [InlineData("{\"q\":\"\\ud83d\\ude00 \\\\ud83d\"}", "tool.parameters.q", "\ud83d\ude00 \\ud83d")]
    public async Task List_JsonTextWithHalfAPair_IsShownMended(string parameters, string key, string expected)
    {
        var project = $"halves-{parameters.Length}";
        await server.SendAsync(project, TestSpan.Of(22, 5, attributes: [("tool.parameters", parameters)]));

        var shown = Assert.Single((await server.GetAsync($"/v1/projects/{project}/spans")).GetProperty("data").EnumerateArray());
        await server.GetAsync($"/v1/projects/{project}/spans/otlpv1");

        Assert.Equal(expected, shown.GetProperty("attributes").GetProperty(key).GetString());
    }

    [Theory]
    [InlineData("metadata.q:abc", 0)]
    [InlineData("metadata.q:abc%EF%BF%BD", 1)]
    [InlineData("metadata.other:1", 1)]
    [InlineData("k:%22%5Cud800%22", 0)]
    public async Task List_AttributeFilterOverHalfAPair_ComparesTheMendedText(string filter, int count)
    {
        await server.SendAsync("half", TestSpan.Of(23, 6, attributes: [("metadata", "{\"q\":\"abc\\ud83d\",\"other\":1}"), ("k", "v")]));

        var spans = await server.WalkAsync($"/v1/projects/half/spans?attribute={filter}");
        var page = await server.Client.GetStringAsync($"/projects/half/spans?attr={filter}");

        Assert.Equal(count, spans.Count);
        Assert.Equal(count > 0, page.Contains(TestSpan.Hex(23), StringComparison.Ordinal));
    }

    private static string SpanId(JsonElement span) => span.GetProperty("context").GetProperty("span_id").GetString()!;

    // Sending again is a no-op, so every case of the theory may ask for the same spans.
    private Task EnsureFilterProjectAsync() => server.SendAsync(
        "filters",
        TestSpan.Of(7, 1, name: "root", kind: "CHAIN"),
        TestSpan.Of(7, 2, parent: 1, startMs: 10, name: "chat", kind: "LLM", status: 1,
            attributes: [("user.id", 12345L), ("score", 5L), ("flag", true)]),
        TestSpan.Of(7, 3, parent: 1, startMs: 20, name: "search", kind: "TOOL",
            attributes: [("user.id", "12345"), ("score", 5.5), ("flag", "true")]),
        TestSpan.Of(
            7, 4, parent: 1, startMs: 30, status: 2,
            attributes:
            [
                ("score", 5.0), ("text", "a \"b\" \\c"),
                ("nested", new Dictionary<string, object> { ["deep"] = new Dictionary<string, object> { ["key"] = "inside" } }),
            ]),
        TestSpan.Of(
            9, 5, startMs: 40, attributes: [("metadata", "{\"team\": \"blue\"}"), ("text", "a:b"), ("tags", new object[] { "x" })]));
}
