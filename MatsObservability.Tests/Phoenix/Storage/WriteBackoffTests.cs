using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Storage;

public sealed class WriteBackoffTests
{
    private readonly WriteBackoff _backoff = new(
        TimeSpan.FromMilliseconds(100), TimeSpan.FromSeconds(5), TimeProvider.System, new Random(1));

    [Fact]
    public void Failed_InARow_DoublesUpToTheLongest()
    {
        foreach (var expected in new double[] { 100, 200, 400, 800, 1600, 3200, 5000, 5000 })
        {
            Assert.InRange(_backoff.Failed().TotalMilliseconds, expected * .75, expected);
        }
    }

    [Fact]
    public void Failed_AfterSuccess_StartsAtTheFirstDelay()
    {
        _backoff.Failed();
        _backoff.Failed();

        _backoff.Succeeded();

        Assert.InRange(_backoff.Failed().TotalMilliseconds, 75, 100);
    }

    [Fact]
    public void Failed_ForEver_NeverOverflows()
    {
        for (var failure = 0; failure < 10_000; failure++)
        {
            Assert.InRange(_backoff.Failed(), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        }
    }
}
