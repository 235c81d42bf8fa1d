using System.Text.Json;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Reads that break off, for a moment or for good: what is missing is named, and weighs on the confidence.</summary>
[Trait("Req", "M05")]
public sealed class PartialTelemetryTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Export_BrokenOffOnce_IsReadAgain(bool stalls)
    {
        var cut = 0;
        await using var relay = await RelayAsync(
            path => path.Contains("signals=spans", StringComparison.Ordinal) && Interlocked.Increment(ref cut) == 1, stalls);

        (string, string)[] settings = stalls ? [("Mats:PhoenixStall", "00:00:02")] : [];

        var (result, _) = await AskAsync(relay.Url, patienceSeconds: 50, settings);

        Assert.True(cut > 1);
        Assert.Equal("orders", result.GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.DoesNotContain("Not seen", result.GetProperty("limitations").ToString());
    }

    [Fact]
    public async Task Export_LogsAlwaysBreakOff_TheyAreNamedAndTheConfidenceIsLower()
    {
        await using var relay = await RelayAsync(static path => path.Contains("signals=logs", StringComparison.Ordinal), stalls: false);

        var (result, markdown) = await AskAsync(relay.Url, patienceSeconds: 1);
        var (whole, _) = await AskAsync(system.Phoenix.HttpUrl, patienceSeconds: 1);

        Assert.Contains("Not seen: the logs of shop", result.GetProperty("limitations").ToString());
        Assert.Contains("cut short", result.GetProperty("limitations").ToString());
        Assert.DoesNotContain("the spans of shop", result.GetProperty("limitations").ToString());
        Assert.Equal("orders", result.GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.True(Confidence(result) < Confidence(whole), $"{Confidence(result)} is not below {Confidence(whole)}");
        Assert.Contains("Not seen: the logs of shop", markdown);
    }

    private static double Confidence(JsonElement result) => result.GetProperty("sre_findings").GetProperty("confidence").GetDouble();

    private async Task<(JsonElement Result, string Markdown)> AskAsync(
        string phoenix, int patienceSeconds, params (string, string)[] settings)
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), phoenix,
            [("Mats:PhoenixPatience", $"00:00:{patienceSeconds:00}"), ("HttpResilience:MaxRetries", "0"), .. settings]);
        var job = await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));
        var result = job.GetProperty("result");
        return (result, await server.Client.GetStringAsync(result.GetProperty("rca_markdown_url").GetString()));
    }

    /// <summary>Passes everything on to Phoenix.Service, but breaks off the answers to chosen paths after half of them.</summary>
    private Task<HttpStub> RelayAsync(Func<string, bool> breaks, bool stalls) => HttpStub.StartAsync(async context =>
    {
        var path = context.Request.Path + context.Request.QueryString;
        using var request = new HttpRequestMessage(new HttpMethod(context.Request.Method), system.Phoenix.HttpUrl + path);
        if (context.Request.ContentLength > 0)
        {
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.ContentType = new(context.Request.ContentType!);
        }

        using var response = await system.Phoenix.Client.SendAsync(request, context.RequestAborted);
        var body = await response.Content.ReadAsByteArrayAsync(context.RequestAborted);
        context.Response.StatusCode = (int)response.StatusCode;
        context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
        if (!breaks(path))
        {
            await context.Response.Body.WriteAsync(body, context.RequestAborted);
            return;
        }

        await context.Response.Body.WriteAsync(body.AsMemory(0, body.Length / 2), context.RequestAborted);
        await context.Response.Body.FlushAsync(context.RequestAborted);
        if (stalls)
        {
            await Task.Delay(Timeout.InfiniteTimeSpan, context.RequestAborted).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    });
}
