using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Tests.Support;
using Microsoft.Playwright;
using static Microsoft.Playwright.Assertions;

namespace MatsObservability.Tests.EndToEnd.Browser;

/// <summary>
/// The demo as a newcomer meets it: the whole system started from the AppHost, the incident and its investigation in the browser.
/// </summary>
public sealed class DemoTests(ChromiumFixture chromium) : IClassFixture<ChromiumFixture>
{
    private static readonly TimeSpan s_limit = TimeSpan.FromMinutes(5);

    [BrowserFact]
    [Trait("Req", "A20")]
    [Trait("Req", "A23")]
    public async Task Demo_WholeAppHost_ShowsTheIncidentAndItsInvestigation()
    {
        using var deadline = new CancellationTokenSource(s_limit);
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["demo"], deadline.Token);
        await using var app = await builder.BuildAsync(deadline.Token);
        await app.StartAsync(deadline.Token);
        await app.ResourceNotifications.WaitForResourceAsync("demo", KnownResourceStates.Finished, deadline.Token);
        using var phoenix = app.CreateHttpClient("phoenix", "http");
        await Eventually.TrueAsync(async () =>
        {
            using var traces = await phoenix.GetAsync("/v1/projects/finoptiagents-MATS/traces?include_spans=true", deadline.Token);
            return (await traces.Content.ReadAsStringAsync(deadline.Token)).Contains("investigation_run", StringComparison.Ordinal);
        });

        await using var context = await chromium.Browser.NewContextAsync();
        var page = await context.NewPageAsync();
        await page.GotoAsync(phoenix.BaseAddress!.ToString());
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "demo-calculator", Exact = true }).First).ToBeVisibleAsync();
        await page.GotoAsync(new Uri(phoenix.BaseAddress, "/projects/finoptiagents-MATS").ToString());
        await page.GetByRole(AriaRole.Link, new() { Name = "investigation_run" }).First.ClickAsync();

        await Expect(page.GetByRole(AriaRole.Treeitem, new() { Name = "delegate_sre" }).First).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Region, new() { Name = "Span details" })).ToContainTextAsync("bad_configuration");
    }
}
