using System.Diagnostics;
using System.Text.Json;
using MatsObservability.Tests.EndToEnd;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>A Model Context Protocol server made with the published SDK for Node, as a process of its own.</summary>
internal sealed class McpServerProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly List<JsonElement> _records = [];
    private readonly Task _reading;

    private McpServerProcess(Process process)
    {
        _process = process;
        _reading = ReadAsync();
    }

    public string Url => Records()[0].GetProperty("url").GetString()!;

    /// <summary>The calls it answered, in order: tool, arguments, meta.</summary>
    public IReadOnlyList<JsonElement> Calls => [.. Records().Where(record => record.TryGetProperty("tool", out _))];

    /// <summary>How many sessions were closed by their client.</summary>
    public int Closed => Records().Count(record => record.TryGetProperty("closed", out _));

    public static async Task<McpServerProcess> StartAsync(string token = "")
    {
        var start = new ProcessStartInfo("node", ["mcp-server.mjs", token])
        {
            WorkingDirectory = NodeClients.Folder, UseShellExecute = false, RedirectStandardOutput = true, RedirectStandardInput = true,
        };
        var server = new McpServerProcess(Process.Start(start)!);
        await Eventually.TrueAsync(() => server.Records().Count > 0);
        return server;
    }

    /// <summary>Ends it as <c>kill -9</c> does.</summary>
    public void Kill() => _process.Kill(entireProcessTree: true);

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync();
        }

        await _reading;
        _process.Dispose();
    }

    private List<JsonElement> Records()
    {
        lock (_records)
        {
            return [.. _records];
        }
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardOutput.ReadLineAsync() is { } line)
        {
            lock (_records)
            {
                _records.Add(JsonElement.Parse(line));
            }
        }
    }
}
