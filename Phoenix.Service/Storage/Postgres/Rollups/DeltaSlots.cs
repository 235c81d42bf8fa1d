namespace Phoenix.Service.Storage.Postgres.Rollups;

/// <summary>
/// Which of the two delta tables is written at a moment: they take turns by the clock, so writers need no round trip to learn it, and the
/// worker can truncate the other one once it is empty. A wrong clock only makes a writer wait for that; a delta is applied from whichever
/// table it is in.
/// </summary>
internal static class DeltaSlots
{
    /// <summary>Every slot.</summary>
    public static readonly int[] All = [0, 1];

    /// <summary>How long one table is written before the other one is.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(2);

    /// <summary>The slot that writers use at <paramref name="now"/>.</summary>
    public static int Active(DateTimeOffset now) => (int)(now.ToUnixTimeMilliseconds() / (long)Period.TotalMilliseconds % 2);
}
