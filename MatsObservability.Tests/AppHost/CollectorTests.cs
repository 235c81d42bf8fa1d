using System.Net;
using System.Text;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;

namespace MatsObservability.Tests.AppHost;

/// <summary>The optional collector as the AppHost runs it.</summary>
[Trait("Req", "B044")]
public sealed class CollectorTests
{
    private const string Name = "otel-collector";

    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Theory]
    [InlineData("", null, 4317, 4318)]
    [InlineData("Collector:Enabled=false", null, 4317, 4318)]
    [InlineData("Collector:Enabled=true", 4317, null, null)]
    [InlineData("Collector:Enabled=True Collector:Program=otelcol", 4317, null, null)]
    [InlineData("Collector:Enabled=true Ports:collector-otlp-grpc=14317 Ports:phoenix-otlp-grpc=24317", 14317, 24317, null)]
    public async Task Ports_OfTheHost_BelongToTheCollectorWhenThereIsOne(string settings, int? collector, int? grpc, int? http)
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["DcpPublisher:RandomizePorts=false", .. settings.Split(' ', StringSplitOptions.RemoveEmptyEntries)]);

        Assert.Equal(collector is not null, builder.Resources.TryGetByName(Name, out var resource));
        Assert.Equal(collector, resource is null ? null : Endpoint(resource, "otlp-grpc").Port);
        Assert.True(builder.Resources.TryGetByName("phoenix", out var phoenix));
        Assert.Equal((grpc, http), (Endpoint(phoenix!, "otlp-grpc").Port, Endpoint(phoenix!, "otlp-http").Port));
        Assert.Equal((collector is null, true), (Endpoint(phoenix!, "otlp-grpc").IsExternal, Endpoint(phoenix!, "http").IsExternal));
    }

    [Fact]
    public async Task Run_WithoutAContainerRuntime_SaysSoAndRunsTheRest()
    {
        using var deadline = new CancellationTokenSource(s_limit);
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["Collector:Enabled=true"], deadline.Token);
        await using var app = await builder.BuildAsync(deadline.Token);
        await app.StartAsync(deadline.Token);

        await app.ResourceNotifications.WaitForResourceAsync(Name, KnownResourceStates.RuntimeUnhealthy, deadline.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("orchestrator", deadline.Token);
        using var inside = app.CreateHttpClient("phoenix", "otlp-http");
        using var export = new StringContent("""{"resourceSpans":[]}""", Encoding.UTF8, "application/json");
        using var answer = await inside.PostAsync("/v1/traces", export, deadline.Token);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains("does not run here", await LogAsync(app), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Run_OfAProgram_IsToldItsPortsAndWherePhoenixListens()
    {
        using var deadline = new CancellationTokenSource(s_limit);
        using var folder = new TemporaryFolder();
        var program = folder.File("otelcol");
        await File.WriteAllTextAsync(program, """
            #!/bin/sh
            grep -q COLLECTOR_GRPC_PORT "${1#--config=}" && echo "has its configuration"
            echo "$COLLECTOR_HOST $COLLECTOR_GRPC_PORT $COLLECTOR_HTTP_PORT $COLLECTOR_HEALTH_PORT $COLLECTOR_METRICS_PORT"
            echo "$PHOENIX_OTLP_ENDPOINT $PHOENIX_API_KEY"

            """, deadline.Token);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserExecute);
        }

        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["Collector:Enabled=true", $"Collector:Program={program}", "Parameters:phoenix-api-key=k-1"], deadline.Token);
        await using var app = await builder.BuildAsync(deadline.Token);
        await app.StartAsync(deadline.Token);
        await app.ResourceNotifications.WaitForResourceAsync(Name, KnownResourceStates.Finished, deadline.Token);

        var log = await LogAsync(app);
        var ports = new[] { "otlp-grpc", "otlp-http", "health", "metrics" }.Select(endpoint => app.GetEndpoint(Name, endpoint).Port).ToList();
        Assert.Contains("has its configuration", log, StringComparison.Ordinal);
        Assert.Contains($"localhost {string.Join(' ', ports)}", log, StringComparison.Ordinal);
        Assert.Contains($"{app.GetEndpoint("phoenix", "otlp-grpc").ToString().TrimEnd('/')} k-1", log, StringComparison.Ordinal);
        Assert.Equal(6, ports.Append(app.GetEndpoint("phoenix", "otlp-grpc").Port).Append(app.GetEndpoint("phoenix", "otlp-http").Port)
            .Distinct().Count());
    }

    private static EndpointAnnotation Endpoint(IResource resource, string name) =>
        resource.Annotations.OfType<EndpointAnnotation>().Single(endpoint => endpoint.Name == name);

    private static async Task<string> LogAsync(DistributedApplication app)
    {
        var lines = new List<string>();
        await foreach (var batch in app.Services.GetRequiredService<ResourceLoggerService>().GetAllAsync(Name))
        {
            lines.AddRange(batch.Select(line => line.Content));
        }

        return string.Join('\n', lines);
    }
}
