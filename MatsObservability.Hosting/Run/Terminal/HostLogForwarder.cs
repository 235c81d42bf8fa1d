using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run.Terminal;

/// <summary>
/// Passes the output of resources on to the host's logging, in the category <c>application.Resources.name</c>; for tests, where asked for.
/// </summary>
internal sealed class HostLogForwarder(RunContext context, IHostEnvironment environment,
    ILoggerFactory loggers) : IHostedService, IDisposable
{
    private readonly CancellationTokenSource _ending = new();
    private Task _forwarding = Task.CompletedTask;

    public Task StartAsync(CancellationToken cancellationToken)
    {
        if (context.Options.LogsToHost)
        {
            _forwarding = Task.WhenAll(context.Model.Resources.Select(ForwardAsync));
        }

        return Task.CompletedTask;
    }

    public async Task StopAsync(CancellationToken cancellationToken)
    {
        await _ending.CancelAsync();
        await _forwarding;
    }

    public void Dispose()
    {
        _ending.Cancel();
        _ending.Dispose();
    }

    private async Task ForwardAsync(IResource resource)
    {
        var logger = loggers.CreateLogger($"{environment.ApplicationName}.Resources.{resource.Name}");
        try
        {
            await foreach (var lines in context.Loggers.WatchAsync(resource).WithCancellation(_ending.Token))
            {
                foreach (var line in lines)
                {
                    logger.Log(line.IsErrorMessage ? LogLevel.Error : LogLevel.Information, "{Line}", line.Content);
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The run is over.
        }
    }
}
