using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Phoenix.Service.Ingest.Normalize;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>What the service knows of one attribute key; worked out once and shared by every span that carries it.</summary>
internal sealed class AttributeKey
{
    /// <summary>Reads the meaning of <paramref name="utf8"/>.</summary>
    public AttributeKey(ReadOnlySpan<byte> utf8, Redactor redactor, SessionRules sessions)
    {
        Utf8 = utf8.ToArray();
        Name = JsonText.ToText(utf8);
        Redaction = redactor.ForKey(Name);
        SessionRule = sessions.Find(Name);
        IsDialect = Dialects.Owns(Name);
        Hash = ByteHash.Of(utf8);
        Known = KnownKeys.Find(utf8);
        Json = Encoding.UTF8.GetBytes(",\"" + EscapeName(Name) + "\":");
        Repaired = !JsonText.IsStorable(utf8);
    }

    /// <summary>The key as sent.</summary>
    public byte[] Utf8 { get; }

    /// <summary>The key as text, repaired where it is not.</summary>
    public string Name { get; }

    /// <summary>What must happen to every value of the key; null = nothing.</summary>
    public KeyRedaction? Redaction { get; }

    /// <summary>The operator's rule that makes the value a session's name; null = none.</summary>
    public SessionRule? SessionRule { get; }

    /// <summary>Whether the key belongs to a vocabulary that has to be translated.</summary>
    public bool IsDialect { get; }

    /// <summary><see cref="ByteHash"/> of the key.</summary>
    public uint Hash { get; }

    /// <summary>Its meaning for the typed columns.</summary>
    public KnownKey Known { get; }

    /// <summary>A comma, the key as a JSON string, and a colon.</summary>
    public byte[] Json { get; }

    /// <summary>Whether the key had to be repaired to be storable.</summary>
    public bool Repaired { get; }

    private static string EscapeName(string name) =>
        JsonEncodedText.Encode(name, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();
}

/// <summary>
/// Attribute keys by their bytes; the table never grows, a key that shares a slot replaces it. Safe for any number of threads.
/// </summary>
internal sealed class AttributeKeys(Redactor redactor, SessionRules sessions)
{
    private const int Slots = 4096;
    private const int LongestRemembered = 256;

    private readonly AttributeKey?[] _slots = new AttributeKey?[Slots];

    /// <summary>The key of these bytes.</summary>
    public AttributeKey Get(ReadOnlySpan<byte> utf8)
    {
        var hash = ByteHash.Of(utf8);
        ref var slot = ref _slots[hash % Slots];
        var known = slot;
        if (known is not null && known.Hash == hash && utf8.SequenceEqual(known.Utf8))
        {
            return known;
        }

        var key = new AttributeKey(utf8, redactor, sessions);
        if (utf8.Length <= LongestRemembered)
        {
            slot = key;
        }

        return key;
    }
}
