using System.Diagnostics;
using System.Text.Json;
using MatsObservability.Benchmarks.Load;
using Microsoft.AspNetCore.Http;
using OpenTelemetry;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Agents in a second process, which is killed in the middle of its work.</summary>
[Collection(ExportingOrchestrators.Name)]
[Trait("Req", "M09")]
public sealed class RemoteProcessTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private const string Parent = "b7ad6b7169203331";

    [Fact, Trait("Req", "M13")]
    public async Task Delegated_ToASecondProcess_IsOneTraceOverBoth()
    {
        const string trace = "5bf7651916cd43dd8448eb211c80319e";
        await using var worker = await WorkerAsync(system.Phoenix.HttpUrl);

        var job = await RunAsync(worker.Url, trace);
        await worker.StopAsync();

        var here = await system.Orchestrator.EndAsync(await system.Orchestrator.TroubleshootAsync(ShopTelemetry.Request("shop")));
        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Equal(here.GetProperty("result").GetProperty("root_causes").ToString(),
            job.GetProperty("result").GetProperty("root_causes").ToString());
        Assert.DoesNotContain("another process", job.GetProperty("result").GetProperty("warnings").ToString());
        string[] agents = ["sre", "investigator", "architect"];
        var spans = await TraceAsync(trace, all => agents.All(agent => Count(all, $"agent_{agent}") == Count(all, $"delegate_{agent}")));
        AssertOneTree(spans);
        foreach (var agent in agents)
        {
            var delegated = spans.Where(span => Name(span) == $"delegate_{agent}").Select(span => span.GetProperty("span_id").GetString());
            Assert.Equal(delegated.Order(),
                spans.Where(span => Name(span) == $"agent_{agent}").Select(span => span.GetProperty("parent_id").GetString()).Order());
        }

        // The spans of the second process say that they are its own.
        var processes = await ProcessesAsync(spans);
        Assert.Equal(2, processes.Count);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Killed_InTheMiddleOfACall_IsAskedAgainAndElseDoneHere(bool comesBack)
    {
        var trace = comesBack ? "6bf7651916cd43dd8448eb211c80319e" : "7bf7651916cd43dd8448eb211c80319e";
        var reading = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var back = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);

        // The worker's telemetry: its first read waits, so that it is killed in the middle of its work.
        await using var telemetry = await HttpStub.StartAsync(async context =>
        {
            if (!back.Task.IsCompleted)
            {
                reading.TrySetResult();
                await Task.Delay(Timeout.Infinite, context.RequestAborted);
            }

            await RelayAsync(context, system.Phoenix.HttpUrl);
        });
        await using var worker = await WorkerAsync(telemetry.Url);
        var calls = 0;

        // The way to the worker: the second call finds it started again, or gone.
        await using var way = await HttpStub.StartAsync(async context =>
        {
            if (Interlocked.Increment(ref calls) > 1)
            {
                await back.Task;
            }

            await RelayAsync(context, worker.Url);
        });

        var running = RunAsync(way.Url, trace, onlySre: true);
        await reading.Task.WaitAsync(TimeSpan.FromSeconds(120));
        await worker.KillAsync();
        if (comesBack)
        {
            await worker.StartAsync(CancellationToken.None);
        }

        back.SetResult();
        var job = await running;
        if (comesBack)
        {
            await worker.StopAsync();
        }

        Assert.True(job.GetProperty("status").GetString() == "COMPLETED", job.ToString());
        Assert.Equal("orders", job.GetProperty("result").GetProperty("root_causes")[0].GetProperty("service").GetString());
        Assert.Equal(2, calls);
        Assert.Equal(
            !comesBack, job.GetProperty("result").GetProperty("warnings").ToString()
                .Contains("it was done by the orchestrator itself", StringComparison.Ordinal));
        var spans = await TraceAsync(trace, all => Count(all, "sre_log_analysis") > 0 && (Count(all, "agent_sre") > 0 || !comesBack));
        AssertOneTree(spans);
        Assert.Equal(comesBack ? 1 : 0, Count(spans, "agent_sre"));
        Assert.Single(spans, span => Name(span) == "sre_log_analysis");
    }

    private async Task<ServiceProcess> WorkerAsync(string telemetry)
    {
        var worker = new ServiceProcess("Orchestrator.Agent", new Dictionary<string, string?>
        {
            ["ConnectionStrings__phoenixdb"] = await system.NewDatabaseAsync(),
            ["Mats__PhoenixUrl"] = telemetry,
            ["OTEL_EXPORTER_OTLP_ENDPOINT"] = system.Phoenix.GrpcUrl,
            ["OTEL_EXPORTER_OTLP_PROTOCOL"] = "grpc",
        }, "/health");
        await worker.StartAsync(CancellationToken.None);
        return worker;
    }

    private async Task<JsonElement> RunAsync(string worker, string trace, bool onlySre = false)
    {
        (string, string)[] others = onlySre
            ? []
            : [("INVESTIGATOR_AGENT_URL", $"{worker}/agents/investigator"), ("ARCHITECT_AGENT_URL", $"{worker}/agents/architect")];
        await using var server = await OrchestratorServer.StartAsync(await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
        [
            ("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("SRE_AGENT_URL", $"{worker}/agents/sre"), .. others,
        ]);
        return await server.EndAsync(
            await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("traceparent", $"00-{trace}-{Parent}-01")));
    }

    /// <summary>Passes a request on, and its answer back as it comes; when that breaks off, so does this one.</summary>
    private static async Task RelayAsync(HttpContext context, string to)
    {
        // It runs in the traced process, and is no part of what is tested.
        Activity.Current = null;
        using var quiet = SuppressInstrumentationScope.Begin();
        using var client = new HttpClient { BaseAddress = new Uri(to) };
        using var request = new HttpRequestMessage(
            new HttpMethod(context.Request.Method), context.Request.Path + context.Request.QueryString);
        if (context.Request.ContentLength > 0)
        {
            request.Content = new StreamContent(context.Request.Body);
            request.Content.Headers.TryAddWithoutValidation("Content-Type", context.Request.ContentType);
        }

        foreach (var header in new[] { "X-User-Email", "X-Session-ID", "traceparent" }.Where(context.Request.Headers.ContainsKey))
        {
            request.Headers.TryAddWithoutValidation(header, (string?)context.Request.Headers[header]);
        }

        try
        {
            using var response = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, context.RequestAborted);
            context.Response.StatusCode = (int)response.StatusCode;
            context.Response.ContentType = response.Content.Headers.ContentType?.ToString();
            await response.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException)
        {
            context.Abort();
        }
    }

    private static string? Name(JsonElement span) => span.GetProperty("name").GetString();

    private static int Count(List<JsonElement> spans, string name) => spans.Count(span => Name(span) == name);

    private static void AssertOneTree(List<JsonElement> spans)
    {
        var ids = spans.Select(span => span.GetProperty("span_id").GetString()).Append(Parent).ToHashSet();
        Assert.Single(spans, span => Name(span) == "investigation_run");
        Assert.All(spans, span => Assert.Contains(span.GetProperty("parent_id").GetString(), ids));
    }

    private async Task<List<JsonElement>> LinesAsync()
    {
        using var export = await system.Phoenix.Client.GetAsync("/v1/projects/finoptiagents-MATS/export?signals=spans");
        return [.. (await export.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonElement.Parse(line))];
    }

    // The stubs of a test run in the traced process: their own server spans are not the system's.
    private Task<List<JsonElement>> TraceAsync(string trace, Func<List<JsonElement>, bool> accept) => system.TraceAsync(
        trace, Parent, accept, counts: span => span.GetProperty("scope").GetString() != "Microsoft.AspNetCore");

    /// <summary>The instance ids under which the spans were sent.</summary>
    private async Task<HashSet<string?>> ProcessesAsync(List<JsonElement> spans)
    {
        var used = spans.Select(span => span.GetProperty("resource").GetString()).ToHashSet();
        return
        [
            .. (await LinesAsync()).Where(line => line.TryGetProperty("resource", out _)).Select(line => line.GetProperty("resource"))
                .Where(resource => used.Contains(resource.GetProperty("id").GetString()))
                .Select(resource => resource.GetProperty("attributes").GetProperty("service.instance.id").GetString()),
        ];
    }
}
