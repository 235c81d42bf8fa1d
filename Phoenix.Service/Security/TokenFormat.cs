using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Phoenix.Service.Security;

/// <summary>
/// The text of tokens: a JSON Web Token (RFC 7519) signed by HMAC-SHA-256 whose payload is only <c>{"jti":"ApiKey:12"}</c>.
/// Only what this class writes is read again: another header, such as one with <c>alg</c> none, is refused unread. Thread-safe.
/// </summary>
internal sealed class TokenFormat(string secret)
{
    private const int SignatureBytes = 32;
    private const int MostChars = 512;

    private static readonly string s_header = Base64Url.EncodeToString("""{"alg":"HS256","typ":"JWT"}"""u8) + ".";

    private readonly byte[] _key = Encoding.UTF8.GetBytes(secret);

    private static ReadOnlySpan<byte> PayloadStart => "{\"jti\":\""u8;

    private static ReadOnlySpan<byte> PayloadEnd => "\"}"u8;

    /// <summary>The text of the token with this id.</summary>
    public string Write(CredentialKind kind, long id)
    {
        var payload = Base64Url.EncodeToString(
            [.. PayloadStart, .. Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{kind}:{id}")), .. PayloadEnd]);
        var signed = s_header + payload;
        return $"{signed}.{Base64Url.EncodeToString(HMACSHA256.HashData(_key, Encoding.ASCII.GetBytes(signed)))}";
    }

    /// <summary>Kind and id of a token of ours; else why it is none.</summary>
    public Refusal Read(string token, out CredentialKind kind, out long id)
    {
        (kind, id) = (default, 0);
        var end = token.LastIndexOf('.');
        Span<byte> signature = stackalloc byte[SignatureBytes];
        Span<byte> signed = stackalloc byte[MostChars];
        if (token.Length > MostChars || end <= s_header.Length || !token.StartsWith(s_header, StringComparison.Ordinal)
            || !Ascii.IsValid(token)
            || !TryDecode(token.AsSpan(end + 1), signature, out var length) || length != SignatureBytes)
        {
            return Refusal.Malformed;
        }

        Span<byte> expected = stackalloc byte[SignatureBytes];
        HMACSHA256.HashData(_key, signed[..Encoding.ASCII.GetBytes(token.AsSpan(0, end), signed)], expected);
        if (!CryptographicOperations.FixedTimeEquals(expected, signature))
        {
            return Refusal.Signature;
        }

        return TryReadId(token.AsSpan(s_header.Length, end - s_header.Length), out kind, out id) ? Refusal.None : Refusal.Malformed;
    }

    private static bool TryReadId(ReadOnlySpan<char> payload, out CredentialKind kind, out long id)
    {
        (kind, id) = (default, 0);
        Span<byte> bytes = stackalloc byte[MostChars];
        if (!TryDecode(payload, bytes, out var length) || !bytes[..length].StartsWith(PayloadStart)
            || !bytes[..length].EndsWith(PayloadEnd))
        {
            return false;
        }

        var jti = bytes[PayloadStart.Length..(length - PayloadEnd.Length)];
        var colon = jti.IndexOf((byte)':');
        if (colon < 0 || !Utf8Parser.TryParse(jti[(colon + 1)..], out id, out var used) || used != jti.Length - colon - 1)
        {
            return false;
        }

        foreach (var known in (ReadOnlySpan<CredentialKind>)[CredentialKind.ApiKey,
            CredentialKind.AccessToken, CredentialKind.RefreshToken])
        {
            if (Ascii.Equals(jti[..colon], known.ToString()))
            {
                kind = known;
                return true;
            }
        }

        return false;
    }

    private static bool TryDecode(ReadOnlySpan<char> text, Span<byte> bytes, out int length)
    {
        length = 0;
        return Base64Url.IsValid(text) && Base64Url.TryDecodeFromChars(text, bytes, out length);
    }
}
