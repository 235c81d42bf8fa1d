using System.Globalization;

namespace MatsObservability.Tests.Support;

/// <summary>
/// Endless broken variants of sound messages: bits and bytes changed, put in, taken out, cut off, copied from another message.
/// </summary>
internal sealed class Mutations(int seed, byte[][] sound)
{
    private readonly Random _random = new(seed);
    private int _next;

    /// <summary>Variants a test tries: 8,000, or what MATS_FUZZ_COUNT says.</summary>
    public static int Count => int.Parse(Environment.GetEnvironmentVariable("MATS_FUZZ_COUNT") ?? "8000", CultureInfo.InvariantCulture);

    /// <summary>The next variant.</summary>
    public byte[] Next()
    {
        var bytes = sound[_next++ % sound.Length].ToList();
        var other = sound[_random.Next(sound.Length)];
        for (var edits = _random.Next(1, 6); edits > 0 && bytes.Count > 0; edits--)
        {
            var at = _random.Next(bytes.Count);
            switch (_random.Next(6))
            {
                case 0:
                    bytes[at] ^= (byte)(1 << _random.Next(8));
                    break;
                case 1:
                    bytes[at] = (byte)_random.Next(256);
                    break;
                case 2:
                    bytes.Insert(at, (byte)_random.Next(256));
                    break;
                case 3:
                    bytes.RemoveRange(at, Math.Min(_random.Next(1, 20), bytes.Count - at));
                    break;
                case 4:
                    bytes.RemoveRange(at, bytes.Count - at);
                    break;
                default:
                    var from = _random.Next(other.Length);
                    bytes.InsertRange(at, other[from..Math.Min(other.Length, from + _random.Next(1, 40))]);
                    break;
            }
        }

        return [.. bytes];
    }
}
