using System.Buffers;
using System.Runtime.InteropServices;
using System.Text;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Where the keys and values of one repeated KeyValue field lie in its message, and which entries a later one with the same key overwrites;
/// of more than <paramref name="most"/> entries the first ones. Owns pooled arrays until <see cref="Dispose"/>; may be read again for
/// another message.
/// </summary>
internal sealed class KeyValueList(int most) : IDisposable
{
    // Up to here comparing all pairs of hashes is cheaper than sorting them.
    private const int FewEntries = 64;

    private Entry[] _entries = [];

    /// <summary>Entries, overwritten ones included.</summary>
    public int Count { get; private set; }

    /// <summary>Entries left out because there are too many.</summary>
    public int Excess { get; private set; }

    /// <summary>Finds the entries of <paramref name="field"/> in <paramref name="message"/>; false when it breaks the encoding.</summary>
    public bool TryRead(ReadOnlySpan<byte> message, int field)
    {
        (Count, Excess) = (0, 0);
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            if (tag != (((uint)field << 3) | WireType.Bytes))
            {
                if (!reader.TrySkip(tag))
                {
                    return false;
                }

                continue;
            }

            if (!reader.TryReadBytes(out var pair) || !AnyValue.TryReadKeyValue(pair, out var key, out var value))
            {
                return false;
            }

            if (Count == most)
            {
                Excess++;
            }
            else
            {
                Add(message, key, value);
            }
        }

        MarkOverwritten(message);
        return true;
    }

    /// <summary>The key of entry <paramref name="index"/>, undecoded text.</summary>
    public ReadOnlySpan<byte> Key(ReadOnlySpan<byte> message, int index) =>
        message.Slice(_entries[index].KeyStart, _entries[index].KeyLength);

    /// <summary>The AnyValue message of entry <paramref name="index"/>.</summary>
    public ReadOnlySpan<byte> Value(ReadOnlySpan<byte> message, int index) =>
        message.Slice(_entries[index].ValueStart, _entries[index].ValueLength);

    /// <summary>Whether a later entry has the same key.</summary>
    public bool IsOverwritten(int index) => _entries[index].Overwritten;

    /// <summary>The AnyValue message of the last entry named <paramref name="key"/>; false when there is none.</summary>
    public bool TryFind(ReadOnlySpan<byte> message, ReadOnlySpan<byte> key, out ReadOnlySpan<byte> value)
    {
        for (var i = Count - 1; i >= 0; i--)
        {
            if (Key(message, i).SequenceEqual(key))
            {
                value = Value(message, i);
                return true;
            }
        }

        value = default;
        return false;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_entries.Length > 0)
        {
            ArrayPool<Entry>.Shared.Return(_entries);
            _entries = [];
        }
    }

    private void Add(ReadOnlySpan<byte> message, ReadOnlySpan<byte> key, ReadOnlySpan<byte> value)
    {
        if (Count == _entries.Length)
        {
            var larger = ArrayPool<Entry>.Shared.Rent(Math.Max(16, Count * 2));
            _entries.AsSpan(0, Count).CopyTo(larger);
            Dispose();
            _entries = larger;
        }

        _entries[Count++] = new Entry(ByteHash.Of(key), message.OffsetOf(key), key.Length, message.OffsetOf(value), value.Length, false);
    }

    private void MarkOverwritten(ReadOnlySpan<byte> message)
    {
        if (Count <= FewEntries)
        {
            for (var i = 0; i < Count; i++)
            {
                for (var j = i + 1; j < Count; j++)
                {
                    if (_entries[i].Hash == _entries[j].Hash && Key(message, i).SequenceEqual(Key(message, j)))
                    {
                        _entries[i] = _entries[i] with { Overwritten = true };
                        break;
                    }
                }
            }

            return;
        }

        var last = new Dictionary<string, int>(Count, StringComparer.Ordinal);
        for (var i = 0; i < Count; i++)
        {
            // Latin-1 keeps every byte apart, so equal strings are equal keys.
            ref var seen = ref CollectionsMarshal.GetValueRefOrAddDefault(
                last, Encoding.Latin1.GetString(Key(message, i)), out var exists);
            if (exists)
            {
                _entries[seen] = _entries[seen] with { Overwritten = true };
            }

            seen = i;
        }
    }

    private readonly record struct Entry(uint Hash, int KeyStart, int KeyLength, int ValueStart, int ValueLength, bool Overwritten);
}
