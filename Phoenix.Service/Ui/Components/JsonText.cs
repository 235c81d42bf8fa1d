using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Components;
using Microsoft.AspNetCore.Components.Rendering;

namespace Phoenix.Service.Ui.Components;

/// <summary>
/// JSON laid out and coloured, every piece of it encoded; what is no JSON, or has too many tokens to colour, is shown as it is.
/// </summary>
public sealed class JsonText : ComponentBase
{
    private const int MostTokens = 4000;
    private const int Indent = 2;

    /// <summary>The text.</summary>
    [Parameter, EditorRequired]
    public string Text { get; set; } = "";

    /// <summary>Whether <paramref name="text"/> is a JSON object or array.</summary>
    public static bool IsJson(string text)
    {
        var trimmed = text.AsSpan().Trim();
        if (trimmed is not (['{', .., '}'] or ['[', .., ']']))
        {
            return false;
        }

        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
            while (reader.Read())
            {
            }

            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    protected override void BuildRenderTree(RenderTreeBuilder builder)
    {
        builder.OpenElement(0, "pre");
        builder.AddAttribute(1, "class", "json");
        builder.AddAttribute(2, "tabindex", "0");
        if (!IsJson(Text) || !TryWriteTokens(builder))
        {
            builder.AddContent(3, Text);
        }

        builder.CloseElement();
    }

    private bool TryWriteTokens(RenderTreeBuilder builder)
    {
        var tokens = ReadTokens(Text);
        if (tokens is null)
        {
            return false;
        }

        foreach (var (style, text) in tokens)
        {
            if (style is null)
            {
                builder.AddContent(4, text);
                continue;
            }

            builder.OpenElement(5, "span");
            builder.AddAttribute(6, "class", style);
            builder.AddContent(7, text);
            builder.CloseElement();
        }

        return true;
    }

    private static bool IsText(ref Utf8JsonReader reader)
    {
        try
        {
            return reader.GetString() is not null;
        }
        catch (InvalidOperationException)
        {
            return false;
        }
    }

    // Punctuation and line breaks are gathered into one piece between coloured ones; null when there are too many tokens, or one that
    // cannot be shown.
    private static List<(string? Style, string Text)>? ReadTokens(string json)
    {
        var pieces = new List<(string? Style, string Text)>();
        var plain = new StringBuilder();
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(json));
        var (afterKey, first) = (false, true);
        for (var tokens = 0; reader.Read(); tokens++)
        {
            // Half of a surrogate pair, written as an escape, is valid JSON and no text.
            if (tokens > MostTokens || (reader.ValueIsEscaped && !IsText(ref reader)))
            {
                return null;
            }

            var closes = reader.TokenType is JsonTokenType.EndObject or JsonTokenType.EndArray;
            if (!afterKey && !(closes && first) && reader.CurrentDepth + plain.Length + pieces.Count > 0)
            {
                plain.Append(closes || first ? "\n" : ",\n").Append(' ', reader.CurrentDepth * Indent);
            }

            afterKey = false;
            first = false;
            switch (reader.TokenType)
            {
                case JsonTokenType.StartObject or JsonTokenType.StartArray:
                    plain.Append(reader.TokenType == JsonTokenType.StartObject ? '{' : '[');
                    first = true;
                    break;
                case JsonTokenType.EndObject or JsonTokenType.EndArray:
                    plain.Append(reader.TokenType == JsonTokenType.EndObject ? '}' : ']');
                    break;
                case JsonTokenType.PropertyName:
                    Coloured("jk", Quote(reader.GetString()));
                    plain.Append(": ");
                    afterKey = true;
                    break;
                case JsonTokenType.String:
                    Coloured("js", Quote(reader.GetString()));
                    break;
                default:
                    Coloured("jn", Encoding.UTF8.GetString(reader.ValueSpan));
                    break;
            }
        }

        Flush();
        return pieces;

        void Coloured(string style, string text)
        {
            Flush();
            pieces.Add((style, text));
        }

        void Flush()
        {
            if (plain.Length > 0)
            {
                pieces.Add((null, plain.ToString()));
                plain.Clear();
            }
        }
    }

    // Escapes only what would break the layout: people read this, and a \n in a prompt is a line break to them.
    private static string Quote(string? text) =>
        "\"" + text?.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal) + "\"";
}
