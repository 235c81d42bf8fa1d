using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Retention;

/// <summary>What retention removed since the process started. Thread-safe.</summary>
internal sealed class RetentionMetrics : IMetricSource
{
    private readonly SeriesSet<string, Counter> _partitions = new(
        static signal => PrometheusWriter.Labels(("signal", signal)), static () => new Counter());
    private readonly SeriesSet<string, Counter> _rows = new(
        static signal => PrometheusWriter.Labels(("signal", signal)), static () => new Counter());
    private readonly Counter _traces = new();
    private long _lastRunMilliseconds;

    /// <summary>Starts every series at zero.</summary>
    public RetentionMetrics()
    {
        foreach (var signal in Enum.GetValues<Signal>())
        {
            (_, _) = (_partitions[Partitions.Parent(signal)], _rows[Partitions.Parent(signal)]);
        }
    }

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Counts a partition that was dropped.</summary>
    public void CountPartition(Signal signal) => _partitions[Partitions.Parent(signal)].Add(1);

    /// <summary>Counts rows removed one by one.</summary>
    public void CountRows(Signal signal, long rows) => _rows[Partitions.Parent(signal)].Add(rows);

    /// <summary>Counts traces removed from the roll-ups.</summary>
    public void CountTraces(long traces) => _traces.Add(traces);

    /// <summary>Notes a run that went to its end.</summary>
    public void Finished(DateTimeOffset at) => Volatile.Write(ref _lastRunMilliseconds, at.ToUnixTimeMilliseconds());

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _partitions.WriteCounters(writer, "phoenix_retention_dropped_partitions_total", "Expired partitions dropped.",
            static counter => counter.Value);
        _rows.WriteCounters(writer, "phoenix_retention_removed_rows_total", "Expired rows removed from partitions that hold others.",
            static counter => counter.Value);
        writer.Counter("phoenix_retention_removed_traces_total", "Traces removed from the roll-ups because they expired.", _traces.Value);
        var lastRun = Volatile.Read(ref _lastRunMilliseconds);
        if (lastRun > 0)
        {
            writer.Gauge("phoenix_retention_last_run_timestamp_seconds",
                "Unix time at which retention last ran to its end.", lastRun / 1000d);
        }

        return ValueTask.CompletedTask;
    }
}
