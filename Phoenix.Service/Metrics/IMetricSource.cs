namespace Phoenix.Service.Metrics;

/// <summary>The groups a scrape may ask for by <c>collect=</c>.</summary>
internal enum MetricGroup
{
    Phoenix,
    Process,
    Otelcol,
    Pg,
    Node,
}

/// <summary>Something that writes whole metric families of one group when scraped.</summary>
internal interface IMetricSource
{
    /// <summary>The group its families belong to.</summary>
    public MetricGroup Group { get; }

    /// <summary>
    /// Writes every family once. A source whose data cannot be read writes what says so, or nothing; it does not throw for that.
    /// </summary>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken);
}
