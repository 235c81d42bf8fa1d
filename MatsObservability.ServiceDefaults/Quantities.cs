using System.Globalization;

namespace MatsObservability.ServiceDefaults;

/// <summary>Sizes and durations as people write them in configuration.</summary>
internal static class Quantities
{
    /// <summary>Bytes: a plain integer, or one with K, M, G, T (binary; "iB" and "B" may follow): "6G", "512MiB".</summary>
    public static bool TryParseSize(string text, out long bytes)
    {
        bytes = 0;
        var digits = text.AsSpan().Trim();
        var unit = digits.TrimStart("-0123456789.");
        digits = digits[..^unit.Length];
        var shift = unit.Trim().ToString().ToUpperInvariant() switch
        {
            "" or "B" => 0,
            "K" or "KB" or "KIB" => 10,
            "M" or "MB" or "MIB" => 20,
            "G" or "GB" or "GIB" => 30,
            "T" or "TB" or "TIB" => 40,
            _ => -1,
        };
        if (shift < 0 || !decimal.TryParse(digits, NumberStyles.AllowLeadingSign | NumberStyles.AllowDecimalPoint,
            CultureInfo.InvariantCulture, out var number)
            || (shift == 0 && number != decimal.Truncate(number))
            || decimal.Abs(number) > long.MaxValue >> shift)
        {
            return false;
        }

        bytes = (long)(number * (1L << shift));
        return true;
    }

    /// <summary>A duration: "500ms", "30s", "5m", "2h", "7d", a plain number of seconds, or the constant format hh:mm:ss.</summary>
    public static bool TryParseDuration(string text, out TimeSpan duration)
    {
        var digits = text.AsSpan().Trim();
        var unit = digits.TrimStart("-0123456789.");
        double? seconds = unit.ToString().ToLowerInvariant() switch
        {
            "ms" => .001,
            "" or "s" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86400,
            _ => null,
        };
        if (seconds is { } factor
            && double.TryParse(digits[..^unit.Length], NumberStyles.Float, CultureInfo.InvariantCulture, out var number)
            && Math.Abs(number * factor) < TimeSpan.MaxValue.TotalSeconds)
        {
            duration = TimeSpan.FromSeconds(number * factor);
            return true;
        }

        return TimeSpan.TryParse(text, CultureInfo.InvariantCulture, out duration);
    }
}
