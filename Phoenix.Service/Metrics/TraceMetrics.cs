using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Metrics;

/// <summary>
/// The <c>phoenix_trace_*</c> families: spans and durations of what was committed since the process started, tokens and cost of what it
/// added to the roll-ups. Over all replicas each is counted once. Labels are bounded: values
/// past their caps count as <c>other</c>, and so do models, providers and users whose combination comes after too many others.
/// </summary>
internal sealed class TraceMetrics(UserLabels users, TimeProvider time) : IMetricSource
{
    private const int MostModels = 200;
    private const int MostProviders = 50;
    private const int MostProjects = 100;
    private const int MostSpanSeries = 20_000;

    /// <summary>Combinations of model, provider and kind; each starts a series for every kind of failure.</summary>
    private const int MostCombinations = 1500;

    private const double NanosPerSecond = 1e9;
    private const double PicoUsdPerUsd = 1e12;
    private const string Other = "other";

    private static readonly double[] s_durationBounds = [.. MinuteDelta.DurationBounds];

    private readonly LabelCap _models = new(MostModels);
    private readonly LabelCap _providers = new(MostProviders);
    private readonly LabelCap _projects = new(MostProjects);
    private readonly TraceSizes _sizes = new(time);
    private readonly SeriesSet<CountKey, Counter> _counts = new(
        static key => PrometheusWriter.Labels(
            ("status", key.Failed ? "error" : "ok"), ("llm_model", key.Of.Model), ("llm_provider",
                key.Of.Provider), ("error_type", SpanErrors.Name(key.Error)),
            ("user_id", key.User), ("span_kind", key.Of.Kind)),
        static () => new Counter());

    private readonly SeriesSet<SpanKey, Histogram> _durations = new(
        static key => PrometheusWriter.Labels(("llm_model", key.Model), ("llm_provider", key.Provider), ("span_kind", key.Kind)),
        static () => new Histogram(s_durationBounds));

    private readonly SeriesSet<ModelKey, ModelSeries> _usage = new(
        static key => PrometheusWriter.Labels(("llm_model", key.Model), ("llm_provider", key.Provider)), static () => new ModelSeries());

    private readonly SeriesSet<string, Counter> _traces = new(
        static project => PrometheusWriter.Labels(("project", project)), static () => new Counter());

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Adds a request that was stored whole.</summary>
    public void Committed(TelemetryBatch batch)
    {
        Committed(batch.Minutes);
        _sizes.Add(batch.Traces);
    }

    /// <summary>Adds what a commit stored. Rows dropped as duplicates must not be among the deltas.</summary>
    public void Committed(IReadOnlyList<MinuteDelta> minutes)
    {
        foreach (var minute in minutes)
        {
            var key = Bounded(new SpanKey(_models.Admit(minute.Key.Model), _providers.Admit(minute.Key.Provider),
                SpanLabels.Name(minute.Key.SpanKind)));
            CountSpans(key, minute);
            _durations[key].Add(minute.Buckets, minute.DurationNanos / NanosPerSecond);
            if (key.Model.Length > 0)
            {
                // Starts at zero, so that a first increase is seen.
                _ = Usage(key.Model, key.Provider);
            }
        }
    }

    /// <summary>Counts traces seen for the first time, and usage: only the roll-ups know which calls are reported twice.</summary>
    public void Count(RollupFindings found)
    {
        foreach (var (project, traces) in found.Traces)
        {
            _traces[_projects.Admit(project)].Add(traces);
        }

        foreach (var ((model, provider), usage) in found.Usage)
        {
            var series = Usage(_models.Admit(model), _providers.Admit(provider));
            series.PromptTokens.Add(usage.PromptTokens);
            series.CompletionTokens.Add(usage.CompletionTokens);
            series.CostUsd.Add(usage.CostPicoUsd / PicoUsdPerUsd);
        }
    }

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _counts.WriteCounters(writer, "phoenix_trace_spans_total", "Spans stored, by status, model, provider, failure, user and kind.",
            static counter => counter.Value);
        writer.Family("phoenix_trace_duration_seconds", MetricType.Histogram, "Durations of stored spans.");
        foreach (var (labels, series) in _durations.All)
        {
            series.Write(writer, "phoenix_trace_duration_seconds", labels);
        }

        writer.Family("phoenix_trace_llm_token_usage_total", MetricType.Counter,
            "Tokens of LLM and EMBEDDING spans, of calls reported twice once; cached and reasoning tokens are parts, not extra.");
        foreach (var (labels, series) in _usage.All)
        {
            writer.Sample("phoenix_trace_llm_token_usage_total", $"{labels},token_type=\"prompt\"", series.PromptTokens.Value);
            writer.Sample("phoenix_trace_llm_token_usage_total", $"{labels},token_type=\"completion\"", series.CompletionTokens.Value);
        }

        _usage.WriteCounters(
            writer, "phoenix_trace_llm_estimated_cost_usd_total", "Cost by the price table, in USD, of calls reported twice once.",
            static series => series.CostUsd.Value);
        _traces.WriteCounters(writer, "phoenix_traces_total", "Traces first seen, by project.", static counter => counter.Value);
        _sizes.Sweep();
        writer.Family("phoenix_trace_size_bytes", MetricType.Histogram, "OTLP bytes of traces that have been quiet for 30 s.");
        _sizes.Sizes.Write(writer, "phoenix_trace_size_bytes", "");
        return ValueTask.CompletedTask;
    }

    private SpanKey Bounded(SpanKey key) => _durations.TryGet(key, out _) || _durations.Count < MostCombinations
        ? key
        : key with { Model = Rest(key.Model), Provider = Rest(key.Provider) };

    private ModelSeries Usage(string model, string provider)
    {
        var key = new ModelKey(model, provider);
        return _usage[_usage.TryGet(key, out _) || _usage.Count < MostCombinations ? key : new ModelKey(Rest(model), Rest(provider))];
    }

    /// <summary>What is absent stays so.</summary>
    private static string Rest(string value) => value.Length == 0 ? value : Other;

    private void CountSpans(SpanKey of, MinuteDelta minute)
    {
        var failed = minute.Key.Status == SpanErrors.ErrorStatus;
        var rest = minute.Spans;
        foreach (var part in minute.Parts)
        {
            // A failure that is named counts as one even when the sender set no status.
            Count(new CountKey(of, failed || part.Error != SpanError.None, part.Error, users.Admit(part.User))).Add(part.Spans);
            rest -= part.Spans;
        }

        Count(new CountKey(of, failed, SpanError.None, "")).Add(rest);
    }

    private Counter Count(CountKey key)
    {
        if (_counts.TryGet(key, out var counter))
        {
            return counter;
        }

        // Every failure starts at zero, so that a first increase is seen.
        _ = _counts[new CountKey(key.Of, false, SpanError.None, "")];
        foreach (var error in Enum.GetValues<SpanError>())
        {
            _ = _counts[new CountKey(key.Of, true, error, "")];
        }

        return _counts[key.User.Length > 0 && _counts.Count >= MostSpanSeries ? key with { User = Other } : key];
    }

    private readonly record struct SpanKey(string Model, string Provider, string Kind);

    private readonly record struct CountKey(SpanKey Of, bool Failed, SpanError Error, string User);

    private readonly record struct ModelKey(string Model, string Provider);

    private sealed class ModelSeries
    {
        public Counter PromptTokens { get; } = new();

        public Counter CompletionTokens { get; } = new();

        public Counter CostUsd { get; } = new();
    }
}
