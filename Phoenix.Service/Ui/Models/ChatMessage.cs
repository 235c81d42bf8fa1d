namespace Phoenix.Service.Ui.Models;

/// <summary>
/// One part of a message's content; <see cref="Text"/> is what can be read of it, <see cref="Type"/> e.g. <c>text</c>, <c>image</c>,
/// <c>reasoning</c>.
/// </summary>
public sealed record ChatPart(string Type, string Text);

/// <summary>A tool call that a message asks for; <see cref="Arguments"/> is usually JSON.</summary>
public sealed record ChatToolCall(string Name, string? Id, string Arguments);

/// <summary>A message of a model call, from OpenInference's flattened attributes.</summary>
public sealed record ChatMessage(string Role, string? Name, string? ToolCallId, IReadOnlyList<ChatPart> Parts,
    IReadOnlyList<ChatToolCall> ToolCalls)
{
    /// <summary>
    /// The messages under <c>llm.input_messages</c> or <c>llm.output_messages</c>, in order; completions of the older API as well.
    /// </summary>
    public static IReadOnlyList<ChatMessage> Read(AttributeSet attributes, string side) =>
        [.. attributes.List($"llm.{side}_messages").Select(Read), .. ReadCompletions(attributes, side)];

    private static ChatMessage Read(IReadOnlyDictionary<string, AttributeView> entry)
    {
        var parts = new List<ChatPart>();
        if (Text(entry, "message.content") is { } content)
        {
            parts.Add(new ChatPart("text", content));
        }

        foreach (var part in AttributeSet.List(entry, "message.contents"))
        {
            var text = Text(part, "message_content.text") ?? Text(part, "message_content.image.image.url")
                ?? Text(part, "message_content.audio.audio.transcript");
            if (text is not null)
            {
                parts.Add(new ChatPart(Text(part, "message_content.type") ?? "text", text));
            }
        }

        var calls = AttributeSet.List(entry, "message.tool_calls")
            .Select(static call => new ChatToolCall(
                Text(call, "tool_call.function.name")
                    ?? "(unnamed tool)", Text(call, "tool_call.id"), Text(call, "tool_call.function.arguments") ?? ""))
            .ToList();
        if (Text(entry, "message.function_call_name") is { } function)
        {
            calls.Add(new ChatToolCall(function, Id: null, Text(entry, "message.function_call_arguments_json") ?? ""));
        }

        return new ChatMessage(
            Text(entry, "message.role") ?? "message", Text(entry, "message.name"), Text(entry, "message.tool_call_id"), parts, calls);
    }

    private static IEnumerable<ChatMessage> ReadCompletions(AttributeSet attributes, string side)
    {
        var (list, key, role) = side == "input" ? ("llm.prompts", "prompt.text", "user") : ("llm.choices", "completion.text", "assistant");
        foreach (var entry in attributes.List(list))
        {
            if (Text(entry, key) is { } text)
            {
                yield return new ChatMessage(role, Name: null, ToolCallId: null, [new ChatPart("text", text)], []);
            }
        }
    }

    private static string? Text(IReadOnlyDictionary<string, AttributeView> entry, string key) =>
        entry.TryGetValue(key, out var attribute) && attribute.Text.Length > 0 ? attribute.Text : null;
}
