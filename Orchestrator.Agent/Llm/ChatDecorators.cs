using System.ClientModel;
using System.Globalization;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Llm;

/// <summary>The model could not be used; the investigation goes on by rules.</summary>
internal sealed class ModelUnavailableException(string reason, Exception? cause = null) : Exception(reason, cause);

/// <summary>A decorator that works on whole answers; a caller who wants a stream gets the whole answer as one.</summary>
internal abstract class ChatDecorator(IChatClient inner) : DelegatingChatClient(inner)
{
    public sealed override async IAsyncEnumerable<ChatResponseUpdate> GetStreamingResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        [EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        var response = await GetResponseAsync(messages, options, cancellationToken);
        foreach (var update in response.ToChatResponseUpdates())
        {
            yield return update;
        }
    }
}

/// <summary>
/// Takes the answer as a stream where the endpoint offers one: a model that stalls is noticed at its first missing piece.
/// </summary>
internal sealed class StreamedChatClient(IChatClient inner) : ChatDecorator(inner)
{
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? options = null, CancellationToken cancellationToken = default)
    {
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in InnerClient.GetStreamingResponseAsync(messages, options, cancellationToken))
        {
            updates.Add(update);
        }

        return updates.ToChatResponse();
    }
}

/// <summary>Takes secrets out of what is sent: keys, tokens, passwords of connection strings and addresses.</summary>
internal sealed partial class RedactingChatClient(IChatClient inner) : ChatDecorator(inner)
{
    public const string Mark = "[redacted]";

    public override Task<ChatResponse> GetResponseAsync(IEnumerable<ChatMessage> messages, ChatOptions? options = null,
        CancellationToken cancellationToken = default) =>
        base.GetResponseAsync(messages.Select(Redact), options, cancellationToken);

    public static string Redact(string text) => Secret().Replace(
        text, match => match.Groups["name"].Success ? match.Groups["name"].Value + Mark : Mark);

    private static ChatMessage Redact(ChatMessage message) => new(message.Role,
    [
        .. message.Contents.Select(content => content switch
        {
            TextContent text => new TextContent(Redact(text.Text)),
            FunctionResultContent result => new FunctionResultContent(result.CallId, Redact(result.Result?.ToString() ?? "")),
            _ => content,
        }),
    ]);

    [GeneratedRegex(
        @"(?<name>\b(password|pwd|passwd|secret|api[_-]?key|access[_-]?token|token|authorization)""?\s*[=:]\s*""?(bearer\s+)?)[^\s;,""']+|\bsk-[A-Za-z0-9_-]{16,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{20,}|\beyJ[\w-]+\.[\w-]+\.[\w-]+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)|-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(-----END [A-Z ]*PRIVATE KEY-----|$)",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Secret();
}

/// <summary>Refuses a call once the investigation's money or calls are spent, and counts what each call costs.</summary>
internal sealed class CostBudgetChatClient(IChatClient inner, LlmOptions options, ModelUse use) : ChatDecorator(inner)
{
    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? chat = null, CancellationToken cancellationToken = default)
    {
        if (use.Calls >= options.MaxCalls)
        {
            throw new ModelUnavailableException($"the budget of {options.MaxCalls} model calls is spent");
        }

        if (use.CostUsd >= options.MaxCostUsd)
        {
            throw new ModelUnavailableException(
                string.Create(CultureInfo.InvariantCulture, $"the budget of {options.MaxCostUsd} US dollars is spent"));
        }

        use.Calls++;
        var response = await base.GetResponseAsync(messages, chat, cancellationToken);
        use.PromptTokens += response.Usage?.InputTokenCount ?? 0;
        use.CompletionTokens += response.Usage?.OutputTokenCount ?? 0;
        use.CostUsd += Cost(options, response.Usage);
        return response;
    }

    /// <summary>US dollars of one answer by the configured prices.</summary>
    public static decimal Cost(LlmOptions options, UsageDetails? usage) =>
        ((usage?.InputTokenCount ?? 0) * options.PromptPricePerMillion +
            (usage?.OutputTokenCount ?? 0) * options.CompletionPricePerMillion) / 1_000_000m;
}

/// <summary>
/// Tries each model of a list a few times, with pauses of 1, 2, 4 s or what the endpoint asks for. Server faults, timeouts, a lost
/// connection and 429 are tried again, also when 429 comes as text; every other refusal moves on to the next model.
/// </summary>
internal sealed class FallbackChatClient(IReadOnlyList<IChatClient> models, LlmOptions options,
    TimeProvider time) : ChatDecorator(models[0])
{
    private static readonly TimeSpan s_longestPause = TimeSpan.FromSeconds(10);

    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? chat = null, CancellationToken cancellationToken = default)
    {
        var sent = messages.ToList();
        Exception? last = null;
        foreach (var model in models)
        {
            for (var attempt = 1; attempt <= options.Attempts; attempt++)
            {
                try
                {
                    var response = await model.GetResponseAsync(sent, chat, cancellationToken);
                    var empty = response.Text.Length == 0 && !response.Messages.Any(
                        message => message.Contents.Any(content => content is FunctionCallContent));
                    if (!empty && !IsRefusalText(response.Text))
                    {
                        return response;
                    }

                    last = new ModelUnavailableException(
                        empty ? "the endpoint's answer was empty or not understood" : "the model answered that it is exhausted");
                }
                catch (Exception e) when (e is not OperationCanceledException || !cancellationToken.IsCancellationRequested)
                {
                    last = e;
                    if (!IsTransient(e))
                    {
                        break;
                    }
                }

                if (attempt < options.Attempts)
                {
                    await Task.Delay(Pause(last, attempt), time, cancellationToken);
                }
            }
        }

        throw new ModelUnavailableException(Describe(last!), last);
    }

    private TimeSpan Pause(Exception failure, int attempt)
    {
        var stated = failure is ClientResultException result
            && result.GetRawResponse()?.Headers.TryGetValue("retry-after", out var text) == true
            && double.TryParse(text, CultureInfo.InvariantCulture, out var seconds)
                ? TimeSpan.FromSeconds(Math.Max(0, seconds)) : options.RetryDelay * Math.Pow(2, attempt - 1);
        return stated < s_longestPause ? stated : s_longestPause;
    }

    private static bool IsTransient(Exception e) => e switch
    {
        ClientResultException { Status: 0 or 408 or 429 or >= 500 } => true,
        ClientResultException => false,
        ModelUnavailableException => false,
        _ => e is HttpRequestException or IOException or OperationCanceledException or TimeoutException or AggregateException
            or JsonException,
    };

    private static bool IsRefusalText(string text) => text.Length < 400
        && (
            text.Contains("Resource exhausted", StringComparison.OrdinalIgnoreCase)
                || text.Contains("Too Many Requests", StringComparison.OrdinalIgnoreCase));

    // The text of a refusal may quote the key: only its status is told.
    private static string Describe(Exception e) => e switch
    {
        ClientResultException { Status: > 0 } refused => $"the endpoint answered {refused.Status}",
        OperationCanceledException or TimeoutException => "the endpoint gave no answer in time",
        JsonException => "the endpoint's answer is not JSON",
        ModelUnavailableException => e.Message,
        _ => $"the endpoint cannot be used ({e.GetBaseException().GetType().Name})",
    };
}

/// <summary>
/// Records each model call as an LLM span: OpenInference and GenAI attributes, messages after redaction, tokens and cost.
/// </summary>
internal sealed class TracingChatClient(IChatClient inner, LlmOptions options, string model, string sessionId,
    TimeProvider time) : ChatDecorator(inner)
{
    private const int MaxContentChars = 4000;

    public override async Task<ChatResponse> GetResponseAsync(
        IEnumerable<ChatMessage> messages, ChatOptions? chat = null, CancellationToken cancellationToken = default)
    {
        var sent = messages.ToList();
        using var span = MatsTracing.Start($"chat {model}", MatsTracing.Llm, sessionId);
        span?.SetTag("llm.model_name", model);
        span?.SetTag("llm.provider", options.Provider);
        span?.SetTag("llm.system", options.Provider);
        span?.SetTag("llm.invocation_parameters", new JsonObject
        {
            ["model"] = model, ["max_tokens"] = chat?.MaxOutputTokens ?? 0, ["temperature"] = chat?.Temperature ?? 0,
            ["stream"] = options.Stream,
        }.ToJsonString());
        span?.SetTag("gen_ai.operation.name", "chat");
        span?.SetTag("gen_ai.provider.name", options.Provider);
        span?.SetTag("gen_ai.system", options.Provider);
        span?.SetTag("gen_ai.request.model", model);
        span?.SetTag("gen_ai.conversation.id", sessionId);
        Messages(span, "llm.input_messages", sent);
        MatsTracing.Input(span, sent.Count > 0 ? Text(sent[^1]) : "", "text/plain");
        var started = time.GetTimestamp();
        try
        {
            var response = await base.GetResponseAsync(sent, chat, cancellationToken);
            span?.SetTag("llm.latency", time.GetElapsedTime(started).TotalMilliseconds);
            span?.SetTag("gen_ai.response.model", response.ModelId ?? model);
            Messages(span, "llm.output_messages", response.Messages);
            MatsTracing.Output(span, response.Text, "text/plain");
            Tokens(span, response.Usage);
            span?.SetStatus(System.Diagnostics.ActivityStatusCode.Ok);
            return response;
        }
        catch (Exception e)
        {
            MatsTracing.Fail(
                span, e is ClientResultException { Status: > 0 } refused
                    ? new ModelUnavailableException($"the endpoint answered {refused.Status}") : e);
            throw;
        }
    }

    private void Tokens(System.Diagnostics.Activity? span, UsageDetails? usage)
    {
        if (usage is null)
        {
            return;
        }

        var (prompt, completion) = (usage.InputTokenCount ?? 0, usage.OutputTokenCount ?? 0);
        span?.SetTag("llm.token_count.prompt", prompt);
        span?.SetTag("llm.token_count.completion", completion);
        span?.SetTag("llm.token_count.total", usage.TotalTokenCount ?? prompt + completion);
        span?.SetTag("gen_ai.usage.input_tokens", prompt);
        span?.SetTag("gen_ai.usage.output_tokens", completion);
        span?.SetTag("llm.cost.total", (double)CostBudgetChatClient.Cost(options, usage));
    }

    private static void Messages(System.Diagnostics.Activity? span, string prefix, IList<ChatMessage> messages)
    {
        for (var i = 0; i < messages.Count; i++)
        {
            span?.SetTag($"{prefix}.{i}.message.role", messages[i].Role.Value);
            span?.SetTag($"{prefix}.{i}.message.content", Text(messages[i]));
        }
    }

    private static string Text(ChatMessage message)
    {
        var text = string.Join('\n', message.Contents.Select(content => content switch
        {
            TextContent part => part.Text,
            FunctionCallContent call => $"{call.Name}({string.Join(", ", call.Arguments?.Select(a => $"{a.Key}: {a.Value}") ?? [])})",
            FunctionResultContent result => result.Result?.ToString() ?? "",
            _ => "",
        }));
        return text.Length <= MaxContentChars ? text : text[..MaxContentChars] + "…";
    }
}
