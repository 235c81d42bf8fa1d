using System.Diagnostics.Metrics;
using System.Globalization;

namespace Phoenix.Service.Metrics;

/// <summary>API requests by route, method and status, from the framework's own request histogram.</summary>
internal sealed class HttpMetrics : IMetricSource, IDisposable
{
    private const string Meter = "Microsoft.AspNetCore.Hosting";
    private const string Instrument = "http.server.request.duration";
    private const int MostSeries = 1000;
    private static readonly double[] s_bounds = [.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30];

    private readonly MeterListener _listener = new();
    private readonly LabelCap _routes = new(MostSeries);
    private readonly IMeterFactory _meters;
    private readonly SeriesSet<(string Route, string Method, int Code), Counter> _requests = new(
        static key =>
            PrometheusWriter.Labels(("route", key.Route), ("method", key.Method),
                ("code", key.Code.ToString(CultureInfo.InvariantCulture))),
        static () => new Counter());

    private readonly SeriesSet<(string Route, string Method), Histogram> _durations = new(
        static key => PrometheusWriter.Labels(("route", key.Route), ("method", key.Method)), static () => new Histogram(s_bounds));

    public HttpMetrics(IMeterFactory meters)
    {
        _meters = meters;
        _listener.InstrumentPublished = Publish;
        _listener.SetMeasurementEventCallback<double>(Measure);
    }

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Phoenix;

    /// <summary>Begins to count.</summary>
    public void Start() => _listener.Start();

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        _requests.WriteCounters(writer, "phoenix_http_requests_total", "HTTP requests answered.", static counter => counter.Value);
        writer.Family("phoenix_http_request_duration_seconds", MetricType.Histogram, "Time to answer an HTTP request.");
        foreach (var (labels, histogram) in _durations.All)
        {
            histogram.Write(writer, "phoenix_http_request_duration_seconds", labels);
        }

        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public void Dispose() => _listener.Dispose();

    // Several hosts may share a process (tests): a meter's scope is the factory of the host that made it.
    private void Publish(Instrument instrument, MeterListener listener)
    {
        if (instrument.Meter.Name == Meter && instrument.Name == Instrument && ReferenceEquals(instrument.Meter.Scope, _meters))
        {
            listener.EnableMeasurementEvents(instrument);
        }
    }

    private void Measure(Instrument instrument, double seconds, ReadOnlySpan<KeyValuePair<string, object?>> tags, object? state)
    {
        var (route, method, code) = ("", "", 0);
        foreach (var (key, value) in tags)
        {
            switch (key)
            {
                case "http.route":
                    route = value as string ?? "";
                    break;
                case "http.request.method":
                    method = value as string ?? "";
                    break;
                case "http.response.status_code":
                    code = value as int? ?? 0;
                    break;
            }
        }

        route = _routes.Admit(route);
        _requests[(route, method, code)].Add(1);
        _durations[(route, method)].Observe(seconds);
    }
}
