using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Phoenix.Service.Listening;
using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Metrics;

/// <summary>Puts the metrics into the service.</summary>
internal static class MetricsRegistration
{
    private const string OpenMetricsType = "application/openmetrics-text";

    /// <summary>Registers the classes the ingest path counts with, and every source a scrape reads.</summary>
    public static WebApplicationBuilder AddPhoenixMetrics(this WebApplicationBuilder builder)
    {
        builder.Services.TryAddSingleton(TimeProvider.System);
        builder.Services.AddSingleton<IngestMetrics>();
        builder.Services.TryAddSingleton<UserLabels>();
        builder.Services.AddSingleton<TraceMetrics>();
        builder.Services.AddSingleton<HttpMetrics>();
        builder.Services.AddSingleton<PostgresStatistics>();
        builder.Services.AddSingleton<IMetricSource>(static services => services.GetRequiredService<IngestMetrics>());
        builder.Services.AddSingleton<IMetricSource>(static services => services.GetRequiredService<TraceMetrics>());
        builder.Services.AddSingleton<IMetricSource>(static services => services.GetRequiredService<HttpMetrics>());
        builder.Services.AddSingleton<IMetricSource, BuildMetrics>();
        builder.Services.AddSingleton<IMetricSource, ProcessMetrics>();
        builder.Services.AddSingleton<IMetricSource, CollectorMetrics>();
        builder.Services.AddSingleton<IMetricSource, PostgresMetrics>();
        builder.Services.AddSingleton<IMetricSource, NodeMetrics>();
        return builder;
    }

    /// <summary>Maps <c>GET /metrics</c> on the metrics port, and starts counting HTTP requests.</summary>
    public static void MapPhoenixMetrics(this WebApplication app)
    {
        app.Services.GetRequiredService<HttpMetrics>().Start();
        app.MapGet("/metrics", ScrapeAsync).OnListeners(Listeners.Metrics).Needs(Access.Metrics).DisableHttpMetrics();
    }

    /// <summary>
    /// All families in the Prometheus text format, or OpenMetrics where asked for. <c>collect</c> (repeatable) restricts to groups; an
    /// unknown group is 400.
    /// </summary>
    private static async Task<Results<ContentHttpResult, BadRequest<string>>> ScrapeAsync(
        HttpContext context, IEnumerable<IMetricSource> sources, CancellationToken cancellationToken)
    {
        var wanted = new HashSet<MetricGroup>();
        foreach (var name in context.Request.Query["collect"])
        {
            // By its name alone: the framework's parser would also take numbers and lists.
            if (!Enum.GetNames<MetricGroup>().Contains(name, StringComparer.OrdinalIgnoreCase))
            {
                return TypedResults.BadRequest($"collect must be one of {string.Join(", ", Enum.GetNames<MetricGroup>()).ToLowerInvariant()}, got '{name}'");
            }

            wanted.Add(Enum.Parse<MetricGroup>(name!, ignoreCase: true));
        }

        var writer = new PrometheusWriter(
            context.Request.Headers.Accept.ToString().Contains(OpenMetricsType, StringComparison.OrdinalIgnoreCase));
        foreach (var source in sources.Where(source => wanted.Count == 0 || wanted.Contains(source.Group)))
        {
            await source.WriteAsync(writer, cancellationToken);
        }

        return TypedResults.Text(writer.Finish(), writer.ContentType, Encoding.UTF8);
    }
}
