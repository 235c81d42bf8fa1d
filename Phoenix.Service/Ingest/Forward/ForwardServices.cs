using MatsObservability.ServiceDefaults;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Listening;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>Registration of forwarding. Without an endpoint there is no <see cref="Forwarder"/>, and the pipeline keeps no body.</summary>
internal static class ForwardServices
{
    /// <summary>
    /// Options, and, where they name an endpoint, what sends to it. Call before the writers are added: they must end first.
    /// </summary>
    public static void AddForward(this WebApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddValidatedOptions<ForwardOptions>(ForwardOptions.Section, ForwardOptions.Check);

        // Asked while registering, when faults of the options are not told yet: they are told before anything is built.
        var options = ValidatedOptions.Peek<ForwardOptions>(builder.Configuration, ForwardOptions.Section);
        if (options.Endpoint.Length == 0)
        {
            return;
        }

        if (ForwardOptions.FaultOfLoop(options,
            ValidatedOptions.Peek<ListenOptions>(builder.Configuration, ListenOptions.Section)) is { } loop)
        {
            services.AddFault(loop);
        }

        // What waits here must not bring the process near the limit at which requests are refused.
        services.AddOptions<ForwardOptions>().PostConfigure<MemoryLimiter>(
            static (forward, memory) => forward.MaxQueueBytes = Math.Min(forward.MaxQueueBytes, memory.LimitBytes / 4));
        services.AddSingleton<ForwardMetrics>();
        services.AddSingleton<IMetricSource>(static provider => provider.GetRequiredService<ForwardMetrics>());
        services.AddSingleton<ForwardFilter>();
        services.AddSingleton<ForwardClient>();
        services.AddSingleton<Forwarder>();
        services.AddHostedService(static provider => provider.GetRequiredService<Forwarder>());
    }
}
