using System.Text.Json;
using System.Text.Json.Nodes;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>What an investigation may use, and what is left of it when that is used up.</summary>
[Trait("Req", "M06")]
public sealed class BudgetTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    [Fact]
    public async Task Budget_ToolCallsSpent_EndsWithTheReason()
    {
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, [("Mats:ToolCalls", "1")]);
        var job = await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("budget of 1 tool calls is spent", job.GetProperty("error").GetString());
        Assert.Equal(1, job.GetProperty("result").GetProperty("tool_calls").GetInt32());
    }

    [Fact]
    public async Task Budget_TimeSpent_EndsTheJobAtTheDeadline()
    {
        var held = new HeldReads();
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, [("Mats:ActiveTime", "00:00:01")], held.Install);
        var job = await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("working time is spent", job.GetProperty("error").GetString());
    }

    [Fact]
    public void Budget_The101stToolCall_IsRefused()
    {
        var state = new InvestigationState();
        using var budget = new Budget(new(), TimeProvider.System, state);
        for (var i = 0; i < 100; i++)
        {
            budget.TakeToolCall("read_logs");
        }

        Assert.Throws<BudgetSpentException>(() => budget.TakeToolCall("read_logs"));
        Assert.Equal(100, state.TotalToolCalls);
        Assert.True(budget.TryRetry("sre", 1));
        Assert.False(budget.TryRetry("sre", 1));
    }

    [Fact]
    public async Task Budget_SpentWhenTheRcaIsMade_PublishesItAllTheSame()
    {
        var calls = (await RunAsync()).GetProperty("result").GetProperty("tool_calls").GetInt32();

        var job = await RunAsync(("Mats:ToolCalls", $"{calls}"));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal(calls, job.GetProperty("result").GetProperty("tool_calls").GetInt32());
        Assert.Contains("rca.json", job.GetProperty("result").GetProperty("rca_url").GetString());
    }

    [Fact]
    public async Task Budget_OneCallTooFewForTheRca_HandsOutWhatIsKnown()
    {
        var calls = (await RunAsync()).GetProperty("result").GetProperty("tool_calls").GetInt32();

        var job = await RunAsync(("Mats:ToolCalls", $"{calls - 1}"));

        Assert.Equal("PARTIAL", job.GetProperty("status").GetString());
        Assert.NotEmpty(job.GetProperty("result").GetProperty("sre_findings").GetProperty("hypotheses").EnumerateArray());
        Assert.Contains("resolve_records was refused", job.GetProperty("error").GetString());
    }

    [Fact]
    public async Task Model_ThatStalls_LeavesTheRulesTheirTime()
    {
        await using var stalled = await HttpStub.StartAsync(context => Task.Delay(Timeout.Infinite, context.RequestAborted));

        var job = await RunAsync(("Llm:ApiKey", "sk-test-key-0123456789"), ("Llm:BaseUrl", stalled.Url), ("Mats:ActiveTime", "00:00:32"));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.Contains("half of the working time", job.GetProperty("result").GetProperty("warnings").ToString());
    }

    [Theory]
    [InlineData(1, 50)]
    [InlineData(200, 1)]
    public async Task Model_ThatAsksWithoutEnd_LeavesTheRulesTheirToolCalls(int calls, int steps)
    {
        await using var model = await ModelServer.StartAsync((number, body) => body.TryGetProperty("tools", out _)
            ? new ModelServer.Reply(null, Raw: ToolCalls(number, calls)) : new ModelServer.Reply("Orders lost its database."));

        var job = await RunAsync(model.Settings(
            ("Llm:Stream", "false"), ("Llm:MaxSteps", $"{steps}"), ("Llm:MaxCalls", "100"), ("Mats:ToolCalls", "16")));

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.InRange(job.GetProperty("result").GetProperty("tool_calls").GetInt32(), 1, 16);
        Assert.Contains("look around was ended", job.GetProperty("result").GetProperty("warnings").ToString());
    }

    /// <summary>An answer of many calls, each of them new.</summary>
    private static string ToolCalls(int number, int calls) => new JsonObject
    {
        ["id"] = "c1", ["object"] = "chat.completion", ["created"] = 1700000000, ["model"] = "test-model",
        ["usage"] = new JsonObject { ["prompt_tokens"] = 10, ["completion_tokens"] = 1, ["total_tokens"] = 11 },
        ["choices"] = new JsonArray(new JsonObject
        {
            ["index"] = 0, ["finish_reason"] = "tool_calls",
            ["message"] = new JsonObject
            {
                ["role"] = "assistant", ["content"] = null,
                ["tool_calls"] = new JsonArray([.. Enumerable.Range(0, calls).Select(i => new JsonObject
                {
                    ["id"] = $"call_{i}", ["type"] = "function",
                    ["function"] = new JsonObject { ["name"] = "read_logs", ["arguments"] = $$"""{"filter_str":"x{{number}}-{{i}}"}""" },
                })]),
            },
        }),
    }.ToJsonString();

    private async Task<JsonElement> RunAsync(params (string, string)[] settings)
    {
        await using var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, settings);
        return await server.EndAsync(await server.TroubleshootAsync(ShopTelemetry.Request("shop")));
    }
}
