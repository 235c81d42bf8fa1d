namespace Phoenix.Service.Cost;

/// <summary>
/// Token counts of one span; null = unknown, which is not 0. Details are subsets of their side. Every count is at most <see cref="Most"/>.
/// </summary>
internal struct TokenCounts
{
    /// <summary>Largest count that is believed; above it a count is unknown.</summary>
    public const long Most = 1L << 53;

    public long? Prompt;
    public long? Completion;
    public long? Total;
    public long? CacheRead;
    public long? CacheWrite;
    public long? PromptAudio;
    public long? Reasoning;
    public long? CompletionAudio;

    /// <summary>Whether cached tokens were sent beside the prompt count and have been added to it.</summary>
    public bool CacheWasExclusive;

    /// <summary>Whether a count of either side is known.</summary>
    public readonly bool Any => Prompt is not null || Completion is not null;

    /// <summary>
    /// Brings totals and details together (docs/conventions.md, Tokens): cached tokens that exceed the prompt were
    /// counted beside it; a larger total fills the side that is missing or too small.
    /// </summary>
    public void Settle(bool cacheIsExclusive)
    {
        var cached = CacheRead.GetValueOrDefault() + CacheWrite.GetValueOrDefault();
        if (cached > 0 && Prompt is { } prompt && (cacheIsExclusive || cached > prompt))
        {
            Prompt = prompt + cached;
            CacheWasExclusive = true;
        }

        if (Total > Prompt.GetValueOrDefault() + Completion.GetValueOrDefault())
        {
            if (Prompt.GetValueOrDefault() == 0)
            {
                Prompt = Total - Completion.GetValueOrDefault();
            }
            else
            {
                Completion = Total - Prompt;
            }
        }
    }
}
