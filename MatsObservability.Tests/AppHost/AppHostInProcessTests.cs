using System.Net;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using MatsObservability.Hosting.Run;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;

namespace MatsObservability.Tests.AppHost;

/// <summary>The whole system inside the test, by the testing builder.</summary>
[Trait("Req", "A010")]
public sealed class AppHostInProcessTests
{
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(180);

    [Fact]
    public async Task CreateAsync_WholeAppHost_RunsOnRandomPortsAndIsDisposedClean()
    {
        using var deadline = new CancellationTokenSource(s_limit);
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            deadline.Token);
        await using var app = await builder.BuildAsync(deadline.Token);
        await app.StartAsync(deadline.Token);

        await app.ResourceNotifications.WaitForResourceHealthyAsync("phoenix", deadline.Token);
        await app.ResourceNotifications.WaitForResourceHealthyAsync("orchestrator", deadline.Token);

        using var phoenix = app.CreateHttpClient("phoenix", "http");
        using var orchestrator = app.CreateHttpClient("orchestrator", "http");
        Assert.Equal(HttpStatusCode.OK, (await phoenix.GetAsync("/healthz", deadline.Token)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await orchestrator.GetAsync("/health", deadline.Token)).StatusCode);
        Assert.NotEqual(6006, phoenix.BaseAddress!.Port);
        Assert.NotEqual(8084, orchestrator.BaseAddress!.Port);
        Assert.Equal(phoenix.BaseAddress, app.GetEndpoint("phoenix", "http"));

        await using (var connection = new NpgsqlConnection(await app.GetConnectionStringAsync("phoenixdb", deadline.Token)))
        {
            await connection.OpenAsync(deadline.Token);
            Assert.Equal("phoenixdb", connection.Database);
        }

        NpgsqlConnection.ClearAllPools();
        var data = app.Services.GetRequiredService<RunOptions>().DataDirectory;
        Assert.True(Directory.Exists(data));
        await app.DisposeAsync();
        Assert.False(Directory.Exists(data));
        await Assert.ThrowsAsync<HttpRequestException>(() => phoenix.GetAsync("/healthz", deadline.Token));
    }

    [Fact]
    public async Task GetEndpoint_BeforeStart_SaysThatItMustBeStarted()
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>();
        await using var app = await builder.BuildAsync();

        var failure = Assert.Throws<InvalidOperationException>(() => app.GetEndpoint("phoenix", "http"));

        Assert.Equal("The application must be started before resolving endpoints or connection strings.", failure.Message);
    }

    [Fact]
    public async Task CreateAsync_BuilderIsChangedBeforeBuild_TakesPartInTheModel()
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["Ports:phoenix-http=12345"]);

        Assert.True(builder.Resources.TryGetByName("phoenix", out var phoenix));
        Assert.Equal(
            12345, phoenix!.Annotations.OfType<Aspire.Hosting.ApplicationModel.EndpointAnnotation>()
                .Single(endpoint => endpoint.Name == "http").Port);
        Assert.Equal("Development", builder.Environment.EnvironmentName);
        builder.Services.AddSingleton("added by the test");
        await using var app = await builder.BuildAsync();
        Assert.Equal("added by the test", app.Services.GetRequiredService<string>());
    }

    [Fact]
    public async Task CreateAsync_EntryPointFails_ThrowsItsException()
    {
        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(["--operation=teach"]));

        Assert.Contains("Invalid operation", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CreateAsync_EmptyArgument_IsRefused() =>
        await Assert.ThrowsAsync<ArgumentException>(
            () => DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>([""]));
}
