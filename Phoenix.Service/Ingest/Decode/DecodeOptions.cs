namespace Phoenix.Service.Ingest.Decode;

/// <summary>How export requests become rows.</summary>
internal sealed class DecodeOptions
{
    /// <summary>Configuration section: that of the receivers.</summary>
    public const string Section = "Phoenix:Ingest";

    /// <summary>Project of telemetry that names none (PHOENIX_PROJECT_NAME).</summary>
    public string DefaultProject { get; set; } = "default";

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(DecodeOptions options)
    {
        if (string.IsNullOrWhiteSpace(options.DefaultProject))
        {
            yield return $"{Section}:{nameof(DefaultProject)} must not be empty";
        }
    }
}
