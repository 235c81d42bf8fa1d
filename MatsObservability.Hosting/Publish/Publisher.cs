using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Aspire.Hosting.Publishing;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Hosting.Publish;

/// <summary>
/// One way of publishing, chosen by <c>--step</c>: gets the model and the output path (null if none was given) and returns the line that
/// tells people what was written.
/// </summary>
internal sealed record PublishStep(string Name,
    Func<DistributedApplicationModel, DistributedApplicationExecutionContext, string?, CancellationToken, Task<string>> RunAsync);

/// <summary>Publishes while the host starts, and then stops it: nothing of the model is ever run.</summary>
internal sealed class Publisher(
    IEnumerable<PublishStep> steps,
    DistributedApplicationModel model,
    DistributedApplicationExecutionContext executionContext,
    IDistributedApplicationEventing eventing,
    IConfiguration configuration,
    IServiceProvider services,
    IHostApplicationLifetime lifetime) : IHostedService
{
    /// <exception cref="DistributedApplicationException">The step is not known, or it failed.</exception>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var wanted = configuration[CommandLine.StepKey] ?? "publish";
        var step = steps.FirstOrDefault(step => string.Equals(step.Name, wanted, StringComparison.OrdinalIgnoreCase))
            ?? throw new DistributedApplicationException($"Step '{wanted}' not found. Available steps: {string.Join(", ", steps.Select(known => $"'{known.Name}'"))}.");

        await eventing.PublishAsync(new BeforePublishEvent(services, model), cancellationToken);
        var written = await step.RunAsync(model, executionContext, configuration[CommandLine.OutputPathKey], cancellationToken);
        await eventing.PublishAsync(new AfterPublishEvent(services, model), cancellationToken);
        Console.Out.WriteLine(written);
        lifetime.StopApplication();
    }

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
}
