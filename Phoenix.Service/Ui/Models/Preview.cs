using System.Text.Json;

namespace Phoenix.Service.Ui.Models;

/// <summary>The beginning of what went into or came out of a span, in one line.</summary>
internal static class Preview
{
    private const int MostCharacters = 160;

    private static readonly string[] s_questions = ["user_request", "prompt", "question", "query", "input", "message", "content"];
    private static readonly string[] s_answers = ["response", "answer", "output", "result", "message", "content", "text"];

    /// <summary>What <see cref="Whole"/> gives, cut to one line.</summary>
    public static string? Of(AttributeSet attributes, string side) => Whole(attributes, side) is { } text ? Cut(text) : null;

    /// <summary>What <see cref="Whole"/> gives, up to <paramref name="most"/> characters.</summary>
    public static string? Beginning(AttributeSet attributes, string side, int most) =>
        Whole(attributes, side) is { } text ? Beginning(text, most) : null;

    /// <summary>
    /// <c>input.value</c> or <c>output.value</c>; where that is missing or JSON, the last message of that side; null when there is neither.
    /// A JSON object with one of the usual names for a question or an answer gives that text alone.
    /// </summary>
    public static string? Whole(AttributeSet attributes, string side)
    {
        var text = attributes[$"{side}.value"];
        if (text is null or ['{' or '[', ..] && ChatMessage.Read(attributes, side) is [.., { Parts: [var part, ..] }])
        {
            return part.Text;
        }

        return text is not null && text.StartsWith('{') ? Inner(text, side) ?? text : text;
    }

    /// <summary>One line of at most 160 characters.</summary>
    public static string Cut(string text) => Beginning(text, MostCharacters).ReplaceLineEndings(" ").Trim();

    private static string Beginning(string text, int most) => text.Length > most ? string.Concat(text.AsSpan(0, most), "…") : text;

    private static string? Inner(string json, string side)
    {
        try
        {
            using var document = JsonDocument.Parse(json);
            foreach (var name in side == "input" ? s_questions : s_answers)
            {
                if (document.RootElement.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String)
                {
                    return value.GetString();
                }
            }

            return null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Also half of a surrogate pair, written as an escape: valid JSON that is no text.
            return null;
        }
    }
}
