using System.Net;
using System.Net.Sockets;
using System.Text;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Hosting.Run.Supervision;

namespace MatsObservability.Tests.Hosting.Run;

public sealed class TcpRelayTests : IDisposable
{
    private readonly CancellationTokenSource _deadline = new(TimeSpan.FromSeconds(20));

    public void Dispose() => _deadline.Dispose();

    [Fact]
    public async Task Connection_IsPassedOnInTurnAndSkipsATargetThatIsDown()
    {
        using var first = Server("one");
        using var second = Server("two");
        var down = FreePort.Next();
        var port = FreePort.Next();
        await using var relay = TcpRelay.Start(port, [PortOf(first), down, PortOf(second)]);

        var answers = new HashSet<string>();
        for (var i = 0; i < 4; i++)
        {
            answers.Add(await AskAsync(port, "hello"));
        }

        Assert.Equal(["one:hello", "two:hello"], answers.Order());
    }

    [Fact]
    public async Task Connection_NoTargetIsUp_IsClosed()
    {
        var port = FreePort.Next();
        await using var relay = TcpRelay.Start(port, [FreePort.Next()]);

        Assert.Equal("", await AskAsync(port, "hello"));
    }

    [Fact]
    public async Task IsFree_SomebodyListens_IsFalse()
    {
        using var server = Server("x");

        Assert.False(FreePort.IsFree(PortOf(server)));
        Assert.Contains($"process {Environment.ProcessId} (",
            await PortHolder.DescribeAsync(PortOf(server), _deadline.Token), StringComparison.Ordinal);
    }

    /// <summary>Reads to the end of what the client sends, then answers with its own name and that.</summary>
    private TcpListener Server(string name)
    {
        var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        _ = ServeAsync();
        return listener;

        async Task ServeAsync()
        {
            try
            {
                while (true)
                {
                    using var client = await listener.AcceptTcpClientAsync(_deadline.Token);
                    using var reader = new StreamReader(client.GetStream(), leaveOpen: true);
                    var text = await reader.ReadToEndAsync(_deadline.Token);
                    await client.GetStream().WriteAsync(Encoding.UTF8.GetBytes($"{name}:{text}"), _deadline.Token);
                }
            }
            catch (Exception ended) when (ended is SocketException or ObjectDisposedException or OperationCanceledException)
            {
                // The test is over.
            }
        }
    }

    private static int PortOf(TcpListener listener) => ((IPEndPoint)listener.LocalEndpoint).Port;

    private async Task<string> AskAsync(int port, string text)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, port, _deadline.Token);
        var stream = client.GetStream();
        try
        {
            await stream.WriteAsync(Encoding.UTF8.GetBytes(text), _deadline.Token);
            client.Client.Shutdown(SocketShutdown.Send);
            using var reader = new StreamReader(stream);
            return await reader.ReadToEndAsync(_deadline.Token);
        }
        catch (Exception closed) when (closed is IOException or SocketException)
        {
            return "";
        }
    }
}

public sealed class RestartPolicyTests
{
    [Fact]
    public void Crashed_InARow_WaitsLongerUntilItStaysDown()
    {
        var policy = new RestartPolicy(TimeProvider.System);
        policy.Started();

        var delays = Enumerable.Range(0, RestartPolicy.MaxCrashes).Select(_ => policy.Crashed()?.TotalSeconds).ToArray();

        Assert.Equal([0.5, 1, 2, 4, 8, 16, 30, 30, 30, null], delays);
    }
}
