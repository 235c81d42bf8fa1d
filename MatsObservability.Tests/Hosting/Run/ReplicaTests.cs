using System.Net;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Hosting.Run;

/// <summary>Several instances of a project behind one address.</summary>
[Trait("Req", "B018")]
public sealed class ReplicaTests
{
    [Fact]
    public async Task Replicas_ShareOneAddressAndOneMayStop()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(120));
        await using var builder = DistributedApplicationTestingBuilder.Create("--environment", "Development");
        var database = builder.AddPostgres("postgres").AddDatabase("phoenixdb");
        builder.AddProject<Projects.Phoenix_Service>("phoenix", launchProfileName: null)
            .WithHttpEndpoint(name: "http", env: "PHOENIX_PORT")
            .WithHttpEndpoint(name: "otlp-grpc", env: "PHOENIX_GRPC_PORT")
            .WithHttpEndpoint(name: "otlp-http", env: "PHOENIX_OTLP_HTTP_PORT")
            .WithHttpEndpoint(name: "metrics", env: "PHOENIX_METRICS_PORT")
            .WithReplicas(2)
            .WithReference(database).WaitFor(database)
            .WithHttpHealthCheck("/healthz");
        await using var app = await builder.BuildAsync(deadline.Token);
        await app.StartAsync(deadline.Token);
        var first = await app.ResourceNotifications.WaitForResourceHealthyAsync("phoenix", deadline.Token);
        var second = await app.ResourceNotifications.WaitForResourceAsync(
            "phoenix", other => other.ResourceId != first.ResourceId && other.Snapshot.State?.Text == KnownResourceStates.Running,
            deadline.Token);

        Assert.NotEqual(PortOf(first), PortOf(second));
        Assert.NotEqual(app.GetEndpoint("phoenix", "http").Port, PortOf(first));
        Assert.EndsWith(Variable(first, "OTEL_RESOURCE_ATTRIBUTES")[^8..], first.ResourceId, StringComparison.Ordinal);

        Assert.True(
            (await app.ResourceCommands.ExecuteCommandAsync(first.ResourceId, KnownResourceCommands.StopCommand, deadline.Token)).Success);
        await WaitUntilAnsweringAsync(new Uri($"http://localhost:{PortOf(second)}/healthz"), deadline.Token);
        for (var i = 0; i < 4; i++)
        {
            // A new client, so that each request comes on a connection of its own.
            using var client = app.CreateHttpClient("phoenix", "http");
            client.DefaultRequestHeaders.ConnectionClose = true;
            Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/healthz", deadline.Token)).StatusCode);
        }
    }

    private static async Task WaitUntilAnsweringAsync(Uri url, CancellationToken cancellationToken)
    {
        using var client = new HttpClient();
        await Eventually.TrueAsync(async () =>
        {
            try
            {
                using var response = await client.GetAsync(url, cancellationToken);
                return response.IsSuccessStatusCode;
            }
            catch (HttpRequestException)
            {
                return false;
            }
        });
    }

    private static int PortOf(ResourceEvent instance) => int.Parse(Variable(instance, "PHOENIX_PORT"));

    private static string Variable(ResourceEvent instance, string name) =>
        instance.Snapshot.EnvironmentVariables.Single(variable => variable.Name == name).Value!;
}
