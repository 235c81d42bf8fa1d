using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Questions about resources, and the agent elsewhere that answers them.</summary>
[Trait("Req", "M17")]
public sealed class OperationalAgentTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    private const string Trace = "8bf7651916cd43dd8448eb211c80319e";

    [Fact, Trait("Req", "M13")]
    public async Task Question_WithAnAgentElsewhere_IsPassedOnWithItsTrace()
    {
        JsonElement asked = default;
        string? traceparent = null;
        await using var agent = await HttpStub.StartAsync(async context =>
        {
            Assert.Equal("/gcloud/execute", context.Request.Path);
            asked = (await JsonDocument.ParseAsync(context.Request.Body)).RootElement;
            traceparent = context.Request.Headers.TraceParent;
            await context.Response.WriteAsync("""{"response": "Two instances run.", "data": {"instances": ["a", "b"]}}""");
        });

        var job = await AskAsync(
            $"{agent.Url}/gcloud", "list the instances",
            ("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        var result = job.GetProperty("result");
        Assert.Equal("Two instances run.", result.GetProperty("response").GetString());
        Assert.Equal(2, result.GetProperty("data").GetProperty("instances").GetArrayLength());
        Assert.Equal("gcloud_infrastructure_specialist", result.GetProperty("orchestrator").GetProperty("target_agent").GetString());
        Assert.Equal("list the instances", asked.GetProperty("prompt").GetString());
        Assert.Equal("s-ops", asked.GetProperty("session_id").GetString());
        Assert.StartsWith($"00-{Trace}-", traceparent);
        Assert.Equal(traceparent, asked.GetProperty("headers").GetProperty("traceparent").GetString());
    }

    [Theory]
    [InlineData("delete instance web-1")]
    [InlineData("create a bucket")]
    [InlineData("list the instances and delete instance web-1")]
    [InlineData("gcloud compute instances delete list")]
    public async Task Request_ThatWouldChangeResources_IsNotPassedOn(string text)
    {
        var asked = 0;
        await using var agent = await HttpStub.StartAsync(context =>
        {
            asked++;
            return context.Response.WriteAsync("""{"response": "done"}""");
        });

        var job = await AskAsync(agent.Url, text);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("need a person", job.GetProperty("error").GetString());
        Assert.Equal(0, asked);
    }

    [Theory]
    [InlineData(500, "", "did not answer")]
    [InlineData(200, "{}", "holds no response")]
    [InlineData(200, "no JSON", "did not answer")]
    public async Task Agent_ThatFails_IsAskedOnceAndSaidToHaveFailed(int status, string answer, string reason)
    {
        var asked = 0;
        await using var agent = await HttpStub.StartAsync(context =>
        {
            asked++;
            context.Response.StatusCode = status;
            return context.Response.WriteAsync(answer);
        });

        var job = await AskAsync(agent.Url, "show services");

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains(reason, job.GetProperty("error").GetString());
        Assert.Equal(1, asked);
    }

    private async Task<JsonElement> AskAsync(string url, string text, params (string, string)[] settings)
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, [.. settings, ("GCLOUD_AGENT_URL", url)]);
        return await server.EndAsync(
            await server.TroubleshootAsync(new { prompt = text }, ("X-Session-ID", "s-ops"), ("traceparent", $"00-{Trace}-b7ad6b7169203331-01")));
    }
}
