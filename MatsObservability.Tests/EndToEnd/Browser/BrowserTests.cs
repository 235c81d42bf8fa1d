using MatsObservability.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace MatsObservability.Tests.EndToEnd.Browser;

/// <summary>The pages in a real browser: what a person sees and does.</summary>
public sealed class BrowserTests(PostgresFixture postgres, ChromiumFixture chromium) : IClassFixture<PostgresFixture>,
    IClassFixture<ChromiumFixture>
{
    [BrowserFact]
    [Trait("Req", "A24")]
    public async Task Walk_ProjectsToTraceToSpanToSession_ShowsTheFacts()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await PostAsync(server);
        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();
        var faults = Faults(page);

        await page.GotoAsync(server.HttpUrl);
        await page.GetByRole(AriaRole.Link, new() { Name = "shop" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "shop", Level = 1 })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "handle_question" }).ClickAsync();

        var tree = page.GetByRole(AriaRole.Tree);
        await Expect(tree.GetByRole(AriaRole.Treeitem)).ToHaveCountAsync(3);
        await Expect(page.Locator(".stat", new() { HasText = "Tokens" })).ToContainTextAsync("1,234");
        await Expect(page.Locator(".stat", new() { HasText = "Errors" })).ToContainTextAsync("1");

        // The span opens in place: no new document, and the address is one to share.
        await page.EvaluateAsync("() => window.sameDocument = true");
        await tree.GetByRole(AriaRole.Treeitem, new() { Name = "find_order" }).ClickAsync();
        var pane = page.GetByRole(AriaRole.Region, new() { Name = "Span details" });
        await Expect(pane.GetByRole(AriaRole.Heading, new() { Name = "find_order" })).ToBeVisibleAsync();
        await Expect(pane).ToContainTextAsync("System.TimeoutException");
        await Expect(pane).ToContainTextAsync("Db.cs:line 12");
        Assert.True(await page.EvaluateAsync<bool>("() => window.sameDocument"));
        Assert.Contains("span=", page.Url, StringComparison.Ordinal);
        await page.GoBackAsync();
        await Expect(pane.GetByRole(AriaRole.Heading, new() { Name = "handle_question" })).ToBeVisibleAsync();

        await page.GetByRole(AriaRole.Link, new() { Name = "chat-1" }).First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "chat-1" })).ToBeVisibleAsync();
        await Expect(page.Locator(".human")).ToContainTextAsync("Where is my order?");
        await Expect(page.Locator(".ai")).ToContainTextAsync("It arrives on Monday.");
        Assert.Empty(faults);
    }

    [BrowserFact]
    public async Task Tree_Keyboard_CollapsesMovesAndOpens()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var traceId = await PostAsync(server);
        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();

        await page.GotoAsync($"{server.HttpUrl}/projects/shop/traces/{traceId}");
        var rows = page.GetByRole(AriaRole.Treeitem);
        await rows.First.FocusAsync();
        await page.Keyboard.PressAsync("ArrowLeft");
        await Expect(rows).ToHaveCountAsync(1);
        await page.Keyboard.PressAsync("ArrowRight");
        await Expect(rows).ToHaveCountAsync(3);
        await page.Keyboard.PressAsync("End");
        await page.Keyboard.PressAsync("Enter");

        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "find_order" })).ToBeVisibleAsync();
    }

    [BrowserFact]
    public async Task Live_SwitchedOn_ShowsANewTraceWithoutReloading()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await PostAsync(server);
        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();

        await page.GotoAsync($"{server.HttpUrl}/projects/shop/traces");
        await page.GetByRole(AriaRole.Checkbox, new() { Name = "Live" }).CheckAsync();
        await page.EvaluateAsync("() => window.sameDocument = true");
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        trace.Add("came_later", "CHAIN", null, 0, 10);
        await trace.PostAsync(server.Client);

        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "came_later" })).ToBeVisibleAsync(new() { Timeout = 30_000 });
        Assert.True(await page.EvaluateAsync<bool>("() => window.sameDocument"));
    }

    [BrowserFact]
    public async Task Page_WithoutScript_IsReadable()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var traceId = await PostAsync(server);
        await using var context = await chromium.Browser.NewContextAsync(new() { JavaScriptEnabled = false });
        var page = await context.NewPageAsync();

        await page.GotoAsync($"{server.HttpUrl}/projects/shop/traces/{traceId}");
        await page.GetByRole(AriaRole.Treeitem, new() { Name = "find_order" }).ClickAsync();

        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "find_order" })).ToBeVisibleAsync();
        await Expect(page.GetByText("System.TimeoutException")).ToBeVisibleAsync();
    }

    [BrowserFact]
    public async Task Theme_Toggled_StaysOnTheNextPage()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var context = await chromium.Browser.NewContextAsync(new() { ColorScheme = ColorScheme.Light });
        var page = await context.NewPageAsync();

        await page.GotoAsync(server.HttpUrl);
        var before = await BackgroundAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Switch theme" }).ClickAsync();
        var after = await BackgroundAsync();
        await page.GotoAsync($"{server.HttpUrl}/projects");

        Assert.NotEqual(before, after);
        Assert.Equal(after, await BackgroundAsync());

        Task<string> BackgroundAsync() => page.EvaluateAsync<string>("() => getComputedStyle(document.body).backgroundColor");
    }

    [BrowserFact]
    public async Task Trace_FiveThousandSpans_IsShownAndAnswersAtOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var trace = new AgentTrace("large", "batch", Otlp.NowNanos);
        var root = trace.Add("batch_job", "CHAIN", null, 0, 20_000);
        for (var span = 1; span < 5000; span++)
        {
            trace.Add($"step {span}", "TOOL", root, (ulong)span * 3, 2);
        }

        await trace.PostAsync(server.Client);
        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();

        await page.GotoAsync($"{server.HttpUrl}/projects/large/traces/{trace.TraceId}");
        await Expect(page.Locator(".stat", new() { HasText = "Spans" })).ToContainTextAsync("5,000");
        Assert.Equal(5000, await page.Locator("[role=treeitem]").CountAsync());
        await page.Locator("[role=treeitem]").First.FocusAsync();
        var milliseconds = await page.EvaluateAsync<double>(
            """
            () => {
              const row = document.activeElement;
              const press = key => {
                const started = performance.now();
                row.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
                document.body.offsetHeight;
                return performance.now() - started;
              };
              const first = press("ArrowLeft");
              press("ArrowRight");
              return Math.min(first, press("ArrowLeft"));
            }
            """);

        await Expect(page.GetByRole(AriaRole.Treeitem)).ToHaveCountAsync(1);
        Assert.InRange(milliseconds, 0, 1000);
    }

    private static List<string> Faults(IPage page)
    {
        var faults = new List<string>();
        page.PageError += (_, fault) => faults.Add(fault);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
            {
                faults.Add(message.Text);
            }
        };
        return faults;
    }

    private static async Task<string> PostAsync(PhoenixServer server)
    {
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        var root = trace.Add("handle_question", "CHAIN", null, 0, 2000, null, ("input.value", "Where is my order?"),
            ("output.value", "It arrives on Monday."), ("session.id", "chat-1"));
        trace.Add("chat", "LLM", root, 10, 900, null, ("llm.model_name", "gpt-4o"), ("llm.token_count.prompt", 1200),
            ("llm.token_count.completion", 34));
        trace.Add("find_order", "TOOL", root, 920, 400, "the database is away");
        await trace.PostAsync(server.Client);
        await Eventually.GetAsync(() => server.ScalarAsync<long>("SELECT count(*) FROM sessions"), count => count == 1);
        return trace.TraceId;
    }
}
