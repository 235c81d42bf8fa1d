using System.Diagnostics;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.Extensions.AI;
using ModelContextProtocol;
using ModelContextProtocol.Client;
using ModelContextProtocol.Protocol;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Mcp;

/// <summary>
/// The tools of other programs that an agent may call now. Each call counts against the budget, is a TOOL span with
/// <c>mcp.server_id</c>, carries that span as <c>params._meta.traceparent</c>, and gives a text of bounded length. What a tool says is
/// data to its reader, never an order.
/// </summary>
internal sealed class McpTools(string source, TimeSpan timeout, CancellationToken lifetime) : IAsyncDisposable
{
    /// <summary>Longest result handed on, in characters; the rest is cut.</summary>
    public const int MaxResultChars = 8000;

    private static readonly TimeSpan s_close = TimeSpan.FromSeconds(5);
    private readonly List<McpClient> _clients = [];
    private readonly Dictionary<string, (string Server, McpClientTool Tool)> _tools = new(StringComparer.Ordinal);

    /// <summary>Who calls, in events and spans.</summary>
    public string Source => source;

    /// <summary>The tools as a model is told of them; their names begin with their server's.</summary>
    public IEnumerable<AITool> Declarations => _tools.Select(static pair =>
        AIFunctionFactory.CreateDeclaration(pair.Key, pair.Value.Tool.Description, pair.Value.Tool.JsonSchema));

    /// <summary>The full name of the first tool that its server calls so; null when there is none.</summary>
    public string? Find(string tool) => _tools.FirstOrDefault(pair => pair.Value.Tool.Name == tool).Key;

    /// <summary>True when the tool is one of these.</summary>
    public bool Has(string name) => _tools.ContainsKey(name);

    /// <summary>Makes one call; null, and a warning, when it failed or the tool says that it did.</summary>
    public async Task<string?> CallAsync(InvestigationRun run, string name, IReadOnlyDictionary<string, object?> arguments)
    {
        var (server, tool) = _tools[name];
        try
        {
            return await run.CallToolAsync(
                name, Cut(tool.Description, 200), Parameters(arguments), source,
                async stop =>
                {
                    using var limit = CancellationTokenSource.CreateLinkedTokenSource(stop);
                    limit.CancelAfter(run.Budget.Share(timeout));
                    var result = await tool.CallAsync(
                        arguments, progress: null, options: new RequestOptions { Meta = Meta() }, cancellationToken: limit.Token);
                    return result.IsError == true ? throw new McpException(Cut(Text(result), 300)) : Text(result);
                },
                text => Cut(text, 500), server);
        }
        catch (Exception e) when (IsFailure(e, run.Stop))
        {
            run.State.Warn($"The tool {tool.Name} of the MCP server {server} failed ({Reason(e)}).");
            return null;
        }
    }

    /// <summary>The current span as <c>_meta</c>; null outside of a trace.</summary>
    public static JsonObject? Meta() => Activity.Current is { Id: { } traceparent } ? new() { ["traceparent"] = traceparent } : null;

    /// <summary>True when the server, or the way to it, is at fault; false when this run was stopped or its budget is spent.</summary>
    public static bool IsFailure(Exception e, CancellationToken stop) =>
        e is McpException or HttpRequestException or IOException or JsonException or TimeoutException or InvalidOperationException
            || (e is OperationCanceledException && !stop.IsCancellationRequested);

    /// <summary>Why, in a few words.</summary>
    public static string Reason(Exception e) => e is OperationCanceledException or TimeoutException
        ? "it did not answer in time" : Cut(e.GetBaseException().Message.ReplaceLineEndings(" "), 300);

    /// <summary>Closes this session with the server at the end.</summary>
    public void Own(McpClient client) => _clients.Add(client);

    public void Add(string server, IEnumerable<McpClientTool> tools)
    {
        foreach (var tool in tools)
        {
            _tools[$"{server}_{tool.Name}"] = (server, tool);
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients)
        {
            try
            {
                await client.DisposeAsync().AsTask().WaitAsync(s_close, lifetime);
            }
            catch (Exception e) when (IsFailure(e, CancellationToken.None))
            {
                // The session was over anyway; the server forgets it by itself.
            }
        }
    }

    private static string Parameters(IReadOnlyDictionary<string, object?> arguments)
    {
        var json = new JsonObject();
        foreach (var (name, value) in arguments)
        {
            json[name] = value switch
            {
                null => null,
                JsonElement element => JsonNode.Parse(element.GetRawText()),
                bool flag => flag,
                int number => number,
                _ => value.ToString(),
            };
        }

        return json.ToJsonString();
    }

    private static string Text(CallToolResult result)
    {
        var text = new StringBuilder();
        foreach (var block in result.Content)
        {
            text.AppendLine(block is TextContentBlock words ? words.Text : $"({block.Type} left out)");
            if (text.Length > MaxResultChars)
            {
                break;
            }
        }

        if (text.Length == 0 && result.StructuredContent is { } structured)
        {
            text.Append(structured.GetRawText());
        }

        return Cut(text.ToString().TrimEnd(), MaxResultChars);
    }

    private static string Cut(string text, int most) => text.Length <= most ? text : text[..most] + "…";
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.SnakeCaseLower)]
[JsonSerializable(typeof(McpConnection))]
internal sealed partial class McpJson : JsonSerializerContext;
