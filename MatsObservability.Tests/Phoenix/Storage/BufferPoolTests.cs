using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Storage;

[Trait("Req", "B026")]
public sealed class BufferPoolTests
{
    [Theory]
    [InlineData(0, 4096)]
    [InlineData(4096, 4096)]
    [InlineData(4097, 8192)]
    [InlineData(32 * 1024 * 1024, 32 * 1024 * 1024)]
    [InlineData((32 * 1024 * 1024) + 1, (32 * 1024 * 1024) + 1)]
    public void Rent_AnySize_IsLargeEnough(int asked, int given) => Assert.Equal(given, BufferPool.Rent(asked).Length);

    [Fact]
    public async Task RentAndReturn_ManyThreads_NeverShareABufferNorKeepTooMuch()
    {
        await Task.WhenAll(Enumerable.Range(1, 8).Select(thread => Task.Run(() =>
        {
            var random = new Random(thread);
            for (var round = 0; round < 5_000; round++)
            {
                var buffer = BufferPool.Rent(random.Next(1, 300_000));
                buffer[0] = buffer[^1] = (byte)thread;
                Thread.Yield();
                Assert.Equal(((byte)thread, (byte)thread), (buffer[0], buffer[^1]));
                BufferPool.Return(buffer);
            }
        })));

        Assert.InRange(BufferPool.KeptBytes, 0, BufferPool.MostKeptBytes + (8 * 512 * 1024));
    }

    [Fact]
    public void Return_ForeignArrays_AreIgnored()
    {
        BufferPool.Return([]);
        BufferPool.Return(new byte[5000]);

        Assert.Equal(8192, BufferPool.Rent(5000).Length);
    }
}
