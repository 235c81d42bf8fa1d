using MatsObservability.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace MatsObservability.Tests.EndToEnd.Browser;

/// <summary>Signing in and out in a real browser, with the pages behind it.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B060")]
public sealed class LoginTests(PostgresFixture postgres, ChromiumFixture chromium)
    : IClassFixture<PostgresFixture>, IClassFixture<ChromiumFixture>
{
    [BrowserFact]
    public async Task Walk_Stranger_SignsInSeesTheTraceAndSignsOut()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, SecuredServer.Settings);
        server.Client.DefaultRequestHeaders.Authorization = new("Bearer", SecuredServer.AdminSecret);
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        var root = trace.Add("handle_question", "CHAIN", null, 0, 2000);
        trace.Add("find_order", "TOOL", root, 920, 400);
        await trace.PostAsync(server.Client);
        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();
        var wanted = $"{server.HttpUrl}/projects/shop/traces/{trace.TraceId}";

        await page.GotoAsync(wanted);
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "Projects" })).ToHaveCountAsync(0);
        await SignInAsync(page, "wrong password");
        await Expect(page.GetByRole(AriaRole.Alert)).ToHaveTextAsync("Unknown address or wrong password.");
        await SignInAsync(page, SecuredServer.AdminPassword);

        // Straight to what was asked for, and everything on it loads.
        await Expect(page.GetByRole(AriaRole.Treeitem)).ToHaveCountAsync(2);
        Assert.Equal(wanted, page.Url);
        await page.GetByRole(AriaRole.Treeitem, new() { Name = "find_order" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "find_order" })).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Link, new() { Name = "Projects" }).First.ClickAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "shop" })).ToBeVisibleAsync();

        // The access token ends long before the session: the next page gets a new one on the way.
        await context.ClearCookiesAsync(new() { Name = "phoenix-access-token" });
        await page.GetByRole(AriaRole.Link, new() { Name = "shop" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "shop", Level = 1 })).ToBeVisibleAsync();

        await page.GetByRole(AriaRole.Link, new() { Name = "Sign out" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
        await page.GotoAsync(wanted);
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Sign in" })).ToBeVisibleAsync();
    }

    [BrowserFact]
    [Trait("Req", "B029")]
    public async Task Walk_OverTlsWithoutScript_SignsInAndSeesThePages()
    {
        using var certificates = new TestCertificates();
        var (cert, key) = certificates.WriteFiles(certificates.Issue("server"));
        await using var server = await PhoenixServer.StartAsync(
            postgres, [.. SecuredServer.Settings, ("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", cert),
                ("PHOENIX_TLS_KEY_FILE", key)]);
        await using var context = await chromium.Browser.NewContextAsync(new() { IgnoreHTTPSErrors = true, JavaScriptEnabled = false });
        var page = await context.NewPageAsync();

        await page.GotoAsync(server.HttpUrl);
        await SignInAsync(page, SecuredServer.AdminPassword);

        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "Sign out" })).ToBeVisibleAsync();
        var cookies = await context.CookiesAsync();
        Assert.NotEmpty(cookies);
        Assert.All(cookies,
            cookie => Assert.True(cookie is { Secure: true, HttpOnly: true, SameSite: SameSiteAttribute.Strict }));
    }

    private static async Task SignInAsync(IPage page, string password)
    {
        await page.GetByLabel("E-mail").FillAsync("admin@localhost");
        await page.GetByLabel("Password").FillAsync(password);
        await page.GetByRole(AriaRole.Button, new() { Name = "Sign in" }).ClickAsync();
    }
}
