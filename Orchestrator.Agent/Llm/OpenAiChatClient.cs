using System.ClientModel;
using System.ClientModel.Primitives;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using OpenAI;
using Chat = OpenAI.Chat;

namespace Orchestrator.Agent.Llm;

/// <summary>
/// An OpenAI-compatible endpoint as <see cref="IChatClient"/>: text and tool calls, whole or streamed. It neither retries nor records;
/// decorators do.
/// </summary>
internal sealed class OpenAiChatClient : IChatClient
{
    private readonly Chat.ChatClient _client;
    private readonly ChatClientMetadata _metadata;

    public OpenAiChatClient(string model, string apiKey, Uri? endpoint, string provider, TimeSpan timeout)
    {
        var options = new OpenAIClientOptions { RetryPolicy = new ClientRetryPolicy(maxRetries: 0), NetworkTimeout = timeout };
        if (endpoint is not null)
        {
            options.Endpoint = endpoint;
        }

        _client = new Chat.ChatClient(model, new ApiKeyCredential(apiKey), options);
        _metadata = new ChatClientMetadata(provider, endpoint, model);
    }

    public async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        Chat.ChatCompletion completion = await _client.CompleteChatAsync(messages.SelectMany(Convert), Convert(options), cancellationToken);
        var contents = new List<AIContent>();
        foreach (var part in completion.Content.Where(part => part.Text is { Length: > 0 }))
        {
            contents.Add(new TextContent(part.Text));
        }

        contents.AddRange(completion.ToolCalls.Select(call => Call(call.Id, call.FunctionName, call.FunctionArguments.ToString())));
        return new ChatResponse(new ChatMessage(ChatRole.Assistant, contents))
        {
            ModelId = completion.Model,
            ResponseId = completion.Id,
            FinishReason = completion.ToolCalls.Count > 0 ? ChatFinishReason.ToolCalls : ChatFinishReason.Stop,
            Usage = Usage(completion.Usage),
        };
    }

    public async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        // A tool call comes in pieces; it is handed on once it is whole.
        var calls = new SortedDictionary<int, (string? Id, string? Name, StringBuilder Arguments)>();
        string? model = null;
        await foreach (var update in _client.CompleteChatStreamingAsync(messages.SelectMany(Convert), Convert(options), cancellationToken))
        {
            model = update.Model ?? model;
            foreach (var part in update.ContentUpdate.Where(part => part.Text is { Length: > 0 }))
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, part.Text) { ModelId = model };
            }

            foreach (var piece in update.ToolCallUpdates)
            {
                var known = calls.GetValueOrDefault(piece.Index);
                var arguments = known.Arguments ?? new StringBuilder();
                arguments.Append(piece.FunctionArgumentsUpdate?.ToString());
                calls[piece.Index] = (piece.ToolCallId ?? known.Id, piece.FunctionName ?? known.Name, arguments);
            }

            if (Usage(update.Usage) is { } usage)
            {
                yield return new ChatResponseUpdate(ChatRole.Assistant, [new UsageContent(usage)]) { ModelId = model };
            }
        }

        foreach (var (id, name, arguments) in calls.Values)
        {
            yield return new ChatResponseUpdate(ChatRole.Assistant, [Call(id ?? "", name ?? "", arguments.ToString())]) { ModelId = model };
        }
    }

    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null : serviceType == typeof(ChatClientMetadata) ? _metadata : serviceType.IsInstanceOfType(this)
            ? this : null;

    public void Dispose()
    {
        // The pipeline of the endpoint is shared and has nothing to release.
    }

    private static FunctionCallContent Call(string id, string name, string arguments)
    {
        try
        {
            using var json = JsonDocument.Parse(arguments.Length == 0 ? "{}" : arguments);
            return new(
                id, name,
                json.RootElement.EnumerateObject().ToDictionary(p => p.Name, p => (object?)p.Value.Clone(), StringComparer.Ordinal));
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            return new(id, name, null) { Exception = e };
        }
    }

    private static UsageDetails? Usage(Chat.ChatTokenUsage? usage) => usage is null ? null : new UsageDetails
    {
        InputTokenCount = usage.InputTokenCount, OutputTokenCount = usage.OutputTokenCount, TotalTokenCount = usage.TotalTokenCount,
    };

    private static Chat.ChatCompletionOptions Convert(ChatOptions? options)
    {
        var converted = new Chat.ChatCompletionOptions
        {
            Temperature = options?.Temperature,
            MaxOutputTokenCount = options?.MaxOutputTokens,
        };
        foreach (var tool in options?.Tools?.OfType<AIFunctionDeclaration>() ?? [])
        {
            converted.Tools.Add(
                Chat.ChatTool.CreateFunctionTool(tool.Name, tool.Description, BinaryData.FromString(tool.JsonSchema.GetRawText())));
        }

        if (options?.ResponseFormat is ChatResponseFormatJson)
        {
            converted.ResponseFormat = Chat.ChatResponseFormat.CreateJsonObjectFormat();
        }

        return converted;
    }

    private static IEnumerable<Chat.ChatMessage> Convert(ChatMessage message)
    {
        if (message.Role == ChatRole.System)
        {
            yield return new Chat.SystemChatMessage(message.Text);
        }
        else if (message.Role == ChatRole.Tool)
        {
            foreach (var result in message.Contents.OfType<FunctionResultContent>())
            {
                yield return new Chat.ToolChatMessage(result.CallId, result.Result?.ToString() ?? "");
            }
        }
        else if (message.Role == ChatRole.Assistant)
        {
            var calls = message.Contents.OfType<FunctionCallContent>()
                .Select(call => Chat.ChatToolCall.CreateFunctionToolCall(call.CallId, call.Name, BinaryData.FromString(Arguments(call))))
                    .ToList();
            yield return calls.Count == 0 ? new Chat.AssistantChatMessage(message.Text) : new Chat.AssistantChatMessage(calls);
        }
        else
        {
            yield return new Chat.UserChatMessage(message.Text);
        }
    }

    private static string Arguments(FunctionCallContent call)
    {
        var json = new System.Text.Json.Nodes.JsonObject();
        foreach (var (name, value) in call.Arguments ?? new Dictionary<string, object?>(StringComparer.Ordinal))
        {
            json[name] = value is JsonElement element ? System.Text.Json.Nodes.JsonNode.Parse(element.GetRawText()) : value?.ToString();
        }

        return json.ToJsonString();
    }
}
