using System.Numerics;
using Phoenix.Service.Configuration;

namespace Phoenix.Service.Storage;

/// <summary>
/// The byte buffers of requests, kept for those that follow. Unlike the shared array pool, which takes minutes to let go of what a burst
/// made it keep, this one keeps a bounded amount and gives all of it up when memory is short (<see cref="Release"/>). Thread-safe.
/// </summary>
internal static class BufferPool
{
    /// <summary>Most bytes kept while nobody uses them.</summary>
    public static long MostKeptBytes { get; } = MachineSize.Here.KeptBufferBytes;

    private const int SmallestBits = 12;
    private const int LargestBits = 25;

    private static readonly Stack<byte[]>[] s_shelves = [.. Enumerable.Range(SmallestBits, LargestBits - SmallestBits + 1)
        .Select(static _ => new Stack<byte[]>())];
    private static long s_keptBytes;

    /// <summary>Bytes kept at the moment.</summary>
    public static long KeptBytes => Interlocked.Read(ref s_keptBytes);

    /// <summary>A buffer of at least <paramref name="size"/> bytes with any content; the caller returns it once, or lets it go.</summary>
    public static byte[] Rent(int size)
    {
        var bits = Math.Max(SmallestBits, BitOperations.Log2((uint)Math.Max(1, size) - 1) + 1);
        if (bits > LargestBits)
        {
            return GC.AllocateUninitializedArray<byte>(size);
        }

        var shelf = s_shelves[bits - SmallestBits];
        lock (shelf)
        {
            if (shelf.TryPop(out var buffer))
            {
                Interlocked.Add(ref s_keptBytes, -buffer.Length);
                return buffer;
            }
        }

        return GC.AllocateUninitializedArray<byte>(1 << bits);
    }

    /// <summary>Takes back what <see cref="Rent"/> gave; others' arrays, empty ones included, are ignored.</summary>
    public static void Return(byte[] buffer)
    {
        var bits = BitOperations.Log2((uint)buffer.Length);
        if (bits is < SmallestBits or > LargestBits || buffer.Length != 1 << bits || KeptBytes + buffer.Length > MostKeptBytes)
        {
            return;
        }

        var shelf = s_shelves[bits - SmallestBits];
        lock (shelf)
        {
            shelf.Push(buffer);
            Interlocked.Add(ref s_keptBytes, buffer.Length);
        }
    }

    /// <summary>Lets go of everything kept, for the collector to take.</summary>
    public static void Release()
    {
        foreach (var shelf in s_shelves)
        {
            lock (shelf)
            {
                while (shelf.TryPop(out var buffer))
                {
                    Interlocked.Add(ref s_keptBytes, -buffer.Length);
                }
            }
        }
    }
}
