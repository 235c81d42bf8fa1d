namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>How long and how much one read may take.</summary>
internal sealed class ReadLimits
{
    /// <summary>Configuration section.</summary>
    public const string Section = "Phoenix:Query";

    /// <summary>After this time a statement is cancelled on the server, and the request is answered 503.</summary>
    public TimeSpan StatementTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>
    /// A page ends early once its rows hold about this many bytes of text: one huge span must not become a thousand of them in memory.
    /// </summary>
    public int MaxPageBytes { get; set; } = 8 * 1024 * 1024;

    /// <summary>A filtered list stops looking after this time and hands out what it found, with a cursor to go on.</summary>
    public TimeSpan ScanBudget { get; set; } = TimeSpan.FromSeconds(10);

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(ReadLimits options)
    {
        if (options.StatementTimeout < TimeSpan.FromSeconds(1) || options.StatementTimeout > TimeSpan.FromHours(1))
        {
            yield return $"{Key(nameof(StatementTimeout))} must be from 1 s to 1 h, got {options.StatementTimeout}";
        }

        if (options.MaxPageBytes is < 64 * 1024 or > 1024 * 1024 * 1024)
        {
            yield return $"{Key(nameof(MaxPageBytes))} must be from 64K to 1G, got {options.MaxPageBytes}";
        }

        if (options.ScanBudget < TimeSpan.Zero || options.ScanBudget > TimeSpan.FromMinutes(10))
        {
            yield return $"{Key(nameof(ScanBudget))} must be from 0 to 10 min, got {options.ScanBudget}";
        }
    }

    private static string Key(string property) => $"{Section}:{property}";
}
