using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Text;

namespace Phoenix.Service.Query.Http;

/// <summary>Phoenix's opaque ids: base64 of <c>TypeName:decimal</c>.</summary>
internal static class GlobalId
{
    private const int MaxLength = 256;

    /// <summary>The id of row <paramref name="rowId"/> of <paramref name="type"/>.</summary>
    public static string Format(string type, long rowId) => Encode(type, rowId.ToString(CultureInfo.InvariantCulture));

    /// <summary>A span's id: the decimal of the 192-bit number (trace id, span id), so that no further column or index is needed.</summary>
    public static string FormatSpan(Guid traceId, long spanId)
    {
        Span<byte> bytes = stackalloc byte[24];
        traceId.TryWriteBytes(bytes, bigEndian: true, out _);
        BinaryPrimitives.WriteInt64BigEndian(bytes[16..], spanId);
        return Encode("Span", new BigInteger(bytes, isUnsigned: true, isBigEndian: true).ToString(CultureInfo.InvariantCulture));
    }

    /// <summary>False unless <paramref name="text"/> is an id of exactly this type with a positive 63-bit number.</summary>
    public static bool TryParse(string text, string type, out long rowId)
    {
        rowId = 0;
        return TryDecode(text, type, out var digits) && long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out rowId);
    }

    /// <summary>False unless <paramref name="text"/> is a span's id.</summary>
    public static bool TryParseSpan(string text, out Guid traceId, out long spanId)
    {
        (traceId, spanId) = (default, 0);
        if (!TryDecode(text, "Span", out var digits) || digits.Length > 58
            || !BigInteger.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
        {
            return false;
        }

        Span<byte> bytes = stackalloc byte[24];
        var length = number.GetByteCount(isUnsigned: true);
        if (length > bytes.Length || !number.TryWriteBytes(bytes[(bytes.Length - length)..], out _, isUnsigned: true, isBigEndian: true))
        {
            return false;
        }

        traceId = new Guid(bytes[..16], bigEndian: true);
        spanId = BinaryPrimitives.ReadInt64BigEndian(bytes[16..]);
        return true;
    }

    /// <summary>Whether <paramref name="text"/> decodes as an id of any type.</summary>
    public static bool IsAny(string text) => TryDecode(text, out _, out var digits) && digits.Length > 0 && digits.All(char.IsAsciiDigit);

    private static string Encode(string type, string digits) => Convert.ToBase64String(Encoding.UTF8.GetBytes($"{type}:{digits}"));

    private static bool TryDecode(string text, string type, out string digits) =>
        TryDecode(text, out var found, out digits) && found == type;

    private static bool TryDecode(string text, out string type, out string digits)
    {
        (type, digits) = (string.Empty, string.Empty);
        Span<byte> bytes = stackalloc byte[MaxLength];
        if (text.Length > MaxLength || !Convert.TryFromBase64String(text, bytes, out var written))
        {
            return false;
        }

        var decoded = Encoding.UTF8.GetString(bytes[..written]);
        var colon = decoded.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0)
        {
            return false;
        }

        (type, digits) = (decoded[..colon], decoded[(colon + 1)..]);
        return true;
    }
}
