using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Agents in a process of their own: a second orchestrator works for the first, or cannot, and the first does it itself.</summary>
[Collection(ExportingOrchestrators.Name)]
[Trait("Req", "M09")]
public sealed class RemoteAgentTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private const string Trace = "2bf7651916cd43dd8448eb211c80319e";

    [Fact, Trait("Req", "M13")]
    public async Task Delegated_AllThreeAgents_GiveTheSameResultInOneTrace()
    {
        (string, string)[] export = [("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        JsonElement job;
        await using (var worker = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, export))
        await using (var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
        [
            .. export, ("SRE_AGENT_URL", $"{worker.Url}/agents/sre"), ("INVESTIGATOR_AGENT_URL", $"{worker.Url}/agents/investigator/"),
            ("ARCHITECT_AGENT_URL", $"{worker.Url}/agents/architect"),
        ]))
        {
            job = await server.EndAsync(
                await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("traceparent", $"00-{Trace}-b7ad6b7169203331-01")));
        }

        var here = await system.Orchestrator.EndAsync(await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request("shop")));
        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Equal(here.GetProperty("result").GetProperty("root_causes").ToString(),
            job.GetProperty("result").GetProperty("root_causes").ToString());
        Assert.Equal(here.GetProperty("result").GetProperty("tool_calls").GetInt32(),
            job.GetProperty("result").GetProperty("tool_calls").GetInt32());
        Assert.DoesNotContain("another process", job.GetProperty("result").GetProperty("warnings").ToString());
        Assert.Contains(job.GetProperty("events").EnumerateArray(),
            e => e.GetProperty("type").GetString() == "TOOL_USE" && e.GetProperty("source").GetString() == "mats-sre");

        var spans = await system.TraceAsync(Trace, "b7ad6b7169203331", all =>
            all.Exists(span => span.GetProperty("name").GetString() == "agent_sre")
            && all.Exists(span => span.GetProperty("name").GetString() == "sre_log_analysis"));
        var ids = spans.Select(span => span.GetProperty("span_id").GetString()).Append("b7ad6b7169203331").ToHashSet();
        Assert.All(spans, span => Assert.Contains(span.GetProperty("parent_id").GetString(), ids));
        var delegated = Assert.Single(spans, span => span.GetProperty("name").GetString() == "delegate_sre");
        var remote = Assert.Single(spans, span => span.GetProperty("name").GetString() == "agent_sre");
        Assert.Equal(delegated.GetProperty("span_id").GetString(), remote.GetProperty("parent_id").GetString());
        Assert.Single(spans, span => span.GetProperty("name").GetString() == "sre_log_analysis");
    }

    [Theory]
    [InlineData("{\"outcome\": {\"report\": {\"status\": \"FINE\"}, \"state\": {}}}\n", "not valid")]
    [InlineData("{\"event\": {\"type\": \"INFO\", \"message\": \"half\", \"source\": \"x\"}}\n", "broke off")]
    [InlineData("no JSON at all\n", "")]
    [InlineData(null, "500")]
    public async Task Delegated_ToAnAgentThatFails_IsDoneHereWithAWarning(string? answer, string reason)
    {
        var asked = 0;
        await using var broken = await HttpStub.StartAsync(async context =>
        {
            asked++;
            context.Response.StatusCode = answer is null ? 500 : 200;
            await context.Response.WriteAsync(answer ?? "");
        });
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, [("SRE_AGENT_URL", $"{broken.Url}/agents/sre")]);

        var job = await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        var warnings = job.GetProperty("result").GetProperty("warnings").ToString();
        Assert.Contains("The sre agent of another process did not do its part", warnings);
        Assert.Contains(reason, warnings);
        Assert.Equal(reason == "not valid" ? 1 : 2, asked);
    }

    [Theory]
    [InlineData("SRE_AGENT_URL", "sre:8081")]
    [InlineData("ARCHITECT_AGENT_URL", "/agents/architect")]
    public async Task Start_WithAnAddressThatIsNone_FailsNamingTheSetting(string setting, string value)
    {
        var database = await system.NewDatabaseAsync();

        var fault = await Assert.ThrowsAsync<OptionsValidationException>(
            () => OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, [(setting, value)]));

        Assert.Contains($"{setting} must be an absolute http(s) address", fault.Message);
    }
}
