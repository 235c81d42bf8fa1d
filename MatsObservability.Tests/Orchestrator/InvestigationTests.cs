using System.Net;
using System.Net.Http.Json;
using System.Text.Json;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Whole investigations over real telemetry, without a model.</summary>
public sealed class InvestigationTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private readonly OrchestratorServer _server = system.Orchestrator;

    [Fact, Trait("Req", "A22"), Trait("Req", "M09"), Trait("Req", "M10")]
    public async Task Troubleshoot_BrokenShop_NamesTheServiceWithEvidenceThatResolves()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-Session-ID", "s1")));

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        var result = job.GetProperty("result");
        Assert.Equal("incident", result.GetProperty("verdict").GetString());
        var cause = result.GetProperty("root_causes")[0];
        Assert.Equal("orders", cause.GetProperty("service").GetString());
        Assert.Equal("s1", result.GetProperty("session_id").GetString());
        await AssertResolvesAsync(result);

        using var document = await _server.Client.GetAsync(result.GetProperty("rca_url").GetString());
        Assert.Equal(HttpStatusCode.OK, document.StatusCode);
        var rca = await document.Content.ReadFromJsonAsync<JsonElement>();
        Assert.NotEmpty(rca.GetProperty("technical_evidence_and_logs").GetProperty("evidence_refs").EnumerateArray());
        var markdown = await _server.Client.GetStringAsync(result.GetProperty("rca_markdown_url").GetString());
        Assert.Contains("## 3. Root Cause", markdown);
        Assert.Contains("orders", markdown);
    }

    [Fact, Trait("Req", "M10")]
    public async Task RcaLink_TamperedOrExpired_Is403()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(ShopTelemetry.Request("shop")));
        var url = job.GetProperty("result").GetProperty("rca_url").GetString()!;

        foreach (var forged in new[]
        {
            url.Replace("signature=", "signature=0", StringComparison.Ordinal),
            url.Replace("expires=1", "expires=2", StringComparison.Ordinal),
            url.Replace("rca.json", "rca.md", StringComparison.Ordinal), url.Split('?')[0],
        })
        {
            using var answer = await _server.Client.GetAsync(forged);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Troubleshoot_HealthyWindow_ClaimsNothing()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(new
        {
            user_request = "is anything wrong?",
            project = "shop",
            start_time = ShopTelemetry.Iso(ShopTelemetry.Baseline.AddMinutes(5)),
            end_time = ShopTelemetry.Iso(ShopTelemetry.Baseline.AddMinutes(10)),
            baseline_start = ShopTelemetry.Iso(ShopTelemetry.Baseline),
            baseline_end = ShopTelemetry.Iso(ShopTelemetry.Baseline.AddMinutes(5)),
        }));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("healthy", job.GetProperty("result").GetProperty("verdict").GetString());
        Assert.Empty(job.GetProperty("result").GetProperty("root_causes").EnumerateArray());
    }

    [Fact]
    public async Task Troubleshoot_UnknownProject_SaysThatItHoldsNothing()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(ShopTelemetry.Request("no-such-project")));

        Assert.Equal("PARTIAL", job.GetProperty("status").GetString());
        Assert.Contains("no project 'no-such-project'", job.GetProperty("result").GetProperty("limitations").ToString());
    }

    [Fact, Trait("Req", "M12")]
    public async Task Events_OfAFinishedJob_RunFromStartToEndInOrder()
    {
        var id = await _server.TroubleshootAsync(ShopTelemetry.Request("shop"));
        await _server.EndAsync(id);

        var events = (await _server.Client.GetFromJsonAsync<JsonElement>($"/jobs/{id}/events")).GetProperty("events")
            .EnumerateArray().ToList();

        Assert.Equal("Job started", events[0].GetProperty("message").GetString());
        Assert.Equal("Job COMPLETED", events[^1].GetProperty("message").GetString());
        var numbers = events.Select(e => e.GetProperty("seq").GetInt64()).ToList();
        Assert.Equal(numbers.Order(), numbers);
        Assert.Contains(events, e => e.GetProperty("type").GetString() == "TOOL_USE");
    }

    [Fact, Trait("Req", "M09")]
    public async Task AgentChat_Sre_AnswersItsFindings()
    {
        using var response = await _server.Client.PostAsJsonAsync("/agents/sre/chat", new
        {
            message = "what fails?", project = "shop", start_time = ShopTelemetry.Iso(ShopTelemetry.Incident),
            end_time = ShopTelemetry.Iso(ShopTelemetry.Incident.AddMinutes(ShopTelemetry.Minutes)),
        });
        var answer = await response.Content.ReadFromJsonAsync<JsonElement>();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("orders", answer.GetProperty("sre_findings").GetProperty("service_name").GetString());
    }

    private async Task AssertResolvesAsync(JsonElement result)
    {
        var evidence = result.GetProperty("root_causes").EnumerateArray()
            .SelectMany(cause => cause.GetProperty("evidence").EnumerateArray()).ToList();
        Assert.NotEmpty(evidence);
        using var answer = await system.Phoenix.Client.PostAsJsonAsync("/v1/projects/shop/records/resolve", new { refs = evidence });
        var records = (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("data").EnumerateArray().ToList();
        Assert.Equal(evidence.Count, records.Count);
        Assert.All(records, record => Assert.Equal(JsonValueKind.Object, record.ValueKind));
    }
}
