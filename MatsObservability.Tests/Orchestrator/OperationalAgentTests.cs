using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Questions about resources, and the agent elsewhere that answers them.</summary>
[Collection(ExportingOrchestrators.Name)]
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

    [Theory, Trait("Req", "M19")]
    [InlineData("admin@example.com", "list the instances", 202)]
    [InlineData("admin@example.com", "why is the checkout slow", 403)]
    [InlineData("dev@example.com", "list the instances", 403)]
    [InlineData("dev@example.com", "why is the checkout slow", 202)]
    [InlineData("nobody@example.com", "list the instances", 403)]
    public async Task Request_WithPolicy_NeedsTheRoleOfTheAgentItGoesTo(string user, string text, int status)
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
            [("Mats:EnforcePolicy", "true"), ("Mats:Roles:admin@example.com", "gcloud_admin"),
                ("Mats:Roles:dev@example.com", "developer")]);
        using var request = new HttpRequestMessage(HttpMethod.Post, "/troubleshoot")
        {
            Content = JsonContent.Create(new { prompt = text }),
        };
        request.Headers.Add("X-User-Email", user);

        using var response = await server.Client.SendAsync(request);

        Assert.Equal(status, (int)response.StatusCode);
        if (status == 403)
        {
            var answer = await response.Content.ReadFromJsonAsync<JsonElement>();
            Assert.StartsWith("403 Unauthorized", answer.GetProperty("message").GetString());
            Assert.Equal(user, answer.GetProperty("user_email").GetString());
            Assert.False(answer.GetProperty("authorized").GetBoolean());
        }
    }

    private async Task<JsonElement> AskAsync(string url, string text, params (string, string)[] settings)
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, [.. settings, ("GCLOUD_AGENT_URL", url)]);
        return await server.EndAsync(
            await server.TroubleshootAsync(new { prompt = text }, ("X-Session-ID", "s-ops"),
                ("traceparent", $"00-{Trace}-b7ad6b7169203331-01")));
    }
}
