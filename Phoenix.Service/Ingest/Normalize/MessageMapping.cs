using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// Chat messages of every dialect as <c>llm.input_messages.N.message.*</c> and <c>llm.output_messages.N.message.*</c>, and the input and
/// output values that follow from them. One bad message or part is kept as raw JSON; it never drops the list.
/// </summary>
internal static class MessageMapping
{
    private const string Inputs = "llm.input_messages.";
    private const string Outputs = "llm.output_messages.";

    /// <summary>Maps the messages of <c>gen_ai.*</c> attributes, else of indexed attributes, else of events.</summary>
    public static void Map(DialectSpan span, IReadOnlyList<DialectEvent> events)
    {
        var list = new MessageList(span);
        if (!span.Derived.HasPrefix(Inputs))
        {
            list.Start(Inputs);
            MapInputs(span, events, list);
        }

        if (!span.Derived.HasPrefix(Outputs))
        {
            list.Start(Outputs);
            MapOutputs(span, events, list);
        }

        if (span.Facts.Kind is SpanKinds.Llm or SpanKinds.Agent or SpanKinds.Unknown)
        {
            AddValue(span.Derived, "input", list.LastUserText);
            AddValue(span.Derived, "output", list.FirstOutputText);
        }
    }

    /// <summary><c>input.value</c> or <c>output.value</c>, with its MIME type when it is JSON.</summary>
    public static void AddValue(DerivedAttributes derived, string side, string? text)
    {
        if (text is null || derived.Has($"{side}.value"))
        {
            return;
        }

        derived.Add($"{side}.value", text);
        if (AttributeView.ParseJson(Encoding.UTF8.GetBytes(text)) is { ValueKind: JsonValueKind.Object or JsonValueKind.Array })
        {
            derived.Add($"{side}.mime_type", "application/json");
        }
    }

    /// <summary>A member as text: a string as it is, anything else as JSON; null when absent, null or empty.</summary>
    public static string? TextOf(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value)
            ? value.ValueKind switch
            {
                JsonValueKind.Null or JsonValueKind.Undefined => null,
                JsonValueKind.String => value.GetString() is { Length: > 0 } text ? text : null,
                _ => value.GetRawText(),
            }
            : null;

    /// <summary>Messages in a JSON array, or one object, or plain text of <paramref name="role"/>.</summary>
    public static void AddAny(MessageList list, JsonElement? json, string? text, string role)
    {
        switch (json)
        {
            case { ValueKind: JsonValueKind.Array } messages:
                foreach (var message in messages.EnumerateArray().TakeWhile(_ => !list.IsFull))
                {
                    AddMessage(list, message, role);
                }

                break;
            case { ValueKind: JsonValueKind.Object } message when message.TryGetProperty("messages", out var inner)
                && inner.ValueKind == JsonValueKind.Array:
                AddAny(list, inner, null, role);
                break;
            case { ValueKind: JsonValueKind.Object } message when message.TryGetProperty("role", out _)
                || message.TryGetProperty("content", out _):
                AddMessage(list, message, role);
                break;
            default:
                if (text is not null)
                {
                    list.Begin(role);
                    list.Content(text);
                }

                break;
        }
    }

    private static void MapInputs(DialectSpan span, IReadOnlyList<DialectEvent> events, MessageList list)
    {
        var view = span.View;
        if (view.Text("gen_ai.system_instructions") is { } instructions)
        {
            list.Begin("system");
            AddInstructions(list, view.Json("gen_ai.system_instructions"), instructions);
        }

        if (view.Has("gen_ai.input.messages"))
        {
            AddAny(list, view.Json("gen_ai.input.messages"), view.Text("gen_ai.input.messages"), "user");
        }
        else if (view.Has("gen_ai.prompt"))
        {
            AddAny(list, view.Json("gen_ai.prompt"), view.Text("gen_ai.prompt"), "user");
        }
        else if (view.HasPrefix("gen_ai.prompt."))
        {
            AddIndexed(list, view, "gen_ai.prompt.", "user");
        }
        else
        {
            EventMessages.AddInputs(list, events);
        }
    }

    private static void MapOutputs(DialectSpan span, IReadOnlyList<DialectEvent> events, MessageList list)
    {
        var view = span.View;
        if (view.Has("gen_ai.output.messages"))
        {
            AddAny(list, view.Json("gen_ai.output.messages"), view.Text("gen_ai.output.messages"), "assistant");
        }
        else if (view.Has("gen_ai.completion"))
        {
            AddAny(list, view.Json("gen_ai.completion"), view.Text("gen_ai.completion"), "assistant");
        }
        else if (view.HasPrefix("gen_ai.completion."))
        {
            AddIndexed(list, view, "gen_ai.completion.", "assistant");
        }
        else
        {
            EventMessages.AddOutputs(list, events);
        }
    }

    private static void AddInstructions(MessageList list, JsonElement? json, string text)
    {
        if (json is { ValueKind: JsonValueKind.Array } parts)
        {
            foreach (var part in parts.EnumerateArray().TakeWhile(_ => !list.IsFull))
            {
                AddPart(list, part);
            }

            list.End();
            return;
        }

        list.Content(json is { ValueKind: JsonValueKind.Object } part0 ? TextOf(part0, "content") ?? text : text);
    }

    /// <summary>One message: <c>parts[]</c> of generation 2 and 3, or <c>content</c> and <c>tool_calls</c> as OpenAI writes them.</summary>
    public static void AddMessage(MessageList list, JsonElement message, string role)
    {
        if (message.ValueKind != JsonValueKind.Object)
        {
            list.Begin(role);
            list.Content(message.ToString());
            return;
        }

        list.Begin(TextOf(message, "role") ?? role);
        list.Set("name", TextOf(message, "name"));
        list.Set("tool_call_id", TextOf(message, "tool_call_id"));
        list.FinishReason(TextOf(message, "finish_reason"));
        if (message.TryGetProperty("parts", out var parts) && parts.ValueKind == JsonValueKind.Array)
        {
            foreach (var part in parts.EnumerateArray().TakeWhile(_ => !list.IsFull))
            {
                AddPart(list, part);
            }
        }
        else if (message.TryGetProperty("content", out var content) && content.ValueKind == JsonValueKind.Array)
        {
            foreach (var part in content.EnumerateArray().TakeWhile(_ => !list.IsFull))
            {
                AddPart(list, part);
            }
        }
        else
        {
            list.Text(TextOf(message, "content"));
        }

        if (message.TryGetProperty("tool_calls", out var calls) && calls.ValueKind == JsonValueKind.Array)
        {
            foreach (var call in calls.EnumerateArray().TakeWhile(_ => !list.IsFull))
            {
                AddToolCall(list, call);
            }
        }

        list.End();
    }

    /// <summary>A tool call as any dialect writes it.</summary>
    public static void AddToolCall(MessageList list, JsonElement call)
    {
        var function = call.ValueKind == JsonValueKind.Object && call.TryGetProperty("function", out var inner) ? inner : call;
        list.ToolCall(
            TextOf(call, "id") ?? TextOf(call, "toolCallId"),
            TextOf(function, "name") ?? TextOf(function, "toolName"),
            TextOf(function, "arguments") ?? TextOf(function, "args") ?? TextOf(function, "input"));
    }

    private static void AddPart(MessageList list, JsonElement part)
    {
        if (part.ValueKind != JsonValueKind.Object)
        {
            list.Text(part.ToString());
            return;
        }

        switch (TextOf(part, "type"))
        {
            case "text" or "input_text" or "output_text":
                list.Text(TextOf(part, "content") ?? TextOf(part, "text"));
                break;
            case "reasoning" or "thinking":
                list.Content("reasoning", "text", TextOf(part, "content") ?? TextOf(part, "text") ?? TextOf(part, "thinking"));
                break;
            case "tool_call" or "tool-call" or "tool_use":
                AddToolCall(list, part);
                break;
            case "server_tool_call":
                list.ToolCall(TextOf(part, "id"), TextOf(part, "name"), TextOf(part, "server_tool_call") ?? TextOf(part, "arguments"));
                break;
            case "tool_call_response" or "server_tool_call_response" or "tool-result" or "tool_result":
                list.ToolResult(
                    TextOf(part, "id") ?? TextOf(part, "toolCallId") ?? TextOf(part, "tool_use_id"),
                    TextOf(part, "response") ?? TextOf(part, "result") ?? TextOf(part, "output")
                        ?? TextOf(part, "server_tool_call_response")
                        ?? TextOf(part, "content"));
                break;
            case "blob":
                var mime = TextOf(part, "mime_type") ?? "application/octet-stream";
                AddMedia(
                    list, part, TextOf(part, "modality")
                        ?? mime.Split('/')[0], $"data:{mime};base64,{TextOf(part, "content") ?? TextOf(part, "data")}");
                break;
            case "uri":
                AddMedia(list, part, TextOf(part, "modality") ?? TextOf(part, "mime_type")?.Split('/')[0] ?? "image", TextOf(part, "uri"));
                break;
            case "image_url" when part.TryGetProperty("image_url", out var image):
                AddMedia(list, part, "image", image.ValueKind == JsonValueKind.Object ? TextOf(image, "url") : image.ToString());
                break;
            case "file":
                list.Content("file", "text", TextOf(part, "file_id") ?? part.GetRawText());
                break;
            case var type:
                list.Content(type ?? "unknown", "text", part.GetRawText());
                break;
        }
    }

    private static void AddMedia(MessageList list, JsonElement part, string modality, string? url)
    {
        if (modality is "image" or "audio")
        {
            list.Content(modality, $"{modality}.{modality}.url", url);
        }
        else
        {
            list.Content(modality, "text", url ?? part.GetRawText());
        }
    }

    /// <summary>OpenLLMetry: <c>gen_ai.prompt.N.{role,content,finish_reason,tool_call_id,tool_calls.M.{id,name,arguments}}</c>.</summary>
    private static void AddIndexed(MessageList list, AttributeView view, string prefix, string role)
    {
        for (var i = 0; !list.IsFull && view.HasPrefix(string.Create(CultureInfo.InvariantCulture, $"{prefix}{i}.")); i++)
        {
            var message = $"{prefix}{i}.";
            list.Begin(view.Text(message + "role") ?? role);
            list.FinishReason(view.Text(message + "finish_reason"));
            list.Set("tool_call_id", view.Text(message + "tool_call_id"));
            if (view.Json(message + "content") is { ValueKind: JsonValueKind.Array } parts)
            {
                foreach (var part in parts.EnumerateArray().TakeWhile(_ => !list.IsFull))
                {
                    AddPart(list, part);
                }
            }
            else
            {
                list.Text(view.Text(message + "content"));
            }

            for (var j = 0; view.HasPrefix($"{message}tool_calls.{j}."); j++)
            {
                var call = $"{message}tool_calls.{j}.";
                list.ToolCall(view.Text(call + "id"), view.Text(call + "name"), view.Text(call + "arguments"));
            }

            list.End();
        }
    }
}

/// <summary>Messages in span events: generation 1 (one event a message) and the older content events.</summary>
internal static class EventMessages
{
    /// <summary>Input messages in the order of the events.</summary>
    public static void AddInputs(MessageList list, IReadOnlyList<DialectEvent> events)
    {
        foreach (var item in events)
        {
            switch (item.Name)
            {
                case "gen_ai.system.message" or "gen_ai.user.message" or "gen_ai.assistant.message" or "gen_ai.tool.message":
                    Add(list, item.View, item.Name.Split('.')[1]);
                    break;
                case "gen_ai.content.prompt":
                    MessageMapping.AddAny(list, item.View.Json("gen_ai.prompt"), item.View.Text("gen_ai.prompt"), "user");
                    break;
                case "gen_ai.client.inference.operation.details":
                    MessageMapping.AddAny(list, item.View.Json("gen_ai.input.messages"), item.View.Text("gen_ai.input.messages"), "user");
                    break;
            }
        }
    }

    /// <summary>Output messages in the order of the events.</summary>
    public static void AddOutputs(MessageList list, IReadOnlyList<DialectEvent> events)
    {
        foreach (var item in events)
        {
            switch (item.Name)
            {
                case "gen_ai.choice":
                    Add(list, item.View, "assistant");
                    break;
                case "gen_ai.content.completion":
                    MessageMapping.AddAny(list, item.View.Json("gen_ai.completion"), item.View.Text("gen_ai.completion"), "assistant");
                    break;
                case "gen_ai.client.inference.operation.details":
                    MessageMapping.AddAny(list, item.View.Json("gen_ai.output.messages"),
                        item.View.Text("gen_ai.output.messages"), "assistant");
                    break;
            }
        }
    }

    /// <summary>The payload lies in <c>gen_ai.event.content</c> as JSON, or in attributes of the event.</summary>
    private static void Add(MessageList list, AttributeView view, string role)
    {
        if (view.Json("gen_ai.event.content") is { ValueKind: JsonValueKind.Object } payload)
        {
            list.FinishReason(MessageMapping.TextOf(payload, "finish_reason"));
            MessageMapping.AddMessage(
                list, payload.TryGetProperty("message", out var message) && message.ValueKind == JsonValueKind.Object
                    ? message
                    : payload, role);
            return;
        }

        if (view.Json("message") is { ValueKind: JsonValueKind.Object } nested)
        {
            list.FinishReason(view.Text("finish_reason"));
            MessageMapping.AddMessage(list, nested, role);
            return;
        }

        list.Begin(view.Text("role") ?? role);
        list.FinishReason(view.Text("finish_reason"));
        list.Set("tool_call_id", role == "tool" ? view.Text("id") : null);
        list.Text(view.FirstText("content", "gen_ai.event.content"));
        if (view.Json("tool_calls") is { ValueKind: JsonValueKind.Array } calls)
        {
            foreach (var call in calls.EnumerateArray().TakeWhile(_ => !list.IsFull))
            {
                MessageMapping.AddToolCall(list, call);
            }
        }

        list.End();
    }
}
