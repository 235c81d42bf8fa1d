using System.Collections.Concurrent;
using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>
/// An OpenAI-compatible endpoint with a script: each call is answered by the test's function, whole or streamed as the caller asks.
/// </summary>
internal sealed class ModelServer : IAsyncDisposable
{
    private readonly ConcurrentQueue<JsonElement> _calls = new();
    private HttpStub _http = null!;

    /// <summary>The bodies received, in order.</summary>
    public IReadOnlyList<JsonElement> Calls => [.. _calls];

    public string Url => _http.Url + "/v1";

    /// <summary>Settings that point an orchestrator at this endpoint.</summary>
    public (string, string)[] Settings(params (string, string)[] more) =>
        [("Llm:ApiKey", "sk-test-key-0123456789"), ("Llm:BaseUrl", Url), ("Llm:RetryDelay", "00:00:00.010"), .. more];

    public static async Task<ModelServer> StartAsync(Func<int, JsonElement, Reply> answer)
    {
        var server = new ModelServer();
        server._http = await HttpStub.StartAsync(async context =>
        {
            var body = (await JsonDocument.ParseAsync(context.Request.Body)).RootElement;
            int number;
            lock (server)
            {
                server._calls.Enqueue(body);
                number = server._calls.Count;
            }

            await answer(number, body).WriteAsync(
                context, body.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True);
        });
        return server;
    }

    public ValueTask DisposeAsync() => _http.DisposeAsync();

    /// <summary>What to answer: text, a tool call, an error status, or raw bytes.</summary>
    internal sealed record Reply(string? Text, string? Tool = null, string? Arguments = null, int Status = 200, string? Raw = null)
    {
        public async Task WriteAsync(HttpContext context, bool stream)
        {
            context.Response.StatusCode = Status;
            if (Raw is not null || Status != 200)
            {
                context.Response.ContentType = "application/json";
                await context.Response.WriteAsync(Raw ?? """{"error":{"message":"no"}}""");
                return;
            }

            if (!stream)
            {
                context.Response.ContentType = "application/json";
                await context.Response.WriteAsync(Envelope("chat.completion", new JsonObject
                {
                    ["index"] = 0, ["finish_reason"] = Tool is null ? "stop" : "tool_calls", ["message"] = Message(),
                }, Usage()).ToJsonString());
                return;
            }

            // Text in two pieces, a tool call's arguments in two, then the usage: as real endpoints do.
            context.Response.ContentType = "text/event-stream";
            foreach (var delta in Deltas())
            {
                await EventAsync(
                    context,
                    Envelope("chat.completion.chunk", new JsonObject { ["index"] = 0, ["delta"] = delta, ["finish_reason"] = null }, null));
            }

            await EventAsync(
                context,
                Envelope("chat.completion.chunk",
                    new JsonObject
                    {
                        ["index"] = 0,
                        ["delta"] = new JsonObject(),
                        ["finish_reason"] = Tool is null ? "stop" : "tool_calls",
                    }, null));
            var last = Envelope("chat.completion.chunk", null, Usage());
            await EventAsync(context, last);
            await context.Response.WriteAsync("data: [DONE]\n\n");
        }

        private JsonObject Message()
        {
            var message = new JsonObject { ["role"] = "assistant", ["content"] = Text };
            if (Tool is not null)
            {
                message["tool_calls"] = new JsonArray(new JsonObject
                {
                    ["id"] = "call_1", ["type"] = "function", ["function"] = new JsonObject
                    {
                        ["name"] = Tool,
                        ["arguments"] = Arguments ?? "{}",
                    },
                });
            }

            return message;
        }

        private IEnumerable<JsonObject> Deltas()
        {
            if (Text is { Length: > 1 } text)
            {
                yield return new() { ["role"] = "assistant", ["content"] = text[..(text.Length / 2)] };
                yield return new() { ["content"] = text[(text.Length / 2)..] };
            }

            if (Tool is not null)
            {
                var arguments = Arguments ?? "{}";
                yield return new()
                {
                    ["tool_calls"] = new JsonArray(new JsonObject
                    {
                        ["index"] = 0, ["id"] = "call_1", ["type"] = "function",
                        ["function"] = new JsonObject { ["name"] = Tool, ["arguments"] = arguments[..(arguments.Length / 2)] },
                    }),
                };
                yield return new()
                {
                    ["tool_calls"] = new JsonArray(
                        new JsonObject
                        {
                            ["index"] = 0,
                            ["function"] = new JsonObject { ["arguments"] = arguments[(arguments.Length / 2)..] },
                        }),
                };
            }
        }

        private static JsonObject Envelope(string kind, JsonObject? choice, JsonObject? usage) => new()
        {
            ["id"] = "c1", ["object"] = kind, ["created"] = 1700000000, ["model"] = "test-model",
            ["choices"] = choice is null ? new JsonArray() : new JsonArray(choice), ["usage"] = usage,
        };

        private static JsonObject Usage() => new() { ["prompt_tokens"] = 1000, ["completion_tokens"] = 100, ["total_tokens"] = 1100 };

        private static Task EventAsync(HttpContext context, JsonObject body) => context.Response.WriteAsync(
            string.Create(CultureInfo.InvariantCulture, $"data: {body.ToJsonString()}\n\n"));
    }
}
