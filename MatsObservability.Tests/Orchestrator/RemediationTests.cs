using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Npgsql;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>A fix from request to report: nothing is written before its approval, and nothing that is not allowed.</summary>
[Trait("Req", "M18")]
public sealed class RemediationTests : IClassFixture<ShopSystem>, IAsyncLifetime, IDisposable
{
    private const string User = "ann@example.com";
    private readonly ShopSystem _system;
    private readonly TemporaryFolder _folder = new();
    private readonly ShiftedTime _time = new();
    private string _database = "";
    private HttpStub _target = null!;
    private OrchestratorServer _server = null!;

    public RemediationTests(ShopSystem system) => _system = system;

    public async Task InitializeAsync()
    {
        _target = await RemediationTarget.StartAsync(_folder);
        _database = await _system.NewDatabaseAsync();
        _server = await StartAsync();
    }

    public async Task DisposeAsync()
    {
        await _server.DisposeAsync();
        await _target.DisposeAsync();
    }

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Approve_TheShownCommand_RunsVerifiesAndReports()
    {
        var (id, proposal) = await ProposeAsync("orders");
        Assert.False(File.Exists(_folder.File("orders")));
        Assert.Contains("would write", proposal.GetProperty("dry_run").GetString());

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.True(File.Exists(_folder.File("orders")));
        var report = await _server.Client.GetStringAsync(
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
        Assert.False(File.Exists(_folder.File("orders")));
    }

    [Theory]
    [InlineData(29, "COMPLETED")]
    [InlineData(31, "FAILED")]
    public async Task Approve_AfterHalfAnHour_IsTooLate(int minutes, string status)
    {
        var (id, proposal) = await ProposeAsync("orders");
        _time.Ahead = TimeSpan.FromMinutes(minutes);

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.Equal(status, job.GetProperty("status").GetString());
        Assert.Equal(status == "COMPLETED", File.Exists(_folder.File("orders")));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Approval_NobodyGives_ExpiresAndEndsTheJob(bool whileDown)
    {
        var (id, proposal) = await ProposeAsync("orders");
        _time.Ahead = TimeSpan.FromMinutes(29);
        var (later, _) = await ProposeAsync("orders");
        if (whileDown)
        {
            await _server.DisposeAsync();
        }

        _time.Ahead = TimeSpan.FromMinutes(31);
        if (whileDown)
        {
            _server = await StartAsync();
        }

        var job = await _server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Equal("failed", job.GetProperty("phase").GetString());
        Assert.Matches(@"The approval expired at \d{4}-\S+Z: nobody approved the command in time\. Nothing was changed\.", job.GetProperty("error").GetString());
        var messages = job.GetProperty("events").EnumerateArray().Select(e => e.GetProperty("message").GetString()!).ToList();
        Assert.Contains(messages, message => message.StartsWith("The approval expired at", StringComparison.Ordinal));
        Assert.Equal("Job FAILED", messages[^1]);
        var remediation = job.GetProperty("result").GetProperty("remediation");
        Assert.Contains(remediation.GetProperty("steps").EnumerateArray(), step => step.GetProperty("outcome").GetString() == "EXPIRED");
        Assert.Contains("Approved by: nobody", await _server.Client.GetStringAsync(new Uri(remediation.GetProperty("report_url").GetString()!).PathAndQuery));
        Assert.Equal("WAITING_FOR_USER", (await _server.JobAsync(later, User)).GetProperty("status").GetString());

        using var late = await SendAsync($"/jobs/{id}/approve", new { command_hash = proposal.GetProperty("command_hash").GetString() });
        Assert.Equal(HttpStatusCode.Conflict, late.StatusCode);
        Assert.False(File.Exists(_folder.File("orders")));
    }

    [Fact]
    public async Task TakenUpAgain_AfterTheCommandRan_VerifiesAndDoesNotRunItAgain()
    {
        var (id, proposal) = await ProposeAsync("orders");
        await SetStateAsync(id, "executing", "\"APPLY_FIX\"");
        var unknown = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        Assert.Contains("is not run again", unknown.GetProperty("error").GetString());
        Assert.False(File.Exists(_folder.File("orders")));

        (id, proposal) = await ProposeAsync("orders");
        await SetStateAsync(id, "steps", """
            [{"phase": "APPROVE", "outcome": "APPROVED", "detail": "ann", "timestamp": "2026-01-01T00:00:00Z"},
             {"phase": "APPLY_FIX", "outcome": "SUCCESS", "detail": "exit code 0", "timestamp": "2026-01-01T00:00:00Z"}]
            """);
        await File.WriteAllTextAsync(_folder.File("orders"), "put right by the run that was killed");
        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.Equal("put right by the run that was killed", await File.ReadAllTextAsync(_folder.File("orders")));
    }

    [Fact]
    public async Task Rca_OfABlamedChange_ProposesTheCommandThatUndoesIt_AndWaits()
    {
        await ShopTelemetry.SendAsync(_system.Phoenix, "fixable");
        await ShopTelemetry.ChangeAsync(
            _system.Phoenix, "fixable", ShopTelemetry.Incident.AddMinutes(-2), "env_update", "orders", "DB_CONNECTION_STRING", "orders", "invalid_host");
        (string, string)[] who = [("X-User-Email", User), ("X-Session-ID", "fix-1")];
        var rca = await _server.EndAsync(await _server.TroubleshootAsync(ShopTelemetry.Request("fixable"), who), User);
        var command = $"{_folder.File("setting")} set {_folder.File("orders")}";
        var spec = rca.GetProperty("result").GetProperty("rca_content").GetProperty("remediation_spec");
        Assert.Equal(command, spec.GetProperty("remediation_command").GetString());
        Assert.Contains(command, await _server.Client.GetStringAsync(rca.GetProperty("result").GetProperty("rca_markdown_url").GetString()));

        var id = await _server.TroubleshootAsync(new { prompt = "apply the fix" }, who);
        var waiting = await _server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);

        Assert.True(waiting.GetProperty("status").GetString() == "WAITING_FOR_USER", waiting.ToString());
        Assert.Contains("would write", waiting.GetProperty("result").GetProperty("remediation").GetProperty("dry_run").GetString());
        Assert.False(File.Exists(_folder.File("orders")));
    }

    [Fact]
    public async Task Rca_WithoutAFittingCommand_SaysWhy()
    {
        var rca = await _server.EndAsync(await _server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-User-Email", User)), User);

        var spec = rca.GetProperty("result").GetProperty("rca_content").GetProperty("remediation_spec");
        Assert.Equal("", spec.GetProperty("remediation_command").GetString());
        Assert.NotEmpty(spec.GetProperty("no_command_reason").GetString()!);
    }

    [Fact]
    public async Task Reject_TheCommand_WritesNothing()
    {
        var (id, _) = await ProposeAsync("orders");
        using var answer = await SendAsync($"/jobs/{id}/reject", new { reason = "not now" });

        var job = await _server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.False(File.Exists(_folder.File("orders")));
    }

    [Fact]
    public async Task Approve_ACommandThatDoesNotHelp_RollsBackAndFails()
    {
        var (id, proposal) = await ProposeAsync("another");

        var job = await ApproveAsync(id, proposal.GetProperty("command_hash").GetString());

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("rolled back", job.GetProperty("error").GetString());
        Assert.False(File.Exists(_folder.File("another")));
    }

    [Fact]
    public async Task Approve_AServiceThatRecoversAfterAWhile_IsNotRolledBack()
    {
        await _server.DisposeAsync();
        _server = await StartAsync(("Remediation:ValidationPatience", "00:01:00"));
        var (id, proposal) = await ProposeAsync("another");

        var approving = ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        await Eventually.TrueAsync(() => File.Exists(_folder.File("another")));
        await Eventually.TrueAsync(async () => (await _server.JobAsync(id, User)).GetProperty("events").EnumerateArray().Count(e => e.GetProperty("message").GetString() == "it does not answer") >= 2);
        await File.WriteAllTextAsync(_folder.File("orders"), "it has started");
        var job = await approving;

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.True(File.Exists(_folder.File("another")));
    }

    [Fact]
    public async Task Approve_ByTelemetry_MeasuresOnlyWhatCameAfterTheFix()
    {
        // Before the fix every request of orders failed, in the very minutes that the query looks back on.
        await SendAsync(50, failing: true);
        var id = await _server.TroubleshootAsync(
            new
            {
                prompt = $"TARGET_URL: \nREMEDIATION_COMMAND: setting set {_folder.File("orders")}\nVALIDATION_QUERY: error_rate(orders)\nVALIDATION_THRESHOLD: < 0.01",
                project = "recovering",
            }, ("X-User-Email", User));
        var waiting = await _server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);
        var proposal = waiting.GetProperty("result").GetProperty("remediation");
        Assert.Equal("REPRODUCED", proposal.GetProperty("steps")[0].GetProperty("outcome").GetString());
        Assert.Contains($"POST /jobs/{id}/approve", waiting.GetProperty("result").GetProperty("response").GetString());
        await _server.DisposeAsync();
        _server = await StartAsync(("Remediation:ValidationPatience", "00:01:00"));

        var approving = ApproveAsync(id, proposal.GetProperty("command_hash").GetString());
        await Eventually.TrueAsync(() => File.Exists(_folder.File("orders")));
        await SendAsync(50, failing: false);
        var job = await approving;

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Contains("error_rate(orders) = 0", job.GetProperty("result").GetProperty("response").GetString());
    }

    [Fact]
    public async Task Request_CommandNotOnTheList_IsHandedToAPerson()
    {
        var id = await _server.TroubleshootAsync(
            new { prompt = $"TARGET_URL: {_target.Url}\nREMEDIATION_COMMAND: /bin/rm -rf {_folder.Path}" }, ("X-User-Email", User));

        var job = await _server.EndAsync(id, User);

        Assert.Equal("MANUAL_INTERVENTION", job.GetProperty("result").GetProperty("status").GetString());
        Assert.True(Directory.Exists(_folder.Path));
    }

    [Theory]
    [InlineData("http://169.254.169.254/latest")]
    [InlineData("http://127.0.0.1.evil.example/")]
    public async Task Request_TargetNotOnTheList_IsRefused(string target)
    {
        var id = await _server.TroubleshootAsync(
            new { prompt = $"TARGET_URL: {target}\nREMEDIATION_COMMAND: setting set {_folder.File("orders")}" }, ("X-User-Email", User));

        var job = await _server.EndAsync(id, User);

        Assert.Equal("FAILED", job.GetProperty("status").GetString());
        Assert.Contains("not on the allow-list", job.GetProperty("error").GetString());
    }

    [Fact, Trait("Req", "M17")]
    public async Task ApplyTheFix_WithoutAnyInvestigation_SaysSo()
    {
        var job = await _server.EndAsync(await _server.TroubleshootAsync(new { prompt = "apply the fix" }, ("X-User-Email", User)), User);

        Assert.Contains("No Active Investigation Found", job.GetProperty("error").GetString());
    }

    private Task<OrchestratorServer> StartAsync(params (string, string)[] settings) => OrchestratorServer.StartAsync(_database, _system.Phoenix.HttpUrl,
        [
            ("Remediation:Commands:0:Program", _folder.File("setting")),
            ("Remediation:Commands:0:Arguments:0", "set"), ("Remediation:Commands:0:Arguments:1", "[a-zA-Z0-9/._-]+"),
            ("Remediation:Commands:0:Rollback:0", "unset"), ("Remediation:Commands:0:Rollback:1", "{1}"),
            ("Remediation:Commands:0:DryRun:0", "show"), ("Remediation:Commands:0:DryRun:1", "{1}"),
            ("Remediation:Commands:0:Proposal:0", "set"), ("Remediation:Commands:0:Proposal:1", $"{_folder.Path}/{{before}}"),
            ("Remediation:Commands:0:FaultTypes:0", "bad_configuration"),
            ("Remediation:Targets:0", _target.Url), .. settings.Length > 0 ? settings : [("Remediation:ValidationPatience", "00:00:00")],
        ], services => services.Replace(ServiceDescriptor.Singleton<TimeProvider>(_time)));

    /// <summary>Makes the waiting job look as a killed run left it.</summary>
    private async Task SetStateAsync(string id, string field, string json)
    {
        await using var database = NpgsqlDataSource.Create(_database);
        await using var command = database.CreateCommand(
            "update mats.jobs set state = jsonb_set(state, array['remediation', $2], $3::jsonb) where id = $1");
        command.Parameters.AddWithValue(Guid.Parse(id));
        command.Parameters.AddWithValue(field);
        command.Parameters.AddWithValue(json);
        Assert.Equal(1, await command.ExecuteNonQueryAsync());
    }

    private async Task<(string Id, JsonElement Proposal)> ProposeAsync(string file)
    {
        var id = await _server.TroubleshootAsync(
            new { prompt = $"TARGET_URL: {_target.Url}\nREMEDIATION_COMMAND: setting set {_folder.File(file)}" }, ("X-User-Email", User));
        var job = await _server.WaitForAsync(id, ["WAITING_FOR_USER", "FAILED", "COMPLETED"], User);
        Assert.True(job.GetProperty("status").GetString() == "WAITING_FOR_USER", job.ToString());
        return (id, job.GetProperty("result").GetProperty("remediation"));
    }

    private async Task<JsonElement> ApproveAsync(string id, string? hash)
    {
        using var answer = await SendAsync($"/jobs/{id}/approve", new { command_hash = hash });
        return await _server.EndAsync(id, User);
    }

    private async Task SendAsync(int requests, bool failing)
    {
        // Started when they are sent: after the fix means after its command ended.
        await Eventually.TrueAsync(() => failing || File.Exists(_folder.File("orders")));
        var trace = new AgentTrace("recovering", "orders", (ulong)(TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() + (failing ? -60_000 : 2000)) * 1_000_000);
        for (var i = 0; i < requests; i++)
        {
            trace.Add("GET /orders", null, null, (ulong)i * 10, 5, failing ? "no connection" : null);
        }

        await trace.PostAsync(_system.Phoenix.Client);
    }

    private async Task<HttpResponseMessage> SendAsync(string path, object body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = JsonContent.Create(body) };
        request.Headers.Add("X-User-Email", User);
        return await _server.Client.SendAsync(request);
    }
}
