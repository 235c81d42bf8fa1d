using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text;
using System.Text.Unicode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// UTF-8 text into PostgreSQL text columns and JSON strings. PostgreSQL takes neither invalid UTF-8 nor NUL, so both become U+FFFD;
/// every writer returns how many values it had to repair (0 or 1).
/// </summary>
internal static class JsonText
{
    private const int LongestEscape = 6;

    // Longer texts are checked faster by the vectors of the framework.
    private const int LongestName = 64;

    // Room the copy loop needs behind its cursor: one vector, or one escape.
    private const int Slack = 32;

    /// <summary>A JSON string with its quotes.</summary>
    public static int WriteString(CopyRows rows, ReadOnlySpan<byte> text)
    {
        // The usual text needs few escapes and is done in one go.
        var room = rows.Reserve(text.Length + Slack + LongestEscape + 2);
        room[0] = (byte)'"';
        var known = Encoded.Ascii;
        var (read, written) = Escape(text, room[1..], ref known);
        if (read == text.Length)
        {
            room[written + 1] = (byte)'"';
            rows.Advance(written + 2);
            return 0;
        }

        rows.Advance(1);
        var repaired = WriteEscaped(rows, text);
        rows.Reserve(1)[0] = (byte)'"';
        rows.Advance(1);
        return repaired;
    }

    /// <summary>The inside of a JSON string.</summary>
    public static int WriteEscaped(CopyRows rows, ReadOnlySpan<byte> text)
    {
        var repaired = 0;
        var known = Encoded.Ascii;
        while (!text.IsEmpty)
        {
            var room = rows.Reserve(text.Length + Slack + LongestEscape);
            var (read, written) = Escape(text, room, ref known);
            rows.Advance(written);
            text = text[read..];
            if (known == Encoded.Invalid)
            {
                text = Repair(text);
                known = Encoded.Valid;
                repaired = 1;
            }
            else if (!text.IsEmpty && text[0] == 0)
            {
                "\uFFFD"u8.CopyTo(rows.Reserve(3));
                rows.Advance(3);
                text = text[1..];
                repaired = 1;
            }
        }

        return repaired;
    }

    /// <summary>A text column.</summary>
    public static int WriteColumn(CopyRows rows, ReadOnlySpan<byte> text)
    {
        if (IsStorable(text))
        {
            rows.WriteBytes(text);
            return 0;
        }

        rows.WriteBytes(Repair(text));
        return 1;
    }

    /// <summary>Whether PostgreSQL takes <paramref name="text"/> as it is.</summary>
    public static bool IsStorable(ReadOnlySpan<byte> text) => IsPlain(text) || (!text.Contains((byte)0) && Utf8.IsValid(text));

    /// <summary>Whether a text is ASCII without NUL, as names mostly are, and of the length of a name: eight bytes at a time.</summary>
    private static bool IsPlain(ReadOnlySpan<byte> text)
    {
        if (text.Length > LongestName)
        {
            return false;
        }

        ref var source = ref MemoryMarshal.GetReference(text);
        for (nint read = 0; read < text.Length; read += sizeof(ulong))
        {
            var block = LoadPadded(ref Unsafe.Add(ref source, read), (int)Math.Min(text.Length - read, sizeof(ulong)));
            if (((block | (block - 0x0101010101010101)) & 0x8080808080808080) != 0)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>A copy with every invalid sequence and every NUL replaced by U+FFFD.</summary>
    public static byte[] Repair(ReadOnlySpan<byte> text) => Encoding.UTF8.GetBytes(Encoding.UTF8.GetString(text).Replace('\0', '\uFFFD'));

    /// <summary>The text as a string, repaired when needed.</summary>
    public static string ToText(ReadOnlySpan<byte> text) => Encoding.UTF8.GetString(text).Replace('\0', '\uFFFD');

    /// <summary>What is known of the text behind the cursor.</summary>
    private enum Encoded
    {
        /// <summary>No byte above 0x7F was met yet.</summary>
        Ascii,

        /// <summary>All of the rest is valid UTF-8.</summary>
        Valid,

        /// <summary>The rest holds an invalid sequence.</summary>
        Invalid,
    }

    /// <summary>
    /// Copies and escapes until the text ends, the room is used up, a NUL is met, or <paramref name="known"/> turns invalid: whole vectors
    /// are stored first and looked at then, so text that needs no escape moves at the speed of a copy.
    /// </summary>
    // Out of line: inside of a large method its vectors would live on the stack.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private static (int Read, int Written) Escape(ReadOnlySpan<byte> text, Span<byte> room, ref Encoded known)
    {
        ref var source = ref MemoryMarshal.GetReference(text);
        ref var target = ref MemoryMarshal.GetReference(room);
        nint read = 0, written = 0, end = text.Length, last = room.Length - Slack;

        // Signed compare: below 0x20 are the control characters and, unless the sign is flipped, everything above 0x7F.
        var flip = Vector256.Create(known == Encoded.Valid ? (byte)0x80 : (byte)0);
        var limit = Vector256.Create(known == Encoded.Valid ? (sbyte)(0x20 - 0x80) : (sbyte)0x20);
        while (read < end && written <= last)
        {
            if (end - read >= 32)
            {
                var block = Vector256.LoadUnsafe(ref source, (nuint)read);
                block.StoreUnsafe(ref target, (nuint)written);
                var stops = (Vector256.LessThan((block ^ flip).AsSByte(), limit).AsByte()
                    | Vector256.Equals(block, Vector256.Create((byte)'"'))
                    | Vector256.Equals(block, Vector256.Create((byte)'\\'))).ExtractMostSignificantBits();
                if (stops == 0)
                {
                    read += 32;
                    written += 32;
                    continue;
                }

                var clean = BitOperations.TrailingZeroCount(stops);
                read += clean;
                written += clean;
            }
            else if (end - read >= 16)
            {
                var block = Vector128.LoadUnsafe(ref source, (nuint)read);
                block.StoreUnsafe(ref target, (nuint)written);
                var stops = (Vector128.LessThan((block ^ flip.GetLower()).AsSByte(), limit.GetLower()).AsByte()
                    | Vector128.Equals(block, Vector128.Create((byte)'"'))
                    | Vector128.Equals(block, Vector128.Create((byte)'\\'))).ExtractMostSignificantBits();
                if (stops == 0)
                {
                    read += 16;
                    written += 16;
                    continue;
                }

                var clean = BitOperations.TrailingZeroCount(stops);
                read += clean;
                written += clean;
            }
            else
            {
                // The same by arithmetic on eight bytes; a borrow comes only from a stop, so the first one is where it seems.
                var length = Math.Min(end - read, sizeof(ulong));
                var block = LoadPadded(ref Unsafe.Add(ref source, read), (int)length);
                var quotes = block ^ 0x2222222222222222;
                var slashes = block ^ 0x5C5C5C5C5C5C5C5C;
                var stops = (((block - 0x2020202020202020) & ~block) | ((quotes - 0x0101010101010101) & ~quotes)
                    | ((slashes - 0x0101010101010101) & ~slashes)
                    | (known == Encoded.Valid ? 0 : block)) & 0x8080808080808080;
                Unsafe.WriteUnaligned(ref Unsafe.Add(ref target, written), block);
                if (stops == 0)
                {
                    read += length;
                    written += length;
                    continue;
                }

                var clean = BitOperations.TrailingZeroCount(stops) / 8;
                read += clean;
                written += clean;
            }

            var next = Unsafe.Add(ref source, read);
            if (next >= 0x80)
            {
                if (!Utf8.IsValid(text[(int)read..]))
                {
                    known = Encoded.Invalid;
                    break;
                }

                known = Encoded.Valid;
                flip = Vector256.Create((byte)0x80);
                limit = Vector256.Create((sbyte)(0x20 - 0x80));
            }
            else if (next == 0)
            {
                break;
            }
            else
            {
                written += WriteEscape(room[(int)written..], next);
                read++;
            }
        }

        return ((int)read, (int)written);
    }

    /// <summary>The next <paramref name="length"/> bytes, 1 to 8, lowest first and filled up with spaces; reads none behind them.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static ulong LoadPadded(ref byte source, int length)
    {
        if (length == sizeof(ulong))
        {
            return Unsafe.ReadUnaligned<ulong>(ref source);
        }

        // Two or three reads that overlap: where they do, both have the same bits.
        var padding = 0x2020202020202020UL << (8 * length);
        if (length >= sizeof(uint))
        {
            var rest = length - sizeof(uint);
            return padding | Unsafe.ReadUnaligned<uint>(ref source)
                | ((ulong)Unsafe.ReadUnaligned<uint>(ref Unsafe.Add(ref source, rest)) << (8 * rest));
        }

        var (middle, last) = (length / 2, length - 1);
        return padding | source | ((ulong)Unsafe.Add(ref source, middle) << (8 * middle))
            | ((ulong)Unsafe.Add(ref source, last) << (8 * last));
    }

    private static int WriteEscape(Span<byte> target, byte value)
    {
        target[0] = (byte)'\\';
        var letter = value switch
        {
            (byte)'\n' => (byte)'n',
            (byte)'"' => (byte)'"',
            (byte)'\\' => (byte)'\\',
            (byte)'\r' => (byte)'r',
            (byte)'\t' => (byte)'t',
            (byte)'\b' => (byte)'b',
            (byte)'\f' => (byte)'f',
            _ => (byte)0,
        };
        if (letter != 0)
        {
            target[1] = letter;
            return 2;
        }

        "u00"u8.CopyTo(target[1..]);
        target[4] = (byte)('0' + (value >> 4));
        target[5] = "0123456789abcdef"u8[value & 15];
        return LongestEscape;
    }
}
