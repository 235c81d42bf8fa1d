using Phoenix.Service.Configuration;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace Phoenix.Service.Storage;

/// <summary>Span of time one partition holds.</summary>
internal enum PartitionPeriod
{
    /// <summary>One partition a UTC day.</summary>
    Day,

    /// <summary>One partition a UTC month.</summary>
    Month,
}

/// <summary>How telemetry is written; docs/operating.md says what to turn when.</summary>
internal sealed class StorageOptions
{
    public const string Section = "Phoenix:Storage";

    /// <summary>PostgreSQL schema that holds every table of the service; created when missing.</summary>
    public string Schema { get; set; } = "phoenix";

    /// <summary>
    /// Writers, each with a connection of its own. Each keeps about one core of PostgreSQL busy; by default one more than cores, up to 9.
    /// </summary>
    public int Writers { get; set; } = MachineSize.Here.Writers;

    /// <summary>Records that need not wait for company any longer (<see cref="Linger"/>).</summary>
    public int BatchRecords { get; set; } = 1024;

    /// <summary>Most records one transaction takes; a larger request is written whole, alone.</summary>
    public int MaxBatchRecords { get; set; } = 8192;

    /// <summary>Most encoded bytes one transaction takes.</summary>
    public long MaxBatchBytes { get; set; } = 16 * 1024 * 1024;

    /// <summary>How long a writer waits for company before it writes fewer than <see cref="BatchRecords"/>; 0 = not at all.</summary>
    public TimeSpan Linger { get; set; } = TimeSpan.Zero;

    /// <summary>Longest time one transaction may take before it is cancelled and tried again.</summary>
    public TimeSpan WriteTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Period of the partitions made from now on.</summary>
    public PartitionPeriod PartitionPeriod { get; set; } = PartitionPeriod.Day;

    /// <summary>Periods after the current one whose partitions exist in advance.</summary>
    public int PartitionsAhead { get; set; } = 3;

    /// <summary>
    /// How old data may be, in days, to get a partition of their own; older and far-future data share the default partition.
    /// </summary>
    public int PartitionsBackDays { get; set; } = 90;

    /// <summary>
    /// Keys of span attributes that are indexed for search. Each costs the ingest and the disk; a search for any other key reads the spans.
    /// </summary>
    public string[] IndexedAttributes { get; set; } = [];

    /// <summary>Longest time, from the beginning of a stop, until requests under way are stored or answered 503.</summary>
    public TimeSpan DrainTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>As many connections as PostgreSQL will hardly give to one service.</summary>
    public const int MostWriters = 32;

    private const int MostBatchRecords = 1_000_000;

    /// <summary>Each is one more index to write with every span.</summary>
    private const int MostIndexedAttributes = 16;

    /// <summary>One sentence for each value that works and is hardly meant.</summary>
    public static IEnumerable<string> Advise(StorageOptions options)
    {
        if (options.BatchRecords is < 512 or > 1024)
        {
            yield return $"{Named(nameof(BatchRecords))} is best from 512 to 1024, got {options.BatchRecords}";
        }

        if (options.MaxBatchRecords < 2048)
        {
            yield return $"{Named(nameof(MaxBatchRecords))} is best 2048 or more, got {options.MaxBatchRecords}: small transactions cost the database more than large ones";
        }

        if (options.Linger > TimeSpan.FromSeconds(5))
        {
            yield return $"{Named(nameof(Linger))} is best at most 5 s, got {options.Linger}: senders wait for their answer that long, and most give up after 10 s";
        }

        if (options.WriteTimeout < TimeSpan.FromSeconds(5))
        {
            yield return $"{Named(nameof(WriteTimeout))} is best 5 s or more, got {options.WriteTimeout}: writes that are only slow are cancelled and done again";
        }
    }

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(StorageOptions options)
    {
        if (!IsIdentifier(options.Schema))
        {
            yield return $"{Key(nameof(Schema))} must be a lower-case SQL identifier of at most 63 characters, got '{options.Schema}'";
        }

        if (options.Writers is < 1 or > MostWriters)
        {
            yield return $"{Key(nameof(Writers))} must be from 1 to {MostWriters}, got {options.Writers}";
        }

        if (options.BatchRecords is < 1 or > MostBatchRecords || options.BatchRecords > options.MaxBatchRecords)
        {
            yield return $"{Key(nameof(BatchRecords))} must be from 1 to {nameof(MaxBatchRecords)} ({options.MaxBatchRecords}), got {options.BatchRecords}";
        }

        if (options.MaxBatchRecords is < 1 or > MostBatchRecords)
        {
            yield return $"{Key(nameof(MaxBatchRecords))} must be from 1 to {MostBatchRecords}, got {options.MaxBatchRecords}";
        }

        if (options.MaxBatchBytes is < 64 * 1024 or > 1024 * 1024 * 1024)
        {
            yield return $"{Key(nameof(MaxBatchBytes))} must be from 64K to 1G, got {options.MaxBatchBytes}";
        }

        if (options.Linger < TimeSpan.Zero || options.Linger > TimeSpan.FromSeconds(10))
        {
            yield return $"{Key(nameof(Linger))} must be from 0 to 10 s, got {options.Linger}";
        }

        if (options.WriteTimeout < TimeSpan.FromSeconds(1) || options.WriteTimeout > TimeSpan.FromMinutes(10))
        {
            yield return $"{Key(nameof(WriteTimeout))} must be from 1 s to 10 min, got {options.WriteTimeout}";
        }

        if (options.PartitionsAhead is < 1 or > 60)
        {
            yield return $"{Key(nameof(PartitionsAhead))} must be from 1 to 60, got {options.PartitionsAhead}";
        }

        if (options.PartitionsBackDays is < 1 or > 3660)
        {
            yield return $"{Key(nameof(PartitionsBackDays))} must be from 1 to 3660, got {options.PartitionsBackDays}";
        }

        if (options.IndexedAttributes.Length > MostIndexedAttributes)
        {
            yield return $"{Key(nameof(IndexedAttributes))} must name at most {MostIndexedAttributes} keys, got {options.IndexedAttributes.Length}";
        }

        foreach (var key in options.IndexedAttributes.Where(key => !AttributeIndexes.CanIndex(key)))
        {
            yield return $"{Key(nameof(IndexedAttributes))} must hold keys of up to 200 letters, digits, '.', '_', '-' and ':', got '{key}'";
        }

        if (options.DrainTimeout < TimeSpan.Zero || options.DrainTimeout > TimeSpan.FromMinutes(5))
        {
            yield return $"{Key(nameof(DrainTimeout))} must be from 0 to 5 min, got {options.DrainTimeout}";
        }
    }

    private static bool IsIdentifier(string text) =>
        text.Length is > 0 and <= 63 && !char.IsAsciiDigit(text[0])
            && text.All(c => char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_');

    private static string Key(string property) => $"{Section}:{property}";

    private static string Named(string property) => EnvironmentAliases.Named(Key(property));
}
