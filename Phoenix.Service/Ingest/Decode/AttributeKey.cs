using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>What the service knows of one attribute key; worked out once and shared by every span that carries it.</summary>
internal sealed class AttributeKey
{
    // Whole vectors, which are copied faster than the bytes that count.
    private const int Block = 32;

    private readonly byte[] _json;
    private readonly int _jsonLength;

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
        var json = Encoding.UTF8.GetBytes(",\"" + EscapeName(Name) + "\":");
        _jsonLength = json.Length;
        _json = new byte[(json.Length + Block - 1) / Block * Block];
        json.CopyTo(_json, 0);
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

    /// <summary>Whether the key had to be repaired to be storable.</summary>
    public bool Repaired { get; }

    /// <summary>A comma, the key as a JSON string, and a colon.</summary>
    public void WriteTo(CopyRows rows)
    {
        var room = rows.Reserve(_json.Length);
        ref var source = ref MemoryMarshal.GetArrayDataReference(_json);
        ref var target = ref MemoryMarshal.GetReference(room);
        for (nuint offset = 0; offset < (nuint)_jsonLength; offset += Block)
        {
            Vector256.LoadUnsafe(ref source, offset).StoreUnsafe(ref target, offset);
        }

        rows.Advance(_jsonLength);
    }

    private static string EscapeName(string name) =>
        JsonEncodedText.Encode(name, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).ToString();
}

/// <summary>
/// Attribute keys by their bytes; the table never grows, a key that shares a slot replaces it. Safe for any number of threads.
/// </summary>
internal sealed class AttributeKeys(Redactor redactor, SessionRules sessions)
{
    /// <summary>Longest key that is remembered, in bytes.</summary>
    public const int LongestRemembered = 256;

    private const int Slots = 4096;

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
