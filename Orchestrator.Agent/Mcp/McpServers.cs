using System.Text.Json;
using Microsoft.Extensions.Options;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Mcp;

/// <summary>
/// Connects to the configured servers for one agent of one run. A server that cannot be reached, or does not speak the protocol, is told
/// as a warning; the investigation goes on without it.
/// </summary>
internal sealed class McpServers(IOptions<McpOptions> options, ILoggerFactory loggers, TimeProvider time) : IDisposable
{
    private const int MaxToolsPerServer = 64;
    private const int MaxSchemaChars = 16_384;
    private const int MaxDescriptionChars = 4000;

    // Redirects are not followed: the address, and where the token goes, are the operator's.
    private readonly HttpClient _http = new(
        new BoundedBodies(new SocketsHttpHandler { AllowAutoRedirect = false, PooledConnectionLifetime = TimeSpan.FromMinutes(5) }))
    {
        Timeout = Timeout.InfiniteTimeSpan,
    };

    /// <summary>True when some server has tools for the agent.</summary>
    public bool Serve(string agent) => options.Value.Servers.Any(server => server.Agents.Contains(agent));

    /// <summary>The tools of an agent's servers. To be disposed at the end of the agent's part.</summary>
    /// <param name="source">Who asks, in events and spans.</param>
    /// <param name="only">The one tool that is wanted; null = every tool that may be called.</param>
    public async Task<McpTools> OpenAsync(InvestigationRun run, string agent, string source, string? only = null)
    {
        var tools = new McpTools(source, options.Value.CallTimeout, run.Lifetime);
        try
        {
            foreach (var server in options.Value.Servers.Where(server => server.Agents.Contains(agent)))
            {
                await ConnectAsync(run, server, tools, only);
            }

            return tools;
        }
        catch
        {
            await tools.DisposeAsync();
            throw;
        }
    }

    public void Dispose() => _http.Dispose();

    private async Task ConnectAsync(InvestigationRun run, McpServer server, McpTools tools, string? only)
    {
        try
        {
            var found = await run.CallToolAsync(
                "mcp_tools_list", "Connects to a Model Context Protocol server and reads which tools it has.",
                JsonSerializer.Serialize(new McpConnection(server.Id), McpJson.Default.McpConnection), tools.Source,
                async stop =>
                {
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
                    limit.CancelAfter(options.Value.ConnectTimeout);
                    return await ToolsAsync(server, tools, limit.Token);
                },
                list => $"{list.Count} tools: {string.Join(", ", list.Take(MaxToolsPerServer).Select(tool => tool.Name))}", server.Id);
            tools.Add(server.Id, found.Where(tool => MayCall(server, tool.ProtocolTool, only)).Take(MaxToolsPerServer));
        }
        catch (Exception e) when (McpTools.IsFailure(e, run.Stop))
        {
            run.State.Warn($"The MCP server {server.Id} was not used ({McpTools.Reason(e)}).");
        }
    }

    private async Task<IList<McpClientTool>> ToolsAsync(McpServer server, McpTools tools, CancellationToken cancellationToken)
    {
        var transport = new HttpClientTransport(
            new HttpClientTransportOptions
            {
                Endpoint = new Uri(server.Url),
                Name = server.Id,
                TransportMode = HttpTransportMode.StreamableHttp,
                ConnectionTimeout = options.Value.ConnectTimeout,
                EnableStandaloneGetStream = false,
                MaxReconnectionAttempts = 1,
                AdditionalHeaders = server.Token.Length > 0
                    ? new Dictionary<string, string>(StringComparer.Ordinal) { ["Authorization"] = $"Bearer {server.Token}" } : null,
            },
            _http, loggers, ownsHttpClient: false);
        var client = await McpClient.CreateAsync(
            transport,
            new McpClientOptions
            {
                ClientInfo = new Implementation { Name = "mats-orchestrator", Version = "1.0.0" },
                InitializationTimeout = options.Value.ConnectTimeout,
                TimeProvider = time,
            },
            loggers, cancellationToken);
        tools.Own(client);
        return await client.ListToolsAsync(new RequestOptions { Meta = McpTools.Meta() }, cancellationToken);
    }

    private static bool MayCall(McpServer server, Tool tool, string? only) =>
        (only is not null ? tool.Name == only
            : server.Tools.Count > 0 ? server.Tools.Contains(tool.Name) : tool.Annotations?.ReadOnlyHint == true)
        && tool.InputSchema.GetRawText().Length <= MaxSchemaChars && (tool.Description?.Length ?? 0) <= MaxDescriptionChars;
}

internal sealed record McpConnection(string ServerId);
