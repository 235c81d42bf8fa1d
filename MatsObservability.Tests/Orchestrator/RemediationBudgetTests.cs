using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using MatsObservability.Hosting.Run.Endpoints;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>
/// A budget that runs out in the middle of a fix, in every phase in which it can: the job ends with its report, what was begun is undone,
/// and the session keeps its RCA.
/// </summary>
[Trait("Req", "M06")]
[Trait("Req", "M18")]
public sealed partial class RemediationBudgetTests(ShopSystem system) : RemediationCase(system), IClassFixture<ShopSystem>
{
    private const string Query = "VALIDATION_QUERY: error_rate(orders)\nVALIDATION_THRESHOLD: < 0.01";

    [Theory]
    [InlineData(1, "UNFINISHED")]
    [InlineData(3, "NOT_ASKED")]
    public async Task ToolCalls_SpentBeforeTheApproval_EndWithTheReport(int toolCalls, string outcome)
    {
        await RestartAsync(("Mats:ToolCalls", $"{toolCalls}"));

        var job = await Server.EndAsync(await AskAsync("orders"), User);

        await AssertPartialAsync(job, "APPROVE", outcome, $"budget of {toolCalls} tool calls");
        Assert.Equal(toolCalls == 3 ? 2 : 1, job.GetProperty("result").GetProperty("tool_calls").GetInt32());
    }

    [Fact]
    public async Task Time_SpentBeforeTheApproval_EndsWithTheReport()
    {
        await RestartAsync(("Mats:ActiveTime", "00:00:04"));
        await File.WriteAllTextAsync(Folder.File("silent"), "");

        var job = await Server.EndAsync(await AskAsync("orders"), User);

        await AssertPartialAsync(job, "PRE_VERIFY", "UNFINISHED", "working time is spent");
    }

    [Fact]
    public async Task ToolCalls_TooFewToEndAFix_DoNotBeginIt()
    {
        var (id, proposal) = await ProposeAsync("orders");
        await RestartAsync(("Mats:ToolCalls", "4"));

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        await AssertPartialAsync(job, "APPLY_FIX", "NOT_RUN", "has only 2 left, and 3 are needed");
    }

    [Theory]
    [InlineData("unset", "rolled back.")]
    [InlineData("hold", "NOT rolled back")]
    public async Task Time_SpentWhileTheCommandRuns_IsLeftForTheRollback(string rollback, string outcome)
    {
        var (id, proposal) = await ProposeAsync("orders", "hold");
        var hash = proposal.GetProperty("command_hash").GetString();
        await SetStateAsync(id, ["active_seconds"], "0");
        await SetStateAsync(id, ["remediation", "rollback", "1"], $"\"{rollback}\"");
        await RestartAsync(("Mats:ActiveTime", "00:00:12"));
        var asked = TimeProvider.System.GetUtcNow();

        var job = await ApproveAsync(id, hash);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains(outcome, job.GetProperty("error").GetString());
        var stopped = StoppedAfter().Match(Step(job, "APPLY_FIX").GetProperty("detail").GetString()!);
        Assert.True(stopped.Success, job.ToString());

        // Half of what was left when it began: the other half, and what came before it, make up the rest.
        var seconds = double.Parse(stopped.Groups["seconds"].ValueSpan, CultureInfo.InvariantCulture);
        var ended = (Step(job, "APPLY_FIX").GetProperty("timestamp").GetDateTimeOffset() - asked).TotalSeconds;
        Assert.InRange(seconds, 12 - ended - 0.25, 6);
        Assert.Equal(rollback == "unset" ? "SUCCESS" : "FAILURE", Step(job, "ROLLBACK").GetProperty("outcome").GetString());
        Assert.Contains("ROLLBACK", await ReportAsync(job));
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact]
    public async Task ToolCalls_SpentWhileTheServiceRecovers_AreLeftForTheRollback()
    {
        var (id, proposal) = await ProposeAsync("another");
        await RestartAsync(("Mats:ToolCalls", "5"), ("Remediation:ValidationPatience", "00:02:00"));

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        AssertRolledBack(job, "another");
        Assert.Contains("not watched any longer", job.GetProperty("result").GetProperty("limitations").ToString());
        Assert.Contains("not watched any longer", await ReportAsync(job));
    }

    [Fact]
    public async Task Time_SpentWhileTheServiceIsLookedAt_IsLeftForTheRollback()
    {
        // The fix itself makes the service silent.
        var (id, proposal) = await ProposeAsync("silent");
        await SetStateAsync(id, ["active_seconds"], "0");
        await RestartAsync(("Mats:ActiveTime", "00:00:12"));

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        AssertRolledBack(job, "silent");
        Assert.Contains("kept for the rollback", job.GetProperty("result").GetProperty("limitations").ToString());
    }

    [Fact]
    public async Task PhoenixAway_AfterTheFix_CountsAsNoHelp()
    {
        var id = await AskAsync("another", validation: Query);
        var waiting = await Server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);
        await RestartAsync(("Mats:PhoenixUrl", $"http://127.0.0.1:{FreePort.Next()}"), ("Mats:PhoenixPatience", "00:00:01"));

        var job = await ApproveAsync(
            id, waiting.GetProperty("result").GetProperty("remediation").GetProperty("command_hash").GetString());

        AssertRolledBack(job, "another");
        Assert.Contains("could not be evaluated", await ReportAsync(job));
    }

    [Fact]
    public async Task Session_OfAFixThatRanOut_KeepsItsRca()
    {
        await ShopTelemetry.SendAsync(Shop.Phoenix, "ran-out");
        await ShopTelemetry.ChangeAsync(
            Shop.Phoenix, "ran-out", ShopTelemetry.Incident.AddMinutes(-2), "env_update", "orders", "DB_CONNECTION_STRING", "orders",
            "invalid_host");
        (string, string)[] who = [("X-User-Email", User), ("X-Session-ID", "ran-out")];
        var rca = await Server.EndAsync(await Server.TroubleshootAsync(ShopTelemetry.Request("ran-out"), who), User);
        await RestartAsync(("Mats:ToolCalls", "1"));
        var job = await Server.EndAsync(await Server.TroubleshootAsync(new { prompt = "apply the fix" }, who), User);
        await RestartAsync();

        var waiting = await Server.WaitForAsync(
            await Server.TroubleshootAsync(new { prompt = "apply the fix" }, who), ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);

        Assert.Equal("PARTIAL", job.GetProperty("status").GetString());
        Assert.Equal(
            rca.GetProperty("result").GetProperty("rca_url").GetString(), job.GetProperty("result").GetProperty("rca_url").GetString());
        Assert.True(waiting.GetProperty("status").GetString() == "WAITING_FOR_USER", waiting.ToString());
    }

    private async Task AssertPartialAsync(JsonElement job, string phase, string outcome, string reason)
    {
        Assert.True(job.GetProperty("status").GetString() == "PARTIAL", job.ToString());
        Assert.Equal("completed", job.GetProperty("phase").GetString());
        Assert.Contains(reason, job.GetProperty("error").GetString());
        Assert.Contains("Nothing was changed.", job.GetProperty("error").GetString());
        Assert.Contains(reason, job.GetProperty("result").GetProperty("limitations").ToString());
        Assert.Equal(outcome, Step(job, phase).GetProperty("outcome").GetString());
        var messages = job.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("message").GetString()!).ToList();
        Assert.Contains(messages, message => message.StartsWith("Remediation PARTIAL", StringComparison.Ordinal));
        Assert.Equal("Job PARTIAL", messages[^1]);
        var report = await ReportAsync(job);
        Assert.Contains("Status: PARTIAL", report);
        Assert.Contains($"{phase}: {outcome}", report);
        Assert.False(File.Exists(Folder.File("orders")));
    }

    private void AssertRolledBack(JsonElement job, string file)
    {
        Assert.True(job.GetProperty("status").GetString() == "FAILED", job.ToString());
        Assert.Contains("it was rolled back", job.GetProperty("error").GetString());
        Assert.Equal("SUCCESS", Step(job, "ROLLBACK").GetProperty("outcome").GetString());
        Assert.False(File.Exists(Folder.File(file)));
    }

    private static JsonElement Step(JsonElement job,
        string phase) => job.GetProperty("result").GetProperty("remediation").GetProperty("steps")
        .EnumerateArray().Last(step => step.GetProperty("phase").GetString() == phase);

    private Task<string> ReportAsync(JsonElement job) => Server.Client.GetStringAsync(
        new Uri(job.GetProperty("result").GetProperty("remediation").GetProperty("report_url").GetString()!).PathAndQuery);

    [GeneratedRegex(@"stopped after (?<seconds>\d+(\.\d)?) s", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex StoppedAfter();
}
