namespace Phoenix.Service.Storage;

/// <summary>Sums of what senders claim: one that does not fit stays at the largest number, as those of the roll-ups do.</summary>
internal static class BoundedSum
{
    /// <summary>Of two numbers that are not negative.</summary>
    public static long Add(long one, long other) => one > long.MaxValue - other ? long.MaxValue : one + other;

    /// <summary>Of numbers that are not negative.</summary>
    public static long Of(IEnumerable<long> numbers) => numbers.Aggregate(0L, Add);
}
