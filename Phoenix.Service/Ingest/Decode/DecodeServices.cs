using MatsObservability.ServiceDefaults;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Phoenix.Service.Cost;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Registration of everything between the body of a request and its rows.</summary>
internal static class DecodeServices
{
    /// <summary>
    /// The decoders of the three signals with redaction, sampling, prices and their options; the caller registers a
    /// <see cref="ProjectLookup"/>.
    /// </summary>
    public static IServiceCollection AddDecode(this IServiceCollection services)
    {
        services.AddValidatedOptions<DecodeOptions>(DecodeOptions.Section, DecodeOptions.Check);
        services.AddValidatedOptions<NormalizeOptions>(NormalizeOptions.Section, NormalizeOptions.Check);
        services.AddValidatedOptions<RedactionOptions>(RedactionOptions.Section, RedactionOptions.Check);
        services.AddValidatedOptions<CostOptions>(CostOptions.Section, CostOptions.Check);
        services.AddHostedService<PriceFileWatcher>();
        services.AddSingleton<IMetricSource>(static provider => provider.GetRequiredService<NormalizeMetrics>());
        return services.AddDecoders();
    }

    /// <summary>The decoders with whatever options are there: defaults where none are bound.</summary>
    public static IServiceCollection AddDecoders(this IServiceCollection services)
    {
        services.AddOptions();
        services.TryAddSingleton(TimeProvider.System);
        services.AddSingleton<NormalizeMetrics>();
        services.TryAddSingleton<UserLabels>();
        services.AddSingleton<Redactor>();
        services.AddSingleton<SessionRules>();
        services.AddSingleton<AttributeKeys>();
        services.AddSingleton<AttributePolicy>();
        services.AddSingleton<LoggedEvents>();
        services.AddSingleton<HeadSampler>();
        services.AddSingleton<PriceBook>();
        services.AddSingleton<ResourceInterner>();
        services.AddSingleton<SeriesInterner>();
        services.AddSingleton<SpanNormalizer>();
        services.AddSingleton<SpanDecoder>();
        services.AddSingleton<LogDecoder>();
        services.AddSingleton<MetricDecoder>();
        return services;
    }
}
