using System.Text;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// A string made once for text that repeats (names of models, services, sessions), with a number that stands for it in keys.
/// </summary>
internal sealed record CachedText(string Text, int Id, byte[] Utf8);

/// <summary>
/// Strings by their UTF-8 bytes, so that repeated text costs no allocation. The table never grows: text that shares a slot replaces it.
/// Safe for any number of threads; two threads may make the same string twice, with two ids.
/// </summary>
internal sealed class TextCache
{
    private const int Slots = 8192;
    private const int LongestCached = 256;

    private readonly CachedText?[] _slots = new CachedText?[Slots];
    private int _lastId;

    /// <summary>The empty string.</summary>
    public static CachedText Empty { get; } = new(string.Empty, 0, []);

    /// <summary>The string of <paramref name="utf8"/>, repaired where it is not valid text.</summary>
    public CachedText Get(ReadOnlySpan<byte> utf8)
    {
        if (utf8.IsEmpty)
        {
            return Empty;
        }

        ref var slot = ref _slots[ByteHash.Of(utf8) % Slots];
        if (slot is { } known && utf8.SequenceEqual(known.Utf8))
        {
            return known;
        }

        var made = new CachedText(
            JsonText.IsStorable(utf8) ? Encoding.UTF8.GetString(utf8) : JsonText.ToText(utf8),
            Interlocked.Increment(ref _lastId), utf8.ToArray());
        if (utf8.Length <= LongestCached)
        {
            slot = made;
        }

        return made;
    }
}
