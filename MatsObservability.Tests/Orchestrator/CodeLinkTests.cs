using System.Net.Http.Json;
using System.Text.Json.Nodes;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>From an exception in telemetry to the line of a repository that threw it, and who changed it last.</summary>
public sealed class CodeLinkTests(EmptySystem system) : IClassFixture<EmptySystem>
{
    private const string StackTrace =
        "System.NullReferenceException: basket\n   at Shop.OrderStore.Save(Order order) in /build/src/OrderStore.cs:line 5\n   at Shop.Orders.Post()";

    [Fact, Trait("Req", "M09")]
    public async Task Troubleshoot_ExceptionWithRepository_NamesFileLineAndLastChange()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("src"));
        await File.WriteAllTextAsync(
            folder.File("src/OrderStore.cs"),
            "namespace Shop;\npublic class OrderStore\n{\n    public void Save(Order order)\n        => Write(order.Basket.Lines);\n}\n");
        CodeTests.Git(folder.Path, "init", "-q");
        CodeTests.Git(folder.Path, "add", ".");
        CodeTests.Git(
            folder.Path, "-c", "user.name=Test", "-c", "user.email=test@example.com", "commit", "-q", "-m", "Save orders without a check");
        await SendAsync(ShopTelemetry.Baseline, broken: false);
        await SendAsync(ShopTelemetry.Incident, broken: true);

        var body = new
        {
            user_request = "Orders fail", project = "code", repo_url = folder.Path, start_time = ShopTelemetry.Iso(ShopTelemetry.Incident),
            end_time = ShopTelemetry.Iso(ShopTelemetry.Incident.AddMinutes(ShopTelemetry.Minutes)),
        };
        var job = await system.Orchestrator.EndAsync(await system.Orchestrator.TroubleshootAsync(body));

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        var findings = job.GetProperty("result").GetProperty("investigator_findings");
        Assert.True(findings.GetProperty("status").GetString() == "ROOT_CAUSE_FOUND", job.GetProperty("result").ToString());
        var root = findings.GetProperty("root_cause");
        Assert.Equal("src/OrderStore.cs", root.GetProperty("file").GetString());
        Assert.Equal(5, root.GetProperty("line").GetInt32());
        Assert.Equal("null_check", root.GetProperty("defect_type").GetString());
        Assert.Contains("Save orders without a check", root.GetProperty("explanation").GetString());
    }

    [Fact, Trait("Req", "M09")]
    public async Task Model_WithARepository_ReadsWithinWhatTheInvestigationMay()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(folder.File("src"));
        await File.WriteAllTextAsync(folder.File("src/OrderStore.cs"), "one\ntwo\nthree\nfour\nWrite(order.Basket.Lines);\n");
        await SendAsync(ShopTelemetry.Baseline, broken: false);
        await SendAsync(ShopTelemetry.Incident, broken: true);
        var asks = 0;
        await using var model = await ModelServer.StartAsync((_, body) =>
            !body.TryGetProperty("tools", out var tools) || !tools.ToString().Contains("read_file", StringComparison.Ordinal)
                ? new ModelServer.Reply("Orders fail.")
            : ++asks switch
            {
                1 => new ModelServer.Reply(null, "read_file", """{"path":"src/OrderStore.cs","line":"4"}"""),
                2 => new ModelServer.Reply(null, "read_file", """{"path":"../../../../etc/passwd","line":"1"}"""),
                3 => new ModelServer.Reply(null, "read_file", """{"path":"","line":"x"}"""),
                <= 9 => new ModelServer.Reply(null, "search_code", $$"""{"query":"Basket{{asks}}"}"""),
                _ => new ModelServer.Reply("The basket is not checked."),
            });
        await using var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl, model.Settings());

        var job = await server.EndAsync(await server.TroubleshootAsync(new
        {
            user_request = "Orders fail", project = "code", repo_url = folder.Path, start_time = ShopTelemetry.Iso(ShopTelemetry.Incident),
            end_time = ShopTelemetry.Iso(ShopTelemetry.Incident.AddMinutes(ShopTelemetry.Minutes)),
        }));

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        var seen = string.Concat(model.Calls.Select(call => call.ToString()));
        Assert.Contains("5: Write(order.Basket.Lines);", seen);
        Assert.Contains("The repository has no such file.", seen);
        Assert.DoesNotContain("root:", seen);
        Assert.Contains("No more searches: 5 were made.", seen);
        Assert.Contains("Model notes: The basket is not checked.", job.GetProperty("events").ToString());
    }

    [Fact, Trait("Req", "M05")]
    public async Task Troubleshoot_UnreadableRepository_AsksOnceAndGoesOn()
    {
        await SendAsync(ShopTelemetry.Baseline, broken: false);
        await SendAsync(ShopTelemetry.Incident, broken: true);
        var body = new
        {
            user_request = "Orders fail", project = "code", repo_url = "/no/such/repository",
            start_time = ShopTelemetry.Iso(ShopTelemetry.Incident),
            end_time = ShopTelemetry.Iso(ShopTelemetry.Incident.AddMinutes(ShopTelemetry.Minutes)),
        };
        var id = await system.Orchestrator.TroubleshootAsync(body);
        var waiting = await system.Orchestrator.WaitForAsync(id, ["WAITING_FOR_USER", "COMPLETED", "PARTIAL", "FAILED"]);
        Assert.True(waiting.GetProperty("status").GetString() == "WAITING_FOR_USER", waiting.ToString());
        Assert.Equal("code_analysis", waiting.GetProperty("phase").GetString());

        using var resumed = await system.Orchestrator.Client.PostAsJsonAsync($"/jobs/{id}/resume", new { message = "Continue" });
        var job = await system.Orchestrator.EndAsync(id);

        Assert.Equal("COMPLETED", job.GetProperty("status").GetString());
        Assert.NotEmpty(job.GetProperty("result").GetProperty("root_causes").EnumerateArray());
    }

    private async Task SendAsync(DateTimeOffset start, bool broken)
    {
        var spans = new JsonArray();
        for (var i = 0; i < ShopTelemetry.Minutes * 12; i++)
        {
            var at = start.AddSeconds(5 * i);
            var trace = ShopTelemetry.Id(start, i, 32, "e");
            spans.Add(ShopTelemetry.Span(trace, ShopTelemetry.Id(start, i, 16, "a"), null, "POST /orders", 2, at, 50, broken, null));
            var save = ShopTelemetry.Span(
                trace, ShopTelemetry.Id(start, i, 16, "b"), ShopTelemetry.Id(start, i, 16, "a"), "OrderStore.Save", 1,
                at.AddMilliseconds(5), 30, broken, null);
            if (broken)
            {
                save["status"] = new JsonObject { ["code"] = 2, ["message"] = "System.NullReferenceException: basket" };
                save["events"] = new JsonArray(new JsonObject
                {
                    ["name"] = "exception", ["timeUnixNano"] = ShopTelemetry.Nanos(at.AddMilliseconds(20)),
                    ["attributes"] = new JsonArray(
                        ShopTelemetry.Attribute("exception.type", "System.NullReferenceException"),
                        ShopTelemetry.Attribute("exception.message", "basket"),
                        ShopTelemetry.Attribute("exception.stacktrace", StackTrace)),
                });
            }

            spans.Add(save);
        }

        await ShopTelemetry.PostAsync(system.Phoenix, "/v1/traces", new()
        {
            ["resourceSpans"] = new JsonArray(new JsonObject
            {
                ["resource"] = ShopTelemetry.Resource("code", "orders"),
                ["scopeSpans"] = new JsonArray(new JsonObject { ["scope"] = new JsonObject { ["name"] = "shop" }, ["spans"] = spans }),
            }),
        });
    }
}
