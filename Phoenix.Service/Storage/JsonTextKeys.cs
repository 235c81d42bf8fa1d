using System.Text;
using System.Text.Json;

namespace Phoenix.Service.Storage;

/// <summary>Attribute keys whose string value is JSON text and is shown parsed.</summary>
internal static class JsonTextKeys
{
    /// <summary>Whether a valid JSON object or list under this key is shown as such.</summary>
    public static bool IsJsonText(string key) =>
        key.EndsWith("metadata", StringComparison.Ordinal) || key is "llm.prompt_template.variables" or "tool.parameters";

    /// <summary>
    /// The object or list of a value under such a key, every string of it readable; null when it is none, and stays text.
    /// </summary>
    public static JsonDocument? TryParse(string text)
    {
        if (text.AsSpan().TrimStart() is not ['{' or '[', ..])
        {
            return null;
        }

        var json = Encoding.UTF8.GetBytes(text);
        SurrogateEscapes.Mend(json);
        try
        {
            return JsonDocument.Parse(json);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
