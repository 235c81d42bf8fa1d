using System.Buffers.Text;

namespace Phoenix.Service.Storage;

/// <summary>
/// JSON escapes that are half of a surrogate pair alone: valid JSON (RFC 8259 §8.2) and no text, so System.Text.Json throws an
/// InvalidOperationException where such a name or string is read.
/// </summary>
internal static class SurrogateEscapes
{
    private const int EscapeLength = 6;

    /// <summary>Whether a string or name of the valid JSON text <paramref name="json"/> holds a half alone.</summary>
    public static bool HasHalf(ReadOnlySpan<byte> json) =>
        (json.IndexOf("\\ud"u8) >= 0 || json.IndexOf("\\uD"u8) >= 0) && NextHalf(json, 0) >= 0;

    /// <summary>Puts U+FFFD, as long as it is, in the place of every half alone.</summary>
    public static void Mend(Span<byte> json)
    {
        for (var at = NextHalf(json, 0); at >= 0; at = NextHalf(json, at + EscapeLength))
        {
            "\\ufffd"u8.CopyTo(json[at..]);
        }
    }

    private static int NextHalf(ReadOnlySpan<byte> json, int from)
    {
        while (from < json.Length && json[from..].IndexOf((byte)'\\') is var skipped and >= 0)
        {
            from += skipped;
            if (Surrogate(json[from..]) is not { } unit)
            {
                // The escaped character goes with it: it may be a backslash itself.
                from += 2;
            }
            else if (char.IsHighSurrogate(unit) && Surrogate(json[(from + EscapeLength)..]) is { } low && char.IsLowSurrogate(low))
            {
                from += 2 * EscapeLength;
            }
            else
            {
                return from;
            }
        }

        return -1;
    }

    /// <summary>The unit of an escape <c>\uD8xx</c> to <c>\uDFxx</c>; null for anything else.</summary>
    private static char? Surrogate(ReadOnlySpan<byte> escape) =>
        escape.Length >= EscapeLength && escape[0] == '\\' && escape[1] == 'u'
            && Utf8Parser.TryParse(escape.Slice(2, 4), out ushort unit, out var read, 'x') && read == 4
        && char.IsSurrogate((char)unit) ? (char)unit : null;
}
