using System.Buffers;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Connections;

namespace Phoenix.Service.Listening;

/// <summary>
/// Kestrel's buffers in blocks of 32 KiB instead of 4: an export request is some hundred kilobytes, and every block costs a system call and
/// a wake-up of its reader. A connection that waits for data holds none.
/// </summary>
internal sealed class LargeBlocks : IMemoryPoolFactory<byte>
{
    /// <inheritdoc/>
    public MemoryPool<byte> Create(MemoryPoolOptions? options = null) => new Pool();

    private sealed class Pool : MemoryPool<byte>
    {
        private const int BlockBytes = 32 * 1024;
        private const int MostKept = 512;

        private readonly ConcurrentQueue<Block> _free = new();
        private volatile bool _disposed;

        public override int MaxBufferSize => BlockBytes;

        public override IMemoryOwner<byte> Rent(int minBufferSize = -1)
        {
            ArgumentOutOfRangeException.ThrowIfGreaterThan(minBufferSize, BlockBytes);
            if (!_free.TryDequeue(out var block))
            {
                block = new Block(this);
            }

            block.IsRented = true;
            return block;
        }

        protected override void Dispose(bool disposing) => _disposed = true;

        private void Return(Block block)
        {
            if (!_disposed && _free.Count < MostKept)
            {
                _free.Enqueue(block);
            }
        }

        private sealed class Block(Pool pool) : IMemoryOwner<byte>
        {
            // Pinned, because the kernel writes into it while the collector may run.
            private readonly byte[] _bytes = GC.AllocateUninitializedArray<byte>(BlockBytes, pinned: true);

            public bool IsRented { get; set; }

            public Memory<byte> Memory => _bytes;

            public void Dispose()
            {
                if (IsRented)
                {
                    IsRented = false;
                    pool.Return(this);
                }
            }
        }
    }
}
