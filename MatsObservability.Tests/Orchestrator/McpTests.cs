using System.Text.Json;
using MatsObservability.Tests.EndToEnd;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Tools of Model Context Protocol servers: real HTTP, a server made with the published SDK, and servers that misbehave.</summary>
[Collection(ExportingOrchestrators.Name)]
[Trait("Req", "M13")]
public sealed class McpTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private const string Token = "mcp-token-0123456789abcdef";
    private const string Parent = "b7ad6b7169203331";

    [NodeTheory]
    [InlineData("3bf7651916cd43dd8448eb211c80319f")]
    public async Task Tools_OfAServer_AreCalledByTheModelInTheTraceOfTheInvestigation(string trace)
    {
        await using var mcp = await McpServerProcess.StartAsync(Token);
        await using var model = await ModelServer.StartAsync((_, body) => Tools(body).Contains("runbooks_lookup")
            ? body.ToString().Contains("tool_call_id", StringComparison.Ordinal)
                ? new ModelServer.Reply("The runbook says what to check.")
                : new ModelServer.Reply(null, "runbooks_lookup", """{"query":"orders"}""")
            : new ModelServer.Reply("Checkout failed because orders had a wrong database address."));
        JsonElement job;
        await using (var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
            [
                .. model.Settings(Server(mcp.Url)), ("Mcp:Servers:0:Token", Token),
                ("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ]))
        {
            job = await server.EndAsync(
                await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("traceparent", $"00-{trace}-{Parent}-01")));
        }

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        var offered = model.Calls.SelectMany(Tools).Distinct()
            .Where(name => name?.StartsWith("runbooks_", StringComparison.Ordinal) == true).Order();
        Assert.Equal(["runbooks_broken", "runbooks_huge", "runbooks_lookup", "runbooks_slow"], offered);
        Assert.Contains("check the connection string", string.Concat(model.Calls.Select(call => call.ToString())));

        await Eventually.TrueAsync(() => mcp.Closed == 2);

        // The SRE's call, and before it the planner's three thoughts.
        Assert.Equal(["sequentialthinking", "sequentialthinking", "sequentialthinking", "lookup"],
            mcp.Calls.Select(call => call.GetProperty("tool").GetString()));
        Assert.Equal(
            [(1, 3, true), (2, 3, true), (3, 3, false)],
            mcp.Calls.Take(3).Select(call => call.GetProperty("arguments")).Select(arguments =>
                (arguments.GetProperty("thoughtNumber").GetInt32(), arguments.GetProperty("totalThoughts").GetInt32(),
                    arguments.GetProperty("nextThoughtNeeded").GetBoolean())));

        var spans = await system.TraceAsync(trace, Parent);
        var ids = spans.Select(span => span.GetProperty("span_id").GetString()).Append(Parent).ToHashSet();
        Assert.All(spans, span => Assert.Contains(span.GetProperty("parent_id").GetString(), ids));
        foreach (var call in mcp.Calls)
        {
            var traceparent = call.GetProperty("meta").GetProperty("traceparent").GetString()!.Split('-');
            Assert.Equal(trace, traceparent[1]);
            var span = Assert.Single(spans, span => span.GetProperty("span_id").GetString() == traceparent[2]);
            Assert.Equal($"runbooks_{call.GetProperty("tool").GetString()}", span.GetProperty("name").GetString());
            Assert.Equal("TOOL", span.GetProperty("attributes").GetProperty("openinference.span.kind").GetString());
            Assert.Equal("runbooks", span.GetProperty("attributes").GetProperty("mcp.server_id").GetString());
        }

        Assert.DoesNotContain(Token, job + string.Concat(spans.Select(span => span.ToString())));
    }

    [NodeTheory]
    [InlineData("runbooks_broken", "the index is corrupt")]
    [InlineData("runbooks_huge", "The tool huge of the MCP server runbooks failed")]
    [InlineData("runbooks_slow", "did not answer in time")]
    [InlineData("runbooks_wipe", "")]
    public async Task Tool_ThatFailsOrMayNotBeCalled_LeavesTheDiagnosisAsItIs(string tool, string warning)
    {
        await using var mcp = await McpServerProcess.StartAsync();
        await using var model = await ModelServer.StartAsync(
            (_, body) => Tools(body).Count > 0 && !body.ToString().Contains("tool_call_id", StringComparison.Ordinal)
            ? new ModelServer.Reply(null, tool, """{"query":"orders"}""") : new ModelServer.Reply("Orders cannot connect."));

        var job = await RunAsync(
            [.. model.Settings(Server(mcp.Url)), ("Mcp:CallTimeout", tool == "runbooks_slow" ? "00:00:03" : "00:01:00")]);

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.Contains(warning, job.GetProperty("result").GetProperty("warnings").ToString());
        await Eventually.TrueAsync(
            () => mcp.Calls.Any(call => $"runbooks_{call.GetProperty("tool").GetString()}" == tool) == (tool != "runbooks_wipe"));
    }

    [NodeTheory, Trait("Req", "M19")]
    [InlineData("0af7651916cd43dd8448eb211c80319c")]
    public async Task Tools_OfEachAgent_AreThoseItWasGiven(string trace)
    {
        await using var mcp = await McpServerProcess.StartAsync();
        await using var model = await ModelServer.StartAsync((_, body) =>
            body.ToString().Contains("tool_call_id", StringComparison.Ordinal) ? new ModelServer.Reply("The root cause is front.")
            : Tools(body).FirstOrDefault(name => name!.EndsWith("_lookup", StringComparison.Ordinal)) is { } lookup
                ? new ModelServer.Reply(null, lookup, """{"query":"orders"}""")
            : new ModelServer.Reply("Orders lost its database."));
        JsonElement job;
        await using (var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
            [
                .. model.Settings(),
                .. Server(mcp.Url, 0, "sre_only", "sre"), ("Mcp:Servers:0:Tools:0", "lookup"),
                .. Server(mcp.Url, 1, "code_only", "investigator"), ("Mcp:Servers:1:Tools:0", "lookup"), ("Mcp:Servers:1:Tools:1", "wipe"),
                .. Server(mcp.Url, 2, "rca_only", "architect"),
                ("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ]))
        {
            job = await server.EndAsync(
                await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("traceparent", $"00-{trace}-{Parent}-01")));
        }

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        var offered = model.Calls
            .Select(call => string.Join(' ', Tools(call).Where(name => name!.Contains("_only_", StringComparison.Ordinal)).Order()))
            .Where(tools => tools.Length > 0).Distinct();
        Assert.Equal(
            ["sre_only_lookup", "code_only_lookup code_only_wipe", "rca_only_broken rca_only_huge rca_only_lookup rca_only_slow"], offered);

        // Each call hangs under the agent that made it, and is one of the job's tool calls.
        var spans = await system.TraceAsync(trace, Parent);
        var made = spans.Where(span => span.GetProperty("name").GetString()!.EndsWith("_lookup", StringComparison.Ordinal)).ToList();
        Assert.Equal(
            [("code_only_lookup", "investigator_code_analysis"), ("rca_only_lookup", "architect_synthesis"),
                ("sre_only_lookup", "sre_log_analysis")],
            made.Select(call => (call.GetProperty("name").GetString()!, spans.Single(
                span => span.GetProperty("span_id").GetString() == call.GetProperty("parent_id")
                    .GetString()).GetProperty("name").GetString()!)).Order());
        await Eventually.TrueAsync(() => mcp.Calls.Count >= made.Count);
        Assert.Equal(
            made.Select(call => call.GetProperty("span_id").GetString()).Order(),
            mcp.Calls.Select(call => call.GetProperty("meta").GetProperty("traceparent").GetString()!.Split('-')[2]).Order());
        Assert.Equal(
            job.GetProperty("result").GetProperty("tool_calls").GetInt32(),
            spans.Count(
                span => span.GetProperty("attributes").TryGetProperty("openinference.span.kind", out var kind) && kind.GetString() == "TOOL"
                && span.GetProperty("name").GetString() != "upload_rca"));
    }

    [NodeTheory]
    [InlineData("the wrong token")]
    public async Task Server_ThatRefuses_IsAWarningWithoutTheToken(string token)
    {
        await using var mcp = await McpServerProcess.StartAsync(Token);

        var job = await RunAsync([.. Server(mcp.Url), ("Mcp:Servers:0:Token", token)]);

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Contains("The MCP server runbooks was not used", job.GetProperty("result").GetProperty("warnings").ToString());
        Assert.DoesNotContain(token, job.ToString());
        Assert.Empty(mcp.Calls);
    }

    [Theory]
    [InlineData(500, "no")]
    [InlineData(200, "no JSON at all")]
    [InlineData(200, "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":-32603,\"message\":\"broken\"}}")]
    [InlineData(302, "")]
    [InlineData(0, "")]
    public async Task Server_ThatIsNone_LeavesTheInvestigationGoingByRules(int status, string answer)
    {
        var elsewhere = 0;
        await using var broken = await HttpStub.StartAsync(async context =>
        {
            elsewhere += context.Request.Path == "/elsewhere" ? 1 : 0;
            if (status == 0)
            {
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }

            context.Response.StatusCode = status;
            context.Response.ContentType = "application/json";
            context.Response.Headers.Location = status == 302 ? "/elsewhere" : default;
            await context.Response.WriteAsync(answer);
        });

        var job = await RunAsync([.. Server(broken.Url), ("Mcp:ConnectTimeout", "00:00:01")]);

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.Contains("The MCP server runbooks was not used", job.GetProperty("result").GetProperty("warnings").ToString());
        Assert.Equal(0, elsewhere);
    }

    [Fact]
    public async Task Start_WithFaultySettings_NamesThemAll()
    {
        var database = await system.NewDatabaseAsync();

        var fault = await Assert.ThrowsAsync<OptionsValidationException>(() => OrchestratorServer.StartAsync(
            database, system.Phoenix.HttpUrl,
            [("Mcp:Servers:0:Id", "a b"), ("Mcp:Servers:0:Url", "runbooks"), ("Mcp:Servers:0:Agents:0", "remediation"),
                ("Mcp:CallTimeout", "00:00:00")]));

        Assert.Equal(4, fault.Failures.Count());
        Assert.All(["Mcp:Servers:0:Id", "Mcp:Servers:0:Url", "Mcp:Servers:0:Agents", "CallTimeout"],
            key => Assert.Contains(key, fault.Message));
    }

    private static (string, string)[] Server(string url) =>
        [("Mcp:Servers:0:Id", "runbooks"), ("Mcp:Servers:0:Url", url), ("Mcp:Servers:0:Agents:0", "sre"),
            ("Mcp:Servers:0:Agents:1", "planner")];

    private static (string, string)[] Server(string url, int number, string id, string agent) =>
        [($"Mcp:Servers:{number}:Id", id), ($"Mcp:Servers:{number}:Url", url), ($"Mcp:Servers:{number}:Agents:0", agent)];

    private static List<string?> Tools(JsonElement body) => body.TryGetProperty("tools", out var tools)
        ? [.. tools.EnumerateArray().Select(tool => tool.GetProperty("function").GetProperty("name").GetString())] : [];

    private async Task<JsonElement> RunAsync((string, string)[] settings)
    {
        await using var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, settings);
        return await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));
    }
}
