using Phoenix.Service.Configuration;
using Phoenix.Service.Ingest;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Configuration;

/// <summary>The table of docs/operating.md.</summary>
[Trait("Req", "B078")]
public sealed class MachineSizeTests
{
    private const long Mebibyte = 1024 * 1024;

    [Theory]
    [InlineData(1, 2, 40)]
    [InlineData(2, 3, 51)]
    [InlineData(4, 5, 73)]
    [InlineData(8, 9, 77)]
    [InlineData(64, 9, 77)]
    public void Cores_GiveWritersAndConnections(int cores, int writers, int connections)
    {
        var size = new MachineSize(cores, 8192 * Mebibyte);

        Assert.Equal((writers, connections), (size.Writers, size.Connections(size.Writers)));
    }

    [Theory]
    [InlineData(128, 96, 16, 8, 16)]
    [InlineData(256, 192, 32, 16, 16)]
    [InlineData(512, 384, 64, 32, 32)]
    [InlineData(1024, 768, 128, 64, 64)]
    [InlineData(4096, 3072, 128, 64, 256)]
    [InlineData(24576, 18432, 128, 64, 256)]
    public void Memory_GivesLimitQueueAndBuffers(int memory, int limit, int queue, int kept, int forward)
    {
        var size = new MachineSize(2, memory * Mebibyte);

        Assert.Equal((limit, queue, kept, forward), (
            size.MemoryLimitBytes / Mebibyte, size.QueueBytes / Mebibyte, size.KeptBufferBytes / Mebibyte,
            size.ForwardQueueBytes / Mebibyte));
        Assert.True(size.QueueBytes + size.KeptBufferBytes + size.ForwardQueueBytes < size.MemoryLimitBytes);
    }

    [Fact]
    public void Here_IsWhatTheDefaultsAreDerivedFrom()
    {
        var here = MachineSize.Here;

        Assert.Equal((Environment.ProcessorCount, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes), (here.Cores, here.MemoryBytes));
        Assert.Equal((here.Writers, here.QueueBytes, here.ForwardQueueBytes, here.KeptBufferBytes), (
            new StorageOptions().Writers, new IngestOptions().MaxQueueBytes, new ForwardOptions().MaxQueueBytes, BufferPool.MostKeptBytes));
    }

    [Theory]
    [InlineData("Host=db", 3, 3)]
    [InlineData("Host=db;Maximum Pool Size=17", 3, null)]
    public void ConnectionString_PoolSize_IsDerivedUnlessGiven(string given, int writers, int? derived) => Assert.Equal(
        derived is null ? 17 : MachineSize.Here.Connections(writers), new Npgsql.NpgsqlConnectionStringBuilder(
            ConnectionSettings.Complete(given, schema: null, writers)).MaxPoolSize);
}
