using System.Globalization;

namespace Phoenix.Service.Query.Http;

/// <summary>ISO 8601 times of the API to and from Unix nanoseconds.</summary>
internal static class IsoTime
{
    private const long NanosPerSecond = 1_000_000_000;
    private static readonly string[] s_formats =
    [
        "yyyy-MM-dd'T'HH:mm:ssK", "yyyy-MM-dd' 'HH:mm:ssK", "yyyy-MM-dd'T'HH:mmK", "yyyy-MM-dd' 'HH:mmK", "yyyy-MM-dd",
        "yyyyMMdd'T'HHmmssK", "yyyy-MM-dd'T'HHK",
    ];

    /// <summary>With microseconds and an offset, <c>2026-01-02T03:04:05.123456+00:00</c>; nanoseconds are cut off.</summary>
    public static string Format(long nanos)
    {
        var seconds = Math.DivRem(nanos, NanosPerSecond, out var rest);
        if (rest < 0)
        {
            (seconds, rest) = (seconds - 1, rest + NanosPerSecond);
        }

        return DateTimeOffset.FromUnixTimeSeconds(seconds).AddTicks(rest / 100)
            .ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'+00:00'", CultureInfo.InvariantCulture);
    }

    /// <summary>As <see cref="Format(long)"/>.</summary>
    public static string Format(DateTimeOffset time) =>
        time.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.ffffff'+00:00'", CultureInfo.InvariantCulture);

    /// <summary>
    /// Reads a time to the nanosecond. A time without an offset counts as UTC when <paramref name="allowNaive"/>, else it is refused. False
    /// also when it is outside what 64-bit nanoseconds can hold (the years 1677 to 2262).
    /// </summary>
    public static bool TryParse(string text, bool allowNaive, out long nanos)
    {
        nanos = 0;
        var (whole, fraction) = CutFraction(text);
        if (!DateTimeOffset.TryParseExact(
            whole, s_formats, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal | DateTimeStyles.AdjustToUniversal, out var time)
            || fraction < 0 || (!allowNaive && !HasOffset(whole)))
        {
            return false;
        }

        var total = ((Int128)time.ToUnixTimeSeconds() * NanosPerSecond) + fraction;
        if (total < long.MinValue || total > long.MaxValue)
        {
            return false;
        }

        nanos = (long)total;
        return true;
    }

    private static bool HasOffset(string text)
    {
        var clock = text.IndexOfAny(['T', ' ']);
        return text.EndsWith('Z') || (clock > 0 && text.AsSpan(clock).IndexOfAny('+', '-') > 0);
    }

    /// <summary>Takes ".123456789" out of the text; a fraction that is no number is -1; digits past the ninth are cut off.</summary>
    private static (string Whole, long Fraction) CutFraction(string text)
    {
        text = text.Trim();
        var dot = text.IndexOfAny(['.', ',']);
        if (dot < 0)
        {
            return (text, 0);
        }

        var end = dot + 1;
        long nanos = 0;
        while (end < text.Length && char.IsAsciiDigit(text[end]))
        {
            nanos = end - dot <= 9 ? (nanos * 10) + (text[end] - '0') : nanos;
            end++;
        }

        for (var digits = end - dot - 1; digits < 9; digits++)
        {
            nanos *= 10;
        }

        return (text[..dot] + text[end..], end == dot + 1 ? -1 : nanos);
    }
}
