namespace Phoenix.Service.Storage;

/// <summary>
/// Sums that stay at the bounds of what a bigint can say instead of turning round: senders may claim any count (RollupSql.Whole is the same
/// in SQL).
/// </summary>
internal static class HeldSum
{
    /// <summary>The sum of both, or the bound that it is beyond.</summary>
    public static long Of(long left, long right)
    {
        var sum = unchecked(left + right);
        return ((left ^ sum) & (right ^ sum)) >= 0 ? sum : left < 0 ? -long.MaxValue : long.MaxValue;
    }
}
