using System.Net;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Tests.ServiceDefaults;

public sealed class HealthEndpointTests
{
    [Theory]
    [InlineData("/alive", HttpStatusCode.OK)]
    [InlineData("/health/live", HttpStatusCode.OK)]
    [InlineData("/healthz", HttpStatusCode.OK)]
    [InlineData("/health", HttpStatusCode.ServiceUnavailable)]
    [InlineData("/health/ready", HttpStatusCode.ServiceUnavailable)]
    [InlineData("/readyz", HttpStatusCode.ServiceUnavailable)]
    public async Task Probe_DependencyDown_OnlyReadinessFails(string path, HttpStatusCode expected)
    {
        await using var service = await TestService.StartAsync(
            app => app.MapDefaultEndpoints(),
            builder =>
            {
                builder.AddServiceDefaults();
                builder.Services.AddHealthChecks().AddCheck("dependency", () => HealthCheckResult.Unhealthy());
            });

        using var response = await service.Client.GetAsync(path);

        Assert.Equal(expected, response.StatusCode);
    }

    [Fact]
    public async Task Probe_DatabaseUnreachable_ReadinessFails()
    {
        await using var service = await TestService.StartAsync(
            app => app.MapDefaultEndpoints(),
            builder =>
            {
                builder.AddServiceDefaults();
                builder.AddNpgsqlDataSource("phoenixdb");
            },
            ("ConnectionStrings:phoenixdb", "Host=127.0.0.1;Port=1;Username=nobody;Timeout=2"));

        using var ready = await service.Client.GetAsync("/health/ready");
        using var live = await service.Client.GetAsync("/health/live");

        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Equal(HttpStatusCode.OK, live.StatusCode);
    }

    [Fact]
    public async Task MapDefaultEndpoints_ServiceHasItsOwnHealth_ServiceWins()
    {
        await using var service = await TestService.StartAsync(
            app =>
            {
                app.MapGet("/health", () => "its own");
                app.MapDefaultEndpoints();
            },
            builder => builder.AddServiceDefaults());

        Assert.Equal("its own", await service.Client.GetStringAsync("/health"));
    }

    [Fact]
    public async Task AddNpgsqlDataSource_NoConnectionString_SaysWhereItBelongs()
    {
        await using var service = await TestService.StartAsync(_ => { }, builder => builder.AddNpgsqlDataSource("phoenixdb"));

        var failure = Assert.Throws<InvalidOperationException>(() => service.Services.GetRequiredService<Npgsql.NpgsqlDataSource>());

        Assert.Contains("ConnectionStrings:phoenixdb", failure.Message, StringComparison.Ordinal);
    }
}
