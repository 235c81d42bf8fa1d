using System.Net;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Orchestrator.Agent.Api;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>A fix from request to report: nothing is written before its approval, and nothing that is not allowed.</summary>
[Trait("Req", "M18")]
public sealed class RemediationTests(ShopSystem system) : RemediationCase(system), IClassFixture<ShopSystem>
{
    [Fact]
    public async Task Approve_TheShownCommand_RunsVerifiesAndReports()
    {
        var (id, proposal) = await ProposeAsync("orders");
        Assert.False(File.Exists(Folder.File("orders")));
        Assert.Contains("would write", proposal.GetProperty("dry_run").GetString());

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.True(File.Exists(Folder.File("orders")));
        var report = await Server.Client.GetStringAsync(
            job.GetProperty("result").GetProperty("remediation").GetProperty("report_url").GetString());
        Assert.Contains($"Approved by: {User}", report);
    }

    [Theory]
    [InlineData(null)]
    [InlineData("0000")]
    public async Task Approve_WithoutTheRightHash_WritesNothing(string? hash)
    {
        var (id, _) = await ProposeAsync("orders");

        var job = await ApproveAsync(id, hash);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact, Trait("Req", "M19")]
    public async Task Approve_ByAUserWithoutTheRole_WritesNothingEvenWhenTheRouteLetItPass()
    {
        await RestartAsync(("Mats:EnforcePolicy", "true"), ($"Mats:Roles:{User}", "developer"));
        var (id, proposal) = await ProposeAsync("orders");
        var hash = proposal.GetProperty("command_hash").GetString();
        using var refused = await SendAsync($"/jobs/{id}/approve", new { command_hash = hash });
        Assert.Equal(HttpStatusCode.Forbidden, refused.StatusCode);

        // The answer as it arrives when the route read the job just before it began to wait for the approval.
        var job = await Server.Services.GetRequiredService<JobStore>().FindAsync(Guid.Parse(id), default);
        Assert.Equal(MoveOutcome.Moved, await Server.Services.GetRequiredService<JobService>().ReplyAsync(
            job!, "approve", new() { CommandHash = hash }, User, null, default));
        var ended = await Server.EndAsync(id, User);

        Assert.Equal("FAILED", ended.GetProperty("status").GetString());
        Assert.Contains("role developer may not use mats-remediation-agent", ended.GetProperty("error").GetString());
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact]
    public async Task Approve_ACommandThatLeavesAProgramRunning_IsDoneWhenItEnds()
    {
        await RestartAsync(("Remediation:CommandTimeout", "00:00:10"));
        var (id, proposal) = await ProposeAsync("orders", "leave");

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Contains("exit code 0: left", job.GetProperty("result").GetProperty("remediation").GetProperty("steps").ToString());
    }

    [Fact]
    public async Task Cancel_WhileTheCommandRuns_LeavesTheEntryOfItsApproval()
    {
        var (id, proposal) = await ProposeAsync("orders", "hold");
        var hash = proposal.GetProperty("command_hash").GetString();
        using var approved = await SendAsync($"/jobs/{id}/approve", new { command_hash = hash });
        await Eventually.TrueAsync(() => File.Exists(Folder.File("orders.runs")));

        using var cancelled = await SendAsync($"/jobs/{id}/cancel", new { });

        Assert.Equal(HttpStatusCode.Accepted, cancelled.StatusCode);
        Assert.Equal("CANCELLED", (await Server.EndAsync(id, User)).GetProperty("status").GetString());
        Assert.Equal(1, await AuditedAsync("remediation APPROVED"));
    }

    [Theory]
    [InlineData(29, "COMPLETED")]
    [InlineData(31, "FAILED")]
    public async Task Approve_AfterHalfAnHour_IsTooLate(int minutes, string status)
    {
        var (id, proposal) = await ProposeAsync("orders");
        Ahead = TimeSpan.FromMinutes(minutes);

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.Equal(status, job.GetProperty("status").GetString());
        Assert.Equal(status == "COMPLETED", File.Exists(Folder.File("orders")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Approval_NobodyGives_ExpiresAndEndsTheJob(bool whileDown)
    {
        var (id, proposal) = await ProposeAsync("orders");
        Ahead = TimeSpan.FromMinutes(29);
        var (later, _) = await ProposeAsync("orders");
        if (whileDown)
        {
            await Server.DisposeAsync();
        }

        Ahead = TimeSpan.FromMinutes(31);
        if (whileDown)
        {
            Server = await StartAsync();
        }

        var job = await Server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Equal("failed", job.GetProperty("phase").GetString());
        Assert.Matches(@"The approval expired at \d{4}-\S+Z: nobody approved the command in time\. Nothing was changed\.",
            job.GetProperty("error").GetString());
        var messages = job.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("message").GetString()!).ToList();
        Assert.Contains(messages, message => message.StartsWith("The approval expired at", StringComparison.Ordinal));
        Assert.Equal("Job FAILED", messages[^1]);
        var remediation = job.GetProperty("result").GetProperty("remediation");
        Assert.Contains(remediation.GetProperty("steps").EnumerateArray(), step => step.GetProperty("outcome").GetString() == "EXPIRED");
        Assert.Contains("Approved by: nobody",
            await Server.Client.GetStringAsync(new Uri(remediation.GetProperty("report_url").GetString()!).PathAndQuery));
        Assert.Equal("WAITING_FOR_USER", (await Server.JobAsync(later, User)).GetProperty("status").GetString());

        using var late = await SendAsync($"/jobs/{id}/approve", new { command_hash = proposal.GetProperty("command_hash").GetString() });
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact]
    public async Task TakenUpAgain_AfterTheCommandRan_VerifiesAndDoesNotRunItAgain()
    {
        var (id, proposal) = await ProposeAsync("orders");
        await SetStateAsync(id, ["remediation", "executing"], "\"APPLY_FIX\"");
        var unknown = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        Assert.Contains("is not run again", unknown.GetProperty("error").GetString());
        Assert.False(File.Exists(Folder.File("orders")));

        (id, proposal) = await ProposeAsync("orders");
        await SetStateAsync(id, ["remediation", "steps"], """
            [{"phase": "APPROVE", "outcome": "APPROVED", "detail": "ann", "timestamp": "2026-01-01T00:00:00Z"},
             {"phase": "APPLY_FIX", "outcome": "SUCCESS", "detail": "exit code 0", "timestamp": "2026-01-01T00:00:00Z"}]
            """);
        await File.WriteAllTextAsync(Folder.File("orders"), "put right by the run that was killed");
        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("put right by the run that was killed", await File.ReadAllTextAsync(Folder.File("orders")));
    }

    [Fact]
    public async Task Rca_OfABlamedChange_ProposesTheCommandThatUndoesIt_AndWaits()
    {
        await ShopTelemetry.SendAsync(Shop.Phoenix, "fixable");
        await ShopTelemetry.ChangeAsync(
            Shop.Phoenix, "fixable", ShopTelemetry.Incident.AddMinutes(-2), "env_update", "orders",
            "DB_CONNECTION_STRING", "orders", "invalid_host");
        (string, string)[] who = [("X-User-Email", User), ("X-Session-ID", "fix-1")];
        var rca = await Server.EndAsync(await Server.TroubleshootAsync(ShopTelemetry.Request("fixable"), who), User);
        var command = $"{Folder.File("setting")} set {Folder.File("orders")}";
        var spec = rca.GetProperty("result").GetProperty("rca_content").GetProperty("remediation_spec");
        Assert.Equal(command, spec.GetProperty("remediation_command").GetString());
        Assert.Equal("error_rate(orders)", spec.GetProperty("validation_query").GetString());
        Assert.Contains(command, await Server.Client.GetStringAsync(rca.GetProperty("result").GetProperty("rca_markdown_url").GetString()));

        var id = await Server.TroubleshootAsync(new { prompt = "apply the fix" }, who);
        var waiting = await Server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);

        Assert.True(waiting.GetProperty("status").GetString() == "WAITING_FOR_USER", waiting.ToString());
        Assert.Contains("would write", waiting.GetProperty("result").GetProperty("remediation").GetProperty("dry_run").GetString());
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact]
    public async Task Rca_WithoutAFittingCommand_SaysWhy()
    {
        var rca = await Server.EndAsync(await Server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-User-Email", User)), User);

        var spec = rca.GetProperty("result").GetProperty("rca_content").GetProperty("remediation_spec");
        Assert.Equal("", spec.GetProperty("remediation_command").GetString());
        Assert.NotEmpty(spec.GetProperty("no_command_reason").GetString()!);
    }

    [Fact]
    public async Task Reject_TheCommand_WritesNothing()
    {
        var (id, _) = await ProposeAsync("orders");
        using var answer = await SendAsync($"/jobs/{id}/reject", new { reason = "not now" });

        var job = await Server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.False(File.Exists(Folder.File("orders")));
    }

    [Fact]
    public async Task Approve_ACommandThatDoesNotHelp_RollsBackAndFails()
    {
        var (id, proposal) = await ProposeAsync("another");

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("rolled back", job.GetProperty("error").GetString());
        Assert.False(File.Exists(Folder.File("another")));
    }

    [Fact]
    public async Task Approve_AServiceThatRecoversAfterAWhile_IsNotRolledBack()
    {
        await RestartAsync(("Remediation:ValidationPatience", "00:01:00"));
        var (id, proposal) = await ProposeAsync("another");

        var approving = ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        await Eventually.TrueAsync(() => File.Exists(Folder.File("another")));
        await Eventually.TrueAsync(
            async () =>
                (await Server.JobAsync(id, User)).GetProperty("events").EnumerateArray()
                    .Count(e => e.GetProperty("message").GetString() == "it does not answer") >= 2);
        await File.WriteAllTextAsync(Folder.File("orders"), "it has started");
        var job = await approving;

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.True(File.Exists(Folder.File("another")));
    }

    [Fact]
    public async Task Approve_ByTelemetry_MeasuresOnlyWhatCameAfterTheFix()
    {
        // Before the fix every request of orders failed, in the very minutes that the query looks back on.
        await SendAsync(50, failing: true);
        var id = await Server.TroubleshootAsync(
            new
            {
                prompt = $"TARGET_URL: \nREMEDIATION_COMMAND: setting set {Folder.File("orders")}\nVALIDATION_QUERY: error_rate(orders)\nVALIDATION_THRESHOLD: < 0.01",
                project = "recovering",
            }, ("X-User-Email", User));
        var waiting = await Server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);
        var proposal = waiting.GetProperty("result").GetProperty("remediation");
        Assert.Equal("REPRODUCED", proposal.GetProperty("steps")[0].GetProperty("outcome").GetString());
        Assert.Contains($"POST /jobs/{id}/approve", waiting.GetProperty("result").GetProperty("response").GetString());
        await RestartAsync(("Remediation:ValidationPatience", "00:01:00"));

        var approving = ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        // When it looks again, the end of the command is on record: what begins now began after the fix.
        await Eventually.TrueAsync(
            async () =>
                (await Server.JobAsync(id, User)).GetProperty("events").EnumerateArray()
                    .Count(e => e.GetProperty("message").GetString()!.StartsWith("validate {", StringComparison.Ordinal)) >= 2);
        await SendAsync(50, failing: false);
        var job = await approving;

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.True(File.Exists(Folder.File("orders")));
        Assert.Contains("error_rate(orders) = 0", job.GetProperty("result").GetProperty("response").GetString());
    }

    [Fact]
    public async Task Request_WithAQuery_DoesNotAskTheTarget()
    {
        var id = await AskAsync("orders", validation: "VALIDATION_QUERY: error_rate(orders)\nVALIDATION_THRESHOLD: < 0.01");

        var job = await Server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);

        var messages = job.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("message").GetString()!).ToList();
        Assert.Contains(messages, message => message.StartsWith("validate {", StringComparison.Ordinal));
        Assert.DoesNotContain(messages, message => message.StartsWith("probe {", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Request_CommandNotOnTheList_IsHandedToAPerson()
    {
        var id = await Server.TroubleshootAsync(
            new { prompt = $"TARGET_URL: {Target.Url}\nREMEDIATION_COMMAND: /bin/rm -rf {Folder.Path}" }, ("X-User-Email", User));

        var job = await Server.EndAsync(id, User);

        Assert.Equal("MANUAL_INTERVENTION", job.GetProperty("result").GetProperty("status").GetString());
        Assert.True(Directory.Exists(Folder.Path));
    }

    [Theory]
    [InlineData("http://169.254.169.254/latest")]
    [InlineData("http://127.0.0.1.evil.example/")]
    public async Task Request_TargetNotOnTheList_IsRefused(string target)
    {
        var id = await Server.TroubleshootAsync(
            new { prompt = $"TARGET_URL: {target}\nREMEDIATION_COMMAND: setting set {Folder.File("orders")}" }, ("X-User-Email", User));

        var job = await Server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("not on the allow-list", job.GetProperty("error").GetString());
    }

    [Fact, Trait("Req", "M17")]
    public async Task ApplyTheFix_WithoutAnyInvestigation_SaysSo()
    {
        var job = await Server.EndAsync(await Server.TroubleshootAsync(new { prompt = "apply the fix" }, ("X-User-Email", User)), User);

        Assert.Contains("No Active Investigation Found", job.GetProperty("error").GetString());
    }

    private async Task SendAsync(int requests, bool failing)
    {
        var trace = new AgentTrace("recovering", "orders",
            (ulong)(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + (failing ? -60_000 : 0)) * 1_000_000);
        for (var i = 0; i < requests; i++)
        {
            trace.Add("GET /orders", null, null, (ulong)i * 10, 5, failing ? "no connection" : null);
        }

        await trace.PostAsync(Shop.Phoenix.Client);
    }
}
