using Phoenix.Service.Metrics;

namespace Phoenix.Service.Security;

/// <summary>Counts what was not let in, by reason.</summary>
internal sealed class SecurityMetrics : IMetricSource
{
    private readonly SeriesSet<Refusal, Counter> _refused = new(
        static refusal => PrometheusWriter.Labels(("reason", refusal.ToString().ToLowerInvariant())), static () => new Counter());

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Counts one refused request.</summary>
    public void Refused(Refusal reason) => _refused[reason].Add(1);

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _refused.WriteCounters(writer, "phoenix_auth_failures_total", "Requests refused for their credentials, or the lack of them.",
            static counter => counter.Value);
        return ValueTask.CompletedTask;
    }
}
