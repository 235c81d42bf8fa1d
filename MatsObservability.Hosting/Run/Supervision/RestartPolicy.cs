namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>
/// When a crashed process is started again: after 0.5 s, then twice as long each time up to 30 s; a run of a minute forgets earlier
/// crashes; after ten crashes in a row it stays down.
/// </summary>
internal sealed class RestartPolicy(TimeProvider time)
{
    public const int MaxCrashes = 10;

    private static readonly TimeSpan s_firstDelay = TimeSpan.FromSeconds(0.5);
    private static readonly TimeSpan s_longestDelay = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_goodRun = TimeSpan.FromMinutes(1);

    private long _started;

    /// <summary>Crashes since the last good run.</summary>
    public int Crashes { get; private set; }

    /// <summary>A start begins.</summary>
    public void Started() => _started = time.GetTimestamp();

    /// <summary>Somebody starts it by hand: what was before does not count.</summary>
    public void Forget() => Crashes = 0;

    /// <summary>How long to wait before the next start; null = it stays down.</summary>
    public TimeSpan? Crashed()
    {
        Crashes = time.GetElapsedTime(_started) >= s_goodRun ? 1 : Crashes + 1;
        if (Crashes >= MaxCrashes)
        {
            return null;
        }

        var delay = s_firstDelay * Math.Pow(2, Crashes - 1);
        return delay < s_longestDelay ? delay : s_longestDelay;
    }
}
