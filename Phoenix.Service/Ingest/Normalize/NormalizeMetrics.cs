using Phoenix.Service.Metrics;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>What normalisation changed or left out, since the process started. Thread-safe.</summary>
internal sealed class NormalizeMetrics : IMetricSource
{
    private readonly SeriesSet<string, Counter> _redacted = new(
        static rule => PrometheusWriter.Labels(("rule", rule)), static () => new Counter());
    private readonly Counter _truncated = new();
    private readonly Counter _repaired = new();
    private readonly Counter _sampledOut = new();

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Values dropped, hashed or masked, over all rules.</summary>
    internal double RedactedValues => _redacted.All.Sum(static entry => entry.Series.Value);

    /// <summary>Values cut to the size limit.</summary>
    internal double TruncatedValues => _truncated.Value;

    /// <summary>Texts with invalid UTF-8 or NUL.</summary>
    internal double RepairedTexts => _repaired.Value;

    /// <summary>Spans left out by the sample rate.</summary>
    internal double SampledOutSpans => _sampledOut.Value;

    /// <summary>Counts one value that a rule dropped, hashed or masked.</summary>
    public void CountRedacted(string rule) => _redacted[rule].Add(1);

    /// <summary>Adds the figures of one request.</summary>
    public void CountRequest(int truncated, int repaired, int sampledOut)
    {
        if ((truncated | repaired | sampledOut) != 0)
        {
            _truncated.Add(truncated);
            _repaired.Add(repaired);
            _sampledOut.Add(sampledOut);
        }
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _redacted.WriteCounters(
            writer, "phoenix_redacted_attributes_total", "Values dropped, hashed or masked, by rule.", static counter => counter.Value);
        writer.Counter("phoenix_truncated_attributes_total", "Attribute values cut to the size limit.", _truncated.Value);
        writer.Counter("phoenix_repaired_texts_total", "Texts with invalid UTF-8 or NUL, replaced by U+FFFD.", _repaired.Value);
        writer.Counter("phoenix_head_sampled_out_spans_total", "Spans left out by the sample rate.", _sampledOut.Value);
        return ValueTask.CompletedTask;
    }
}
