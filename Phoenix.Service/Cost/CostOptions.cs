namespace Phoenix.Service.Cost;

/// <summary>Where prices come from beside the built-in table.</summary>
internal sealed class CostOptions
{
    /// <summary>Configuration section.</summary>
    public const string Section = "Phoenix:Cost";

    /// <summary>
    /// A JSON file like Cost/prices.json whose models win over the built-in ones; read again when it changes. Empty = none.
    /// </summary>
    public string PricesFile { get; set; } = string.Empty;

    /// <summary>How often the file is looked at.</summary>
    public TimeSpan ReloadInterval { get; set; } = TimeSpan.FromSeconds(5);

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(CostOptions options)
    {
        if (options.ReloadInterval < TimeSpan.FromMilliseconds(100) || options.ReloadInterval > TimeSpan.FromHours(1))
        {
            yield return $"{Section}:{nameof(ReloadInterval)} must be from 100 ms to 1 h, got {options.ReloadInterval}";
        }

        if (options.PricesFile.Length > 0 && !File.Exists(options.PricesFile))
        {
            yield return $"{Section}:{nameof(PricesFile)} must name a file, got '{options.PricesFile}'";
        }
    }
}
