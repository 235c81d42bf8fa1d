using System.Net;
using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Ui;

/// <summary>The pages as plain HTML, as a reader without script gets them.</summary>
public sealed class PageTests(PostgresFixture postgres, PageTests.Shop shop) : IClassFixture<PostgresFixture>, IClassFixture<PageTests.Shop>
{
    private const string Hostile = "<script>alert('x')</script>";

    [Fact]
    [Trait("Req", "A05")]
    [Trait("Req", "A21")]
    public async Task Projects_Empty_SayHowToSendTheFirstTraceToThisServer()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        using var response = await server.Client.GetAsync("/");
        var html = await response.Content.ReadAsStringAsync();

        Assert.Equal("text/html", response.Content.Headers.ContentType!.MediaType);
        Assert.Contains("No telemetry yet", html, StringComparison.Ordinal);
        Assert.Contains($"{server.HttpUrl.TrimEnd('/')}/v1/traces", html, StringComparison.Ordinal);
        Assert.Contains("script-src 'self'", response.Headers.GetValues("Content-Security-Policy").Single(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Traces_WithRootsOfManyPages_ShowsEachRootsQuestion()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Query:MaxPageBytes", "65536"));
        var questions = Enumerable.Range(0, 20).Select(index => $"question-{index:00}").ToList();
        foreach (var question in questions)
        {
            var trace = new AgentTrace("long", "assistant", Otlp.NowNanos);
            trace.Add("ask", "CHAIN", null, 0, 5, null, ("input.value", question + new string(' ', 200) + new string('x', 10_000)),
                ("session.id", "s"));
            await trace.PostAsync(server.Client);
        }

        foreach (var page in new[] { "/projects/long/traces", "/projects/long/session?id=s" })
        {
            var html = await Eventually.GetAsync(
                () => server.Client.GetStringAsync(page),
                html => questions.TrueForAll(question => html.Contains(question, StringComparison.Ordinal)));
            Assert.DoesNotContain("no root yet", html, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("?span=0000000000000001&pane=true")]
    [InlineData("?span=0000000000000001&pane=1")]
    [InlineData("?pane=")]
    public async Task Trace_EventPastTheYear2262_IsShown(string query)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var span = Query.TestSpan.Of(1, 1);
        span.Events.Add(new OpenTelemetry.Proto.Trace.V1.Span.Types.Event { Name = "too late", TimeUnixNano = ulong.MaxValue });
        await Query.QueryServer.SendAsync(server.Client, "late", span);

        var html = await server.Client.GetStringAsync($"/projects/late/traces/{Query.TestSpan.Hex(1)}{query}");

        Assert.Contains("too late", html, StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Req", "A24")]
    [Trait("Req", "B001")]
    [Trait("Req", "M14")]
    public async Task Walk_ProjectsToTraceToSession_ShowsTheStoredFacts()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        var root = trace.Add("handle_question", "CHAIN", null, 0, 2000, null, ("input.value", "Where is my order?"),
            ("output.value", "It arrives on Monday."), ("session.id", "s/1"));
        var llm = trace.Add(
            "chat", "LLM", root, 10, 900, null, ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 1200),
            ("llm.token_count.completion", 34),
            ("llm.input_messages.0.message.role", "user"), ("llm.input_messages.0.message.content", "Where is order 7?"),
            ("llm.output_messages.0.message.tool_calls.0.tool_call.function.name", "find_order"),
            ("llm.output_messages.0.message.tool_calls.0.tool_call.function.arguments", "{\"id\":7}"));
        var tool = trace.Add("find_order", "TOOL", root, 920, 400, "the database is away");
        trace.Log(tool, "connection refused");
        await trace.PostAsync(server.Client);

        var projects = await Eventually.GetAsync(
            () => server.Client.GetStringAsync("/projects"), html => html.Contains("1.23k", StringComparison.Ordinal));
        Assert.Contains("projects/shop/traces", projects, StringComparison.Ordinal);
        var traces = await server.Client.GetStringAsync("/projects/shop/traces");
        Assert.Contains($"projects/shop/traces/{trace.TraceId}", traces, StringComparison.Ordinal);
        Assert.Contains("Where is my order?", traces, StringComparison.Ordinal);
        var page = Text(await server.Client.GetStringAsync($"/projects/shop/traces/{trace.TraceId}?span={llm}"));
        Assert.Contains("1,234", page, StringComparison.Ordinal);
        Assert.Contains("find_order", page, StringComparison.Ordinal);
        Assert.Contains("Where is order 7?", page, StringComparison.Ordinal);
        var failed = Text(await server.Client.GetStringAsync($"/projects/shop/traces/{trace.TraceId}?span={tool}"));
        Assert.Contains("System.TimeoutException", failed, StringComparison.Ordinal);
        Assert.Contains("Db.cs:line 12", failed, StringComparison.Ordinal);
        Assert.Contains("connection refused", failed, StringComparison.Ordinal);
        var session = await Eventually.GetAsync(
            () => server.Client.GetStringAsync("/projects/shop/session?id=s%2F1"),
            html => html.Contains("HUMAN", StringComparison.Ordinal));
        Assert.Contains("It arrives on Monday.", session, StringComparison.Ordinal);
        Assert.Contains("s/1", await server.Client.GetStringAsync("/projects/shop/sessions"), StringComparison.Ordinal);
        Assert.Contains("connection refused", await server.Client.GetStringAsync("/projects/shop/logs"), StringComparison.Ordinal);
        Assert.Contains("gpt-4o", await server.Client.GetStringAsync("/projects/shop/metrics"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task List_AskedForAlone_ComesWithoutTheProjectsNumbers(bool alone)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/projects/shop/traces");
        if (alone)
        {
            request.Headers.Add("x-list-alone", "1");
        }

        using var answer = await shop.Server.Client.SendAsync(request);
        var html = await answer.Content.ReadAsStringAsync();

        Assert.Contains(shop.TraceId, html, StringComparison.Ordinal);
        Assert.Equal(!alone, html.Contains("Latency P50", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("traces?status=error", true)]
    [InlineData("traces?status=ok", false)]
    [InlineData("traces?kind=TOOL", true)]
    [InlineData("traces?kind=RETRIEVER", false)]
    [InlineData("traces?q=NEEDLE", true)]
    [InlineData("traces?q=haystack", false)]
    [InlineData("traces?model=gpt-4o", true)]
    [InlineData("traces?model=other", false)]
    [InlineData("traces?range=1h", true)]
    [InlineData("traces?to=2020-01-01", false)]
    [InlineData("traces?range=2020-01-01T00:00:00Z/2020-01-02T00:00:00Z", false)]
    [InlineData("traces?range=2020-01-01/..", true)]
    [InlineData("spans?kind=TOOL&status=ERROR", true)]
    [InlineData("spans?kind=TOOL&status=OK", false)]
    [InlineData("spans?attr=incident.id:INC-1", true)]
    [InlineData("spans?attr=incident.id:INC-2", false)]
    public async Task List_Filtered_ShowsWhatPasses(string path, bool shown)
    {
        var html = await shop.Server.Client.GetStringAsync($"/projects/shop/{path}");

        Assert.Equal(shown, html.Contains(shop.TraceId, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("traces")]
    [InlineData("spans")]
    [InlineData("sessions")]
    [InlineData("logs")]
    [InlineData("metrics")]
    public async Task List_WithFromAndTo_KeepsThemInItsFormAndTabs(string tab)
    {
        var html = Text(await shop.Server.Client.GetStringAsync($"/projects/shop/{tab}?from=2020-01-01&to=2020-01-02T03:00:00.5%2B02:00"));

        Assert.Contains("<option value=\"2020-01-01T00:00:00Z/2020-01-02T01:00:00.5Z\" selected", html, StringComparison.Ordinal);
        Assert.Contains("projects/shop/spans?range=2020-01-01T00%3A00%3A00Z%2F2020-01-02T01%3A00%3A00.5Z", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trace_WrapperThatRepeatsItsCall_CountsItOnceAndShowsTheWholeRoot()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace("wrapped", "assistant", Otlp.NowNanos);
        (string, object)[] call = [("llm.token_count.prompt", 1200), ("llm.token_count.completion", 34), ("gen_ai.response.id", "r-1")];
        var outer = trace.Add("wrapper", "LLM", null, 0, 100, "the model is away", [.. call, ("input.value", "a long question")]);
        trace.Add("call", "LLM", outer, 1, 90, null, call);
        await trace.PostAsync(server.Client);

        var html = Text(await server.Client.GetStringAsync($"/projects/wrapped/traces/{trace.TraceId}"));

        Assert.Contains("1,200 in · 34 out", html, StringComparison.Ordinal);
        Assert.Contains("a long question", html, StringComparison.Ordinal);
        Assert.Contains("Db.cs:line 12", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Session_OfMoreTracesThanItShows_CountsTheSuccessesOfAll()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await Query.QueryServer.SendAsync(server.Client, "long", [.. Enumerable.Range(1, 250).Select(trace =>
            Query.TestSpan.Of(trace, 1, startMs: trace, session: "s", status: trace > 200 ? 2 : 0))]);
        await Query.QueryServer.RolledUpAsync(server);

        var html = Text(await server.Client.GetStringAsync("/projects/long/session?id=s"));

        Assert.Contains("80", Regex.Match(html, "Succeeded</dt>\\s*<dd[^>]*>([^<]*)").Groups[1].Value, StringComparison.Ordinal);
        Assert.Contains("Shown are the first 200 traces.", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Pages_HostileTelemetry_IsTextEverywhere()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace(Hostile, Hostile, Otlp.NowNanos);
        var root = trace.Add(
            Hostile, "LLM", null, 0, 10, Hostile, (Hostile, Hostile), ("input.value", Hostile),
            ("output.value", $"{{\"{Hostile}\":\"{Hostile}\"}}"), ("session.id", Hostile),
            ("llm.model_name", Hostile), ("llm.input_messages.0.message.role", Hostile),
            ("llm.input_messages.0.message.content", Hostile), ("incident.id", Hostile));
        trace.Log(root, Hostile);
        await trace.PostAsync(server.Client);
        var id = await server.ScalarAsync<int>("SELECT id FROM projects WHERE name <> 'default'");
        var project = Uri.EscapeDataString(Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"Project:{id}")));
        await Eventually.GetAsync(() => server.ScalarAsync<long>("SELECT count(*) FROM sessions"), count => count == 1);

        foreach (var path in new[]
        {
            "/", "/projects?q="
                + Uri.EscapeDataString(Hostile), $"/projects/{project}", $"/projects/{project}/spans", $"/projects/{project}/sessions",
            $"/projects/{project}/logs", $"/projects/{project}/metrics", $"/projects/{project}/traces/{trace.TraceId}",
            $"/projects/{project}/session?id={Uri.EscapeDataString(Hostile)}", $"/projects/{project}/spans?attr={Uri.EscapeDataString(Hostile)}",
            "/projects/" + Uri.EscapeDataString("<script>alert('x')<"),
        })
        {
            using var response = await server.Client.GetAsync(path);
            var html = await response.Content.ReadAsStringAsync();

            Assert.True((int)response.StatusCode < 500, $"{path}: {response.StatusCode}");
            Assert.DoesNotContain("<script>alert", html, StringComparison.OrdinalIgnoreCase);
            Assert.Contains("alert(", Text(html), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Pages_JsonThatIsNoTextAndIdsThatRepeat_AreShownWithoutAnError()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        const string HalfPair = "{\"question\":\"\\ud800\",\"\\udc00\":1}";
        var deep = new string('[', 60) + "[]" + string.Concat(Enumerable.Repeat(",[]", 12_000)) + new string(']', 60);
        var trace = new AgentTrace("odd", "shop", Otlp.NowNanos);
        var root = trace.Add("root", "LLM", null, 0, 10, null, ("input.value", HalfPair), ("deep", deep), ("session.id", "s"));
        trace.AddAgain("root again", root, 5, ("input.value", HalfPair), ("session.id", "s"));
        await trace.PostAsync(server.Client);
        await Eventually.GetAsync(() => server.ScalarAsync<long>("SELECT count(*) FROM sessions"), count => count == 1);

        foreach (var path in new[] { "traces", "spans", "sessions", "session?id=s", $"traces/{trace.TraceId}" })
        {
            using var response = await server.Client.GetAsync($"/projects/odd/{path}");
            var html = await response.Content.ReadAsStringAsync();

            Assert.True(response.StatusCode == HttpStatusCode.OK, $"{path}: {response.StatusCode}");
            Assert.InRange(html.Length, 1000, 2_000_000);
        }
    }

    [Theory]
    [InlineData("/projects/nowhere")]
    [InlineData("/projects/default/traces/00000000000000000000000000000001")]
    [InlineData("/projects/default/traces/nonsense")]
    [InlineData("/projects/default/session?id=none")]
    [InlineData("/projects/default/metrics?name=none")]
    [InlineData("/redirects/traces/00000000000000000000000000000001")]
    public Task Page_OfNothing_Is404AndSaysSo(string path) => SaysAsync(path, HttpStatusCode.NotFound, "All projects");

    [Theory]
    [InlineData("/projects?q=%00")]
    [InlineData("/projects/shop/traces?q=a%00b")]
    [InlineData("/projects/shop/session?id=%00")]
    public Task Page_ValueThatIsNoText_Is400AndSaysSo(string path) => SaysAsync(path, HttpStatusCode.BadRequest, "Not a text");

    [Fact]
    public async Task Page_DatabaseAway_SaysSoInsteadOfShowingNothing()
    {
        await using var server = await PhoenixServer.StartUnreadyAsync("Host=127.0.0.1;Port=1;Username=nobody;Database=none;Timeout=2");

        using var response = await server.Client.GetAsync("/");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("The database did not answer", await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Trace_KnownByItsIdAlone_RedirectsIntoItsProject()
    {
        using var response = await shop.Server.Client.GetAsync($"/redirects/traces/{shop.TraceId}?span={shop.RootId}");

        Assert.Equal($"/projects/shop/traces/{shop.TraceId}?span={shop.RootId}", response.RequestMessage!.RequestUri!.PathAndQuery);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Trace_OfAnInvestigation_LinksItsRootCause()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace("finoptiagents-MATS", "orchestrator", Otlp.NowNanos);
        trace.Add("investigation_run", "CHAIN", null, 0, 100, null, ("rca.status", "Success"), ("incident.id", "INC-42"),
            ("target.service_id", "order-service"));
        await trace.PostAsync(server.Client);

        var html = Text(await server.Client.GetStringAsync($"/projects/finoptiagents-MATS/traces/{trace.TraceId}"));

        Assert.Contains("Root-cause analysis", html, StringComparison.Ordinal);
        Assert.Contains("INC-42", html, StringComparison.Ordinal);
        Assert.Contains("order-service", html, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Page_BehindAPathPrefix_LinksBelowIt()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("Phoenix:Server:HostRootPath", "/phoenix"));

        var html = await server.Client.GetStringAsync("/phoenix/projects");

        Assert.Contains("<base href=\"/phoenix/\"", html, StringComparison.Ordinal);
        var style = Regex.Match(html, "rel=\"stylesheet\" href=\"([^\"]+)\"").Groups[1].Value;
        using var response = await server.Client.GetAsync($"/phoenix/{style}");
        Assert.Equal("text/css", response.Content.Headers.ContentType!.MediaType);
    }

    private async Task SaysAsync(string path, HttpStatusCode status, string text)
    {
        using var response = await shop.Server.Client.GetAsync(path);

        Assert.Equal(status, response.StatusCode);
        Assert.Contains(text, await response.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static string Text(string html) => WebUtility.HtmlDecode(html);

    /// <summary>A server with one trace in the project "shop", its roll-ups done.</summary>
    public sealed class Shop : IAsyncLifetime
    {
        private readonly PostgresFixture _postgres = new();

        public PhoenixServer Server { get; private set; } = null!;

        public string TraceId { get; private set; } = "";

        public string RootId { get; private set; } = "";

        public async Task InitializeAsync()
        {
            await _postgres.InitializeAsync();
            Server = await PhoenixServer.StartAsync(_postgres);
            var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
            (TraceId, RootId) = (trace.TraceId, trace.Add("run", "CHAIN", null, 0, 100, null, ("incident.id", "INC-1")));
            trace.Add("call", "LLM", RootId, 1, 5, null, ("llm.model_name", "gpt-4o"), ("input.value", "a needle"));
            trace.Add("lookup", "TOOL", RootId, 7, 5, "down");
            await trace.PostAsync(Server.Client);
            await Eventually.GetAsync(() => Server.ScalarAsync<long>("SELECT count(*) FROM traces"), count => count == 1);
        }

        public async Task DisposeAsync()
        {
            await Server.DisposeAsync();
            await _postgres.DisposeAsync();
        }
    }
}
