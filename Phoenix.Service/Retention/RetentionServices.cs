using MatsObservability.ServiceDefaults;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Retention;

/// <summary>Registration of what removes telemetry on its own.</summary>
internal static class RetentionServices
{
    /// <summary>Tail sampling, when it is switched on, and the retention job.</summary>
    public static void AddRetention(this WebApplicationBuilder builder)
    {
        builder.Services.AddValidatedOptions<TailSamplingOptions>(TailSamplingOptions.Section, TailSamplingOptions.Check);
        builder.Services.AddSingleton<TailSamplingMetrics>();
        builder.Services.AddSingleton<IMetricSource>(services => services.GetRequiredService<TailSamplingMetrics>());
        builder.Services.AddHostedService<TailSampler>();
        builder.Services.AddValidatedOptions<RetentionOptions>(RetentionOptions.Section, RetentionOptions.Check);
        builder.Services.AddSingleton<RetentionMetrics>();
        builder.Services.AddSingleton<IMetricSource>(services => services.GetRequiredService<RetentionMetrics>());
        builder.Services.AddSingleton<RetentionStore>();
        builder.Services.AddHostedService<RetentionJob>();
    }
}
