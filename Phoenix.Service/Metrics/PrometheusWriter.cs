using System.Globalization;
using System.Text;

namespace Phoenix.Service.Metrics;

/// <summary>The types of the Prometheus text format.</summary>
internal enum MetricType
{
    Counter,
    Gauge,
    Histogram,
}

/// <summary>
/// Writes metric families in the Prometheus text format 0.0.4, or in OpenMetrics 1.0 where the scraper asks for it. Every family is opened
/// once, then its samples follow. Not thread-safe.
/// </summary>
internal sealed class PrometheusWriter(bool openMetrics)
{
    private const string CounterSuffix = "_total";
    private readonly StringBuilder _text = new(16 * 1024);

    /// <summary>Content type of <see cref="Finish"/>.</summary>
    public string ContentType => openMetrics
        ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
        : "text/plain; version=0.0.4; charset=utf-8";

    /// <summary>HELP and TYPE lines.</summary>
    public void Family(string name, MetricType type, string help)
    {
        var (familyName, typeName) = (name, type.ToString().ToLowerInvariant());
        if (openMetrics && type == MetricType.Counter)
        {
            // OpenMetrics names the family without _total and forbids counters whose samples lack it.
            (familyName, typeName) = name.EndsWith(CounterSuffix, StringComparison.Ordinal)
                ? (name[..^CounterSuffix.Length], typeName)
                : (name, "unknown");
        }

        _text.Append("# HELP ").Append(familyName).Append(' ');
        AppendEscaped(help, escapeQuotes: openMetrics);
        _text.Append("\n# TYPE ").Append(familyName).Append(' ').Append(typeName).Append('\n');
    }

    /// <summary>One sample; <paramref name="labels"/> is what <see cref="Labels"/> made, or empty.</summary>
    public void Sample(string name, string labels, double value)
    {
        _text.Append(name);
        if (labels.Length > 0)
        {
            _text.Append('{').Append(labels).Append('}');
        }

        _text.Append(' ').Append(Number(value)).Append('\n');
    }

    /// <summary>A family of one gauge without labels.</summary>
    public void Gauge(string name, string help, double value)
    {
        Family(name, MetricType.Gauge, help);
        Sample(name, "", value);
    }

    /// <summary>A family of one counter without labels.</summary>
    public void Counter(string name, string help, double value)
    {
        Family(name, MetricType.Counter, help);
        Sample(name, "", value);
    }

    /// <summary>The whole text.</summary>
    public string Finish()
    {
        if (openMetrics)
        {
            _text.Append("# EOF\n");
        }

        return _text.ToString();
    }

    /// <summary>
    /// <c>name="value"</c> pairs separated by commas, values escaped; pairs with an empty value are left out (empty means absent).
    /// </summary>
    public static string Labels(params ReadOnlySpan<(string Name, string Value)> labels)
    {
        var writer = new PrometheusWriter(openMetrics: true);
        foreach (var (name, value) in labels)
        {
            if (value.Length == 0)
            {
                continue;
            }

            if (writer._text.Length > 0)
            {
                writer._text.Append(',');
            }

            writer._text.Append(name).Append("=\"");
            writer.AppendEscaped(value, escapeQuotes: true);
            writer._text.Append('"');
        }

        return writer._text.ToString();
    }

    /// <summary>A number as the format spells it.</summary>
    public static string Number(double value) => value switch
    {
        double.PositiveInfinity => "+Inf",
        double.NegativeInfinity => "-Inf",
        double.NaN => "NaN",
        _ => value.ToString("R", CultureInfo.InvariantCulture),
    };

    private void AppendEscaped(string value, bool escapeQuotes)
    {
        foreach (var character in value)
        {
            _ = character switch
            {
                '\\' => _text.Append("\\\\"),
                '\n' => _text.Append("\\n"),
                '"' when escapeQuotes => _text.Append("\\\""),
                _ => _text.Append(character),
            };
        }
    }
}
