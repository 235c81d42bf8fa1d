using System.Globalization;
using System.Text.Json;

namespace Phoenix.Service.Ui.Models;

/// <summary>One attribute as text. <see cref="IsJson"/>: the text is a JSON object or array and may be laid out.</summary>
public sealed record AttributeView(string Key, string Text, bool IsJson, bool IsDerived);

/// <summary>
/// A span's attributes: what the sender sent and, where that lacks a key, what normalisation added. Keys are flat and dotted
/// (<c>llm.input_messages.0.message.role</c>).
/// </summary>
public sealed class AttributeSet
{
    private const int MostListEntries = 1000;
    private readonly Dictionary<string, AttributeView> _attributes = new(StringComparer.Ordinal);

    /// <summary>Reads two JSON objects, the second optional. What is not an object counts as empty.</summary>
    public AttributeSet(string sent, string? derived)
    {
        Add(sent, isDerived: false);
        Add(derived, isDerived: true);
    }

    /// <summary>Every attribute by key.</summary>
    public IEnumerable<AttributeView> All => _attributes.Values.OrderBy(static attribute => attribute.Key, StringComparer.Ordinal);

    /// <summary>The attribute's text, or null when there is none or it is empty.</summary>
    public string? this[string key] => _attributes.TryGetValue(key, out var attribute) && attribute.Text.Length > 0 ? attribute.Text : null;

    /// <summary>The attribute as a whole number, or null.</summary>
    public long? Number(string key) =>
        double.TryParse(this[key], NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && double.IsFinite(number)
            ? (long)number
            : null;

    /// <summary>
    /// The entries of a flattened list <c>prefix.N.rest</c>: for each N in order, the attributes by <c>rest</c>. Gaps are left out.
    /// </summary>
    public IReadOnlyList<IReadOnlyDictionary<string, AttributeView>> List(string prefix) => List(_attributes, prefix);

    /// <summary>As <see cref="List(string)"/>, inside the entry of another list.</summary>
    public static IReadOnlyList<IReadOnlyDictionary<string, AttributeView>> List(
        IReadOnlyDictionary<string, AttributeView> attributes, string prefix)
    {
        var entries = new SortedDictionary<int, Dictionary<string, AttributeView>>();
        foreach (var (key, attribute) in attributes)
        {
            if (!key.StartsWith(prefix, StringComparison.Ordinal) || key.Length <= prefix.Length || key[prefix.Length] != '.')
            {
                continue;
            }

            var rest = key.AsSpan(prefix.Length + 1);
            var dot = rest.IndexOf('.');
            if (dot > 0 && int.TryParse(rest[..dot], NumberStyles.None, CultureInfo.InvariantCulture, out var index))
            {
                if (!entries.TryGetValue(index, out var entry))
                {
                    if (entries.Count == MostListEntries)
                    {
                        continue;
                    }

                    entries[index] = entry = new Dictionary<string, AttributeView>(StringComparer.Ordinal);
                }

                entry[rest[(dot + 1)..].ToString()] = attribute;
            }
        }

        return [.. entries.Values];
    }

    /// <summary>A JSON value as an attribute's text: strings bare, numbers and flags as written, objects and arrays as JSON.</summary>
    internal static (string Text, bool IsJson) Describe(JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => (value.GetString() ?? "", false),
        JsonValueKind.Null or JsonValueKind.Undefined => ("", false),
        JsonValueKind.Object when value.TryGetProperty("$double", out var special) => (special.ToString(), false),
        JsonValueKind.Object when value.TryGetProperty("$bytes", out var bytes) => (bytes.ToString(), false),
        JsonValueKind.Object or JsonValueKind.Array => (value.GetRawText(), true),
        _ => (value.GetRawText(), false),
    };

    private void Add(string? json, bool isDerived)
    {
        if (string.IsNullOrEmpty(json))
        {
            return;
        }

        using var document = JsonDocument.Parse(json);
        if (document.RootElement.ValueKind != JsonValueKind.Object)
        {
            return;
        }

        foreach (var property in document.RootElement.EnumerateObject())
        {
            var (text, isJson) = Describe(property.Value);
            _attributes.TryAdd(property.Name, new AttributeView(property.Name, text, isJson, isDerived));
        }
    }
}
