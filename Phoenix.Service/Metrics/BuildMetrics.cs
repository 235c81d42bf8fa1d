using System.Reflection;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Metrics;

/// <summary>Which build answers, the memory it may use, and whether its database takes writes.</summary>
internal sealed class BuildMetrics(MemoryLimiter memory, DatabaseState database) : IMetricSource
{
    private readonly string _labels = Describe(typeof(BuildMetrics).Assembly);

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        writer.Family("phoenix_build_info", MetricType.Gauge, "1; the labels say which build runs.");
        writer.Sample("phoenix_build_info", _labels, 1);
        writer.Gauge("phoenix_memory_limit_bytes",
            "Memory the process may use: PHOENIX_MEMORY_LIMIT, else three quarters of the container's or machine's.", memory.LimitBytes);
        writer.Gauge("phoenix_database_writable", "1; 0 while the database refuses writes because its disk is full or it is read-only.",
            database.Refusal is null ? 1 : 0);
        return ValueTask.CompletedTask;
    }

    // The compiler appends the commit to the informational version behind a plus sign.
    private static string Describe(Assembly assembly)
    {
        var version = assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion ?? "";
        var plus = version.IndexOf('+', StringComparison.Ordinal);
        return plus < 0
            ? PrometheusWriter.Labels(("version", version))
            : PrometheusWriter.Labels(("version", version[..plus]), ("revision", version[(plus + 1)..]));
    }
}
