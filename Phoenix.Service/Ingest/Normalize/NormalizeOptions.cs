using System.Globalization;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>Sampling, limits and token rules between decoding and storing.</summary>
internal sealed class NormalizeOptions
{
    /// <summary>Configuration section.</summary>
    public const string Section = "Phoenix:Normalize";

    /// <summary>Share of traces that are kept, from 0 to 1, decided by the trace id: the same on every replica, and whole traces.</summary>
    public double SampleRate { get; set; } = 1;

    /// <summary>Share of traces by project, as <c>name=0.25</c>; wins over <see cref="SampleRate"/>.</summary>
    public string[] ProjectSampleRates { get; set; } = [];

    /// <summary>Share of traces by <c>service.name</c>, as <c>name=0.25</c>; wins over both.</summary>
    public string[] ServiceSampleRates { get; set; } = [];

    /// <summary>
    /// Paths whose spans (http.target or url.path, without a query) are left out, such as /health and /metrics; empty = all spans stay.
    /// </summary>
    public string[] FilterPaths { get; set; } = [];

    /// <summary>
    /// Longest text or bytes of one attribute value that is kept, in bytes; the rest is cut and marked (PHOENIX_MAX_TRACE_SIZE).
    /// </summary>
    public long MaxTraceBytes { get; set; } = 1024 * 1024;

    /// <summary>
    /// Most attributes of one span, event, link, log record, resource or scope that are kept, and most events and links of a span; further
    /// ones are added to the sender's dropped counts.
    /// </summary>
    public int MaxAttributes { get; set; } = 4096;

    /// <summary>
    /// Scopes whose prompt tokens never include cached ones, whatever the numbers look like (docs/conventions.md, Tokens).
    /// </summary>
    public string[] ExclusiveCacheScopes { get; set; } = [];

    /// <summary>
    /// A JSON file of attributes that name a span's session, tried before the built-in ones (<see cref="SessionRules"/>); empty = none.
    /// </summary>
    public string SessionRulesFile { get; set; } = string.Empty;

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(NormalizeOptions options)
    {
        if (options.SampleRate is not (>= 0 and <= 1))
        {
            yield return $"{Section}:{nameof(SampleRate)} must be from 0 to 1, got {options.SampleRate}";
        }

        foreach (var (key, rates) in new[]
        {
            (nameof(ProjectSampleRates), options.ProjectSampleRates), (nameof(ServiceSampleRates), options.ServiceSampleRates),
        })
        {
            foreach (var rate in rates.Where(rate => !TryParseRate(rate, out _, out _)))
            {
                yield return $"{Section}:{key} must be name=rate with a rate from 0 to 1, got '{rate}'";
            }
        }

        foreach (var path in options.FilterPaths.Where(
            static path => !path.StartsWith('/') || path.Contains('?', StringComparison.Ordinal)))
        {
            yield return $"{Section}:{nameof(FilterPaths)} must list paths such as /health, got '{path}'";
        }

        if (options.MaxTraceBytes is < 256 or > 256 * 1024 * 1024)
        {
            yield return $"{Section}:{nameof(MaxTraceBytes)} must be from 256 to 256M, got {options.MaxTraceBytes}";
        }

        if (options.MaxAttributes is < 1 or > 65536)
        {
            yield return $"{Section}:{nameof(MaxAttributes)} must be from 1 to 65536, got {options.MaxAttributes}";
        }

        foreach (var fault in SessionRules.Check(options.SessionRulesFile))
        {
            yield return fault;
        }
    }

    /// <summary>The rates by name; entries that do not parse are left out (start-up refuses them).</summary>
    public static Dictionary<string, double> Rates(IEnumerable<string> entries)
    {
        var rates = new Dictionary<string, double>(StringComparer.Ordinal);
        foreach (var entry in entries)
        {
            if (TryParseRate(entry, out var name, out var rate))
            {
                rates[name] = rate;
            }
        }

        return rates;
    }

    private static bool TryParseRate(string entry, out string name, out double rate)
    {
        var separator = entry.LastIndexOf('=');
        name = separator > 0 ? entry[..separator].Trim() : string.Empty;
        rate = 0;
        return name.Length > 0 && double.TryParse(entry.AsSpan(separator + 1), NumberStyles.Float, CultureInfo.InvariantCulture, out rate)
            && rate is >= 0 and <= 1;
    }
}
