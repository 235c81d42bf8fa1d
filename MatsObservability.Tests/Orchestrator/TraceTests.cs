using System.Text.Json;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Phoenix.Service.Metrics;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The orchestrator's own trace, read back from Phoenix.Service.</summary>
[Collection(ExportingOrchestrators.Name)]
public sealed class TraceTests(ShopSystem system) : IClassFixture<ShopSystem>
{
    private const string Caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Fact, Trait("Req", "A23"), Trait("Req", "M13"), Trait("Req", "A01"), Trait("Req", "A18")]
    public async Task Investigation_WithCallerAndModel_IsOneTraceWithoutOrphansWithTokensAndCost()
    {
        await using var model = await ModelServer.StartAsync(
            (_, body) => body.TryGetProperty("tools", out var tools) && tools.GetArrayLength() > 0
            ? new ModelServer.Reply("Nothing else.")
            : new ModelServer.Reply("Checkout failed because orders had a wrong database address."));
        JsonElement job;
        await using (var server = await OrchestratorServer.StartAsync(
            await system.NewDatabaseAsync(), system.Phoenix.HttpUrl,
            model.Settings(("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"))))
        {
            job = await server.EndAsync(
                await server.TroubleshootAsync(ShopTelemetry.Request("shop"), ("X-Session-ID", "trace-1"), ("traceparent", Caller)));
        }

        Assert.Equal("0af7651916cd43dd8448eb211c80319c", job.GetProperty("trace_id").GetString());
        var own = await system.TraceAsync("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
        var spans = await SpansAsync(system.Phoenix, "finoptiagents-MATS");
        var ids = own.Select(span => span.GetProperty("span_id").GetString()).ToHashSet();
        Assert.Contains(spans, span => span.GetProperty("name").GetString() == "agent-startup-check");

        var root = Assert.Single(own, span => span.GetProperty("name").GetString() == "investigation_run");
        Assert.Equal("b7ad6b7169203331", root.GetProperty("parent_id").GetString());
        Assert.All(
            own.Where(span => span.GetProperty("name").GetString() != "investigation_run"),
            span => Assert.Contains(span.GetProperty("parent_id").GetString(), ids));
        Assert.All(
            spans.Where(span => span.ToString().Contains("trace-1", StringComparison.Ordinal)),
            span => Assert.Contains(span.GetProperty("span_id").GetString(), ids));
        Assert.Superset(
            new HashSet<string?> { "CHAIN", "AGENT", "TOOL", "LLM", "GUARDRAIL" },
            own.Select(
                span => span.GetProperty("attributes").TryGetProperty("openinference.span.kind", out var kind) ? kind.GetString() : null)
                .ToHashSet());
        Assert.Superset(
            new HashSet<string?> { "investigation_run", "delegate_sre", "sre_log_analysis", "delegate_architect", "architect_synthesis",
                "resolve_records", "read_telemetry" },
            own.Select(span => span.GetProperty("name").GetString()).ToHashSet());

        var llm = own.First(span => span.GetProperty("name").GetString()!.StartsWith("chat ", StringComparison.Ordinal))
            .GetProperty("attributes");
        Assert.Equal(1000, llm.GetProperty("llm.token_count.prompt").GetInt64());
        Assert.Equal(100, llm.GetProperty("gen_ai.usage.output_tokens").GetInt64());
        Assert.True(llm.GetProperty("llm.cost.total").GetDouble() > 0);
        var about = root.GetProperty("attributes");
        Assert.Equal("trace-1", about.GetProperty("session.id").GetString());
        Assert.Equal("Success", about.GetProperty("rca.status").GetString());
        Assert.Equal(job.GetProperty("id").GetString(), about.GetProperty("incident.id").GetString());
        Assert.DoesNotContain("sk-test-key", string.Concat(own.Select(span => span.ToString())));
        Assert.Equal(0, system.Phoenix.Services.GetRequiredService<IngestMetrics>().SpansOf(SpanOutcome.Duplicate));
    }

    [Fact, Trait("Req", "M13")]
    public async Task Investigation_InterruptedAndTakenUp_IsSeenWhileItRunsAndLeavesNoOrphan()
    {
        const string trace = "1af7651916cd43dd8448eb211c80319d";
        var database = await system.NewDatabaseAsync();
        (string, string)[] export = [("Telemetry:Export", "true"), ("OTEL_EXPORTER_OTLP_ENDPOINT", system.Phoenix.GrpcUrl),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        var held = new HeldReads();
        string id;
        await using (var first = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, export, held.Install))
        {
            id = await first.TroubleshootAsync(ShopTelemetry.Request("shop"), ("traceparent", $"00-{trace}-b7ad6b7169203331-01"));
            await held.Reached;

            // What has ended is there while the job still runs; what holds it together comes when the run ends.
            var running = await Eventually.GetAsync(
                async () =>
                    (await SpansAsync(system.Phoenix, "finoptiagents-MATS")).Where(
                        span => span.GetProperty("trace_id").GetString() == trace)
                        .ToList(),
                spans => spans.Exists(span => span.GetProperty("name").GetString() == "gate_planning"));
            Assert.DoesNotContain(running, span => span.GetProperty("name").GetString() == "investigation_run");
        }

        await using (var second = await OrchestratorServer.StartAsync(database, system.Phoenix.HttpUrl, export))
        {
            await second.EndAsync(id);
        }

        var own = await system.TraceAsync(
            trace, "b7ad6b7169203331", all => all.Exists(span => span.GetProperty("name").GetString() == "architect_synthesis"));
        var ids = own.Select(span => span.GetProperty("span_id").GetString()).Append("b7ad6b7169203331").ToHashSet();
        Assert.Contains(own, span => span.GetProperty("name").GetString() == "architect_synthesis");
        Assert.All(own, span => Assert.Contains(span.GetProperty("parent_id").GetString(), ids));
    }

    private static async Task<List<JsonElement>> SpansAsync(PhoenixServer phoenix, string project)
    {
        using var export = await phoenix.Client.GetAsync($"/v1/projects/{project}/export?signals=spans");
        if (export.StatusCode == System.Net.HttpStatusCode.NotFound)
        {
            return [];
        }

        var lines = (await export.Content.ReadAsStringAsync()).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        return [.. lines.Select(line => JsonElement.Parse(line)).Where(line => line.TryGetProperty("span", out _))
            .Select(line => line.GetProperty("span"))];
    }
}
