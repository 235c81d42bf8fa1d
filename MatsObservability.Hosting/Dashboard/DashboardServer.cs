using System.Net;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Dashboard;

/// <summary>The resource page, served on the loopback interface only.</summary>
internal sealed class DashboardServer(RunContext context, ResourceCommandService commands) : IAsyncDisposable
{
    private static readonly TimeSpan s_stopLimit = TimeSpan.FromSeconds(1);

    private WebApplication? _app;

    /// <summary>Where the page is; null when it is off or not started yet.</summary>
    public string? Url { get; private set; }

    /// <summary>Starts to serve, unless the page is switched off.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        if (!context.Options.HasDashboard)
        {
            return;
        }

        var builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { EnvironmentName = "Production" });

        // The AppHost's own variables (ASPNETCORE_URLS of its launch profile) must not move the page.
        builder.Configuration.Sources.Clear();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            if (context.Options.DashboardPort == 0)
            {
                kestrel.Listen(IPAddress.Loopback, 0);
            }
            else
            {
                kestrel.ListenLocalhost(context.Options.DashboardPort);
            }
        });
        builder.Services.ConfigureHttpJsonOptions(
            json => json.SerializerOptions.TypeInfoResolverChain.Insert(0, DashboardJsonContext.Default));
        builder.Services.AddSingleton(context);
        builder.Services.AddSingleton(commands);
        _app = builder.Build();
        _app.Use(LoopbackOnly.CheckAsync);
        _app.MapDashboard();
        await _app.StartAsync(cancellationToken);
        var address = _app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.First();
        Url = $"http://localhost:{BindingAddress.Parse(address).Port}";
    }

    public async ValueTask DisposeAsync()
    {
        if (Interlocked.Exchange(ref _app, null) is { } app)
        {
            // Pages that are open keep their event streams until the end of time.
            using var limit = new CancellationTokenSource(s_stopLimit);
            await app.StopAsync(limit.Token);
            await app.DisposeAsync();
        }
    }
}
