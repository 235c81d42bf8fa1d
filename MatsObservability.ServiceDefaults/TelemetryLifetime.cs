using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Trace;

namespace MatsObservability.ServiceDefaults;

/// <summary>
/// Builds the providers before the first request, and shuts them down when the host stops, which sends what is pending. Registered first,
/// so it stops last: what other hosted services record while they stop is still exported. The container disposes the providers.
/// </summary>
internal sealed class TelemetryLifetime(IServiceProvider services) : IHostedService
{
    // Well inside the grace of supervisors (4 s in the AppHost), also when no receiver answers: the disposal of a provider that was shut
    // down waits for nothing any more.
    private const int ShutdownMilliseconds = 1000;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        services.GetService<MeterProvider>();
        services.GetService<TracerProvider>();
        services.GetService<LoggerProvider>();
        return Task.CompletedTask;
    }

    // Shutdown blocks up to its timeout; the three run side by side so that one silent backend costs the shutdown that long only once.
    public Task StopAsync(CancellationToken cancellationToken) => Task.WhenAll(
        RunAsync(() => services.GetService<TracerProvider>()?.Shutdown(ShutdownMilliseconds)),
        RunAsync(() => services.GetService<MeterProvider>()?.Shutdown(ShutdownMilliseconds)),
        RunAsync(() => services.GetService<LoggerProvider>()?.Shutdown(ShutdownMilliseconds)));

    // On a thread of its own: what blocks must not take the pool's few threads from those who would end the wait.
    private static Task RunAsync(Action shutdown) =>
        Task.Factory.StartNew(shutdown, CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default);
}
