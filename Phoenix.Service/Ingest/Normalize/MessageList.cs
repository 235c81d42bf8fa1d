namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// Writes messages one after the other as flat OpenInference attributes. A message of one text part gets <c>message.content</c>, one of
/// several parts or other kinds <c>message.contents.M</c>.
/// </summary>
internal sealed class MessageList(DialectSpan span)
{
    private readonly List<(string Type, string Field, string? Value)> _parts = [];
    private string _prefix = string.Empty;
    private string _message = string.Empty;
    private string _role = string.Empty;
    private int _next;
    private int _toolCalls;

    /// <summary>Text of the last user message; null when there was none.</summary>
    public string? LastUserText { get; private set; }

    /// <summary>Text of the first output message that has one.</summary>
    public string? FirstOutputText { get; private set; }

    /// <summary>Whether nothing more is kept.</summary>
    public bool IsFull => span.Derived.IsFull || _parts.Count >= span.Derived.Most;

    /// <summary>Begins another list, <c>llm.input_messages.</c> or <c>llm.output_messages.</c>.</summary>
    public void Start(string prefix)
    {
        End();
        _prefix = prefix;
        _next = 0;
    }

    /// <summary>Begins the next message.</summary>
    public void Begin(string role)
    {
        End();
        _message = $"{_prefix}{_next++}.message.";
        _role = role == "developer" ? "system" : role;
        _toolCalls = 0;
        span.Derived.Add(_message + "role", _role);
    }

    /// <summary>A plain field of the message.</summary>
    public void Set(string field, string? value) => span.Derived.Add(_message + field, value);

    /// <summary>A message that is one text.</summary>
    public void Content(string? text)
    {
        Text(text);
        End();
    }

    /// <summary>A text part.</summary>
    public void Text(string? text) => Content("text", "text", text);

    /// <summary>A part of another type; <paramref name="field"/> is below <c>message_content.</c>.</summary>
    public void Content(string type, string field, string? value)
    {
        if (value is not null)
        {
            _parts.Add((type, field, value));
        }
    }

    /// <summary>A tool call of the message.</summary>
    public void ToolCall(string? id, string? name, string? arguments)
    {
        var call = $"{_message}tool_calls.{_toolCalls++}.tool_call.";
        span.Derived.Add(call + "id", id);
        span.Derived.Add(call + "function.name", name);
        span.Derived.Add(call + "function.arguments", arguments);
    }

    /// <summary>A tool's answer: a message of role tool; a second one in the same message gets a message of its own.</summary>
    public void ToolResult(string? id, string? content)
    {
        if (_parts.Count > 0 || _toolCalls > 0)
        {
            Begin("tool");
        }

        span.Derived.Add(_message + "tool_call_id", id);
        Text(content);
    }

    /// <summary>The stop reason; the first one counts for the span.</summary>
    public void FinishReason(string? reason) => span.Derived.Add("llm.finish_reason", reason);

    /// <summary>Writes the parts of the message at hand.</summary>
    public void End()
    {
        if (_parts.Count == 0)
        {
            return;
        }

        var text = string.Join('\n', _parts.Where(part => part.Type == "text").Select(part => part.Value));
        if (text.Length > 0 && _prefix == "llm.input_messages." && _role == "user")
        {
            LastUserText = text;
        }
        else if (text.Length > 0 && _prefix == "llm.output_messages.")
        {
            FirstOutputText ??= text;
        }

        if (_parts is [("text", "text", var only)])
        {
            span.Derived.Add(_message + "content", only);
        }
        else
        {
            for (var i = 0; i < _parts.Count; i++)
            {
                var content = $"{_message}contents.{i}.message_content.";
                span.Derived.Add(content + "type", _parts[i].Type);
                span.Derived.Add(content + _parts[i].Field, _parts[i].Value);
            }
        }

        _parts.Clear();
    }
}
