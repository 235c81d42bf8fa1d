using System.Globalization;

namespace Phoenix.Service.Storage;

/// <summary>Trace and span ids between their stored form (uuid, signed bigint) and the lower-case hex of the wire.</summary>
internal static class TelemetryIds
{
    /// <summary>32 hex digits.</summary>
    public static string FormatTrace(Guid traceId) => traceId.ToString("N", CultureInfo.InvariantCulture);

    /// <summary>16 hex digits.</summary>
    public static string FormatSpan(long spanId) => ((ulong)spanId).ToString("x16", CultureInfo.InvariantCulture);

    /// <summary>16 hex digits, or null for none.</summary>
    public static string? FormatSpan(long? spanId) => spanId is { } id ? FormatSpan(id) : null;

    /// <summary>False unless <paramref name="text"/> is exactly 32 hex digits, of either case.</summary>
    public static bool TryParseTrace(ReadOnlySpan<char> text, out Guid traceId) =>
        Guid.TryParseExact(text, "N", out traceId) && IsHex(text);

    /// <summary>False unless <paramref name="text"/> is exactly 16 hex digits, of either case.</summary>
    public static bool TryParseSpan(ReadOnlySpan<char> text, out long spanId)
    {
        spanId = 0;
        if (text.Length != 16 || !ulong.TryParse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var value))
        {
            return false;
        }

        spanId = (long)value;
        return true;
    }

    private static bool IsHex(ReadOnlySpan<char> text)
    {
        foreach (var character in text)
        {
            if (!char.IsAsciiHexDigit(character))
            {
                return false;
            }
        }

        return true;
    }
}
