using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Ui.Models;

/// <summary>What happened in one slice of time; the latencies are of model calls, in ns, null without any.</summary>
public sealed record ActivitySlice(
    long StartNanos, long Spans, long Errors, long PromptTokens, long CompletionTokens, long CostPicoUsd,
    double? P50Nanos, double? P95Nanos);

/// <summary>A project's activity in equal slices without gaps, ascending.</summary>
public sealed record ActivityView(IReadOnlyList<ActivitySlice> Slices, long SliceNanos)
{
    private const long NanosPerMinute = 60_000_000_000;
    private const double NanosPerSecond = 1e9;

    /// <summary>End of the last slice.</summary>
    public long EndNanos => Slices[^1].StartNanos + SliceNanos;

    internal static ActivityView? From(IReadOnlyList<ActivityRow> rows, long sliceMinutes)
    {
        if (rows.Count == 0)
        {
            return null;
        }

        var byMinute = rows.ToDictionary(static row => row.StartMinute);
        var slices = new List<ActivitySlice>();
        for (var minute = rows[0].StartMinute; minute <= rows[^1].StartMinute; minute += sliceMinutes)
        {
            var start = minute * NanosPerMinute;
            slices.Add(byMinute.TryGetValue(minute, out var row)
                ? new ActivitySlice(
                    start, row.Spans, row.Errors, row.PromptTokens, row.CompletionTokens, row.CostPicoUsd, Quantile(row.LlmBuckets, 0.5),
                    Quantile(row.LlmBuckets, 0.95))
                : new ActivitySlice(start, 0, 0, 0, 0, 0, null, null));
        }

        return new ActivityView(slices, sliceMinutes * NanosPerMinute);
    }

    /// <summary>
    /// The quantile, in ns, of a histogram by <see cref="MinuteDelta.DurationBounds"/>, interpolated within its bucket as Prometheus does;
    /// the highest bound when it lies above all; null without observations.
    /// </summary>
    internal static double? Quantile(IReadOnlyList<long> buckets, double quantile)
    {
        var bounds = MinuteDelta.DurationBounds;
        var rank = buckets.Sum() * quantile;
        if (rank == 0)
        {
            return null;
        }

        var below = 0L;
        for (var bucket = 0; bucket < bounds.Length; bucket++)
        {
            if (below + buckets[bucket] >= rank)
            {
                var lower = bucket == 0 ? 0 : bounds[bucket - 1];
                return (lower + (bounds[bucket] - lower) * (rank - below) / buckets[bucket]) * NanosPerSecond;
            }

            below += buckets[bucket];
        }

        return bounds[^1] * NanosPerSecond;
    }
}

/// <summary>What one model was used for; latencies in ns.</summary>
public sealed record ModelUsageView(
    string Model, string Provider, long Calls, long Errors, long PromptTokens, long CompletionTokens, long CostPicoUsd,
    double? P50Nanos, double? P95Nanos)
{
    internal static ModelUsageView From(ModelUsageRow row) => new(
        row.Model, row.Provider, row.Calls, row.Errors, row.PromptTokens, row.CompletionTokens, row.CostPicoUsd,
        ActivityView.Quantile(row.Buckets, 0.5),
        ActivityView.Quantile(row.Buckets, 0.95));
}
