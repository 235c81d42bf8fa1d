using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;

namespace MatsObservability.Tests.Support;

/// <summary>A way to a server that can be closed: refused as by a process that is gone, or silent as by a machine that is.</summary>
internal sealed class TcpGate : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly ConcurrentBag<TcpClient> _connections = [];
    private readonly CancellationTokenSource _closed = new();
    private readonly int _target;
    private readonly Task _accepting;
    private volatile bool _silent;

    private TcpGate(int target)
    {
        _target = target;
        _listener.Start();
        Port = ((IPEndPoint)_listener.LocalEndpoint).Port;
        _accepting = AcceptAsync();
    }

    public int Port { get; }

    public string Url => $"http://127.0.0.1:{Port}";

    /// <summary>A gate before a server of this machine.</summary>
    public static TcpGate To(int port) => new(port);

    public static TcpGate To(string url) => new(new Uri(url).Port);

    /// <summary>Connections stay open, and are still accepted; nothing passes any more.</summary>
    public void Silence() => _silent = true;

    /// <summary>Connections break, new ones are refused.</summary>
    public void Close()
    {
        _closed.Cancel();
        _listener.Stop();
        foreach (var connection in _connections)
        {
            connection.Dispose();
        }
    }

    public async ValueTask DisposeAsync()
    {
        Close();
        await _accepting;
        _closed.Dispose();
    }

    private async Task AcceptAsync()
    {
        while (!_closed.IsCancellationRequested)
        {
            try
            {
                var from = await _listener.AcceptTcpClientAsync(_closed.Token);
                _connections.Add(from);
                if (!_silent)
                {
                    var to = new TcpClient { NoDelay = true };
                    _connections.Add(to);
                    await to.ConnectAsync(IPAddress.Loopback, _target, _closed.Token);
                    _ = PumpAsync(from, to);
                    _ = PumpAsync(to, from);
                }
            }
            catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
            {
                // The target refused, or the gate was closed.
            }
        }
    }

    private async Task PumpAsync(TcpClient from, TcpClient to)
    {
        try
        {
            var buffer = new byte[16 * 1024];
            while (await from.GetStream().ReadAsync(buffer, _closed.Token) is > 0 and var read)
            {
                if (_silent)
                {
                    return;
                }

                await to.GetStream().WriteAsync(buffer.AsMemory(0, read), _closed.Token);
            }

            to.Client.Shutdown(SocketShutdown.Send);
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException or ObjectDisposedException
            or InvalidOperationException)
        {
            // One side is gone.
        }
    }
}
