using System.Globalization;
using System.Text.RegularExpressions;

namespace MatsObservability.Tests.Phoenix.Metrics;

/// <summary>
/// A strict reader of the Prometheus text format: every sample belongs to a family opened once by HELP and TYPE just before it.
/// </summary>
internal sealed partial class PrometheusText
{
    private static readonly string[] s_histogramSuffixes = ["_bucket", "_sum", "_count"];
    private readonly Dictionary<string, string> _types = new(StringComparer.Ordinal);
    private readonly Dictionary<(string Name, string Labels), double> _samples = [];

    private PrometheusText()
    {
    }

    public IReadOnlyDictionary<string, string> Types => _types;

    public static PrometheusText Parse(string text)
    {
        var parsed = new PrometheusText();
        Assert.EndsWith("\n", text, StringComparison.Ordinal);
        var (family, help) = ("", "");
        foreach (var line in text.Split('\n', StringSplitOptions.RemoveEmptyEntries))
        {
            if (line == "# EOF")
            {
                continue;
            }

            if (Help().Match(line) is { Success: true } opened)
            {
                help = opened.Groups[1].Value;
            }
            else if (Type().Match(line) is { Success: true } type)
            {
                family = type.Groups[1].Value;
                Assert.Equal(help, family);
                Assert.True(parsed._types.TryAdd(family, type.Groups[2].Value), $"{family} is opened twice");
            }
            else
            {
                parsed.AddSample(line, family);
            }
        }

        return parsed;
    }

    /// <summary>The value of the one sample of this name whose labels are exactly these, in any order.</summary>
    public double this[string name, params string[] labels] => _samples[(name, string.Join(",", labels.Order(StringComparer.Ordinal)))];

    public bool Has(string name) => _samples.Keys.Any(key => key.Name == name);

    private void AddSample(string line, string family)
    {
        var sample = Sample().Match(line);
        Assert.True(sample.Success, $"not a sample: {line}");
        var name = sample.Groups["name"].Value;
        var expected = _types[family] == "histogram" ? s_histogramSuffixes.Select(suffix => family + suffix) : [family, family + "_total"];
        Assert.Contains(name, expected);
        var labels = Label().Matches(sample.Groups["labels"].Value).Select(match => match.Value).Order(StringComparer.Ordinal);
        var value = sample.Groups["value"].Value switch
        {
            "+Inf" => double.PositiveInfinity,
            "NaN" => double.NaN,
            var number => double.Parse(number, CultureInfo.InvariantCulture),
        };
        Assert.True(_samples.TryAdd((name, string.Join(",", labels)), value), $"given twice: {line}");
    }

    [GeneratedRegex("^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) .+$")]
    private static partial Regex Help();

    [GeneratedRegex("^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|unknown)$")]
    private static partial Regex Type();

    [GeneratedRegex("""^(?<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?<labels>([a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*",?)+)\})? (?<value>\+Inf|NaN|-?[0-9.]+([eE][+-]?[0-9]+)?)$""")]
    private static partial Regex Sample();

    [GeneratedRegex("""[a-zA-Z_][a-zA-Z0-9_]*="([^"\\\n]|\\["\\n])*\x22""")]
    private static partial Regex Label();
}
