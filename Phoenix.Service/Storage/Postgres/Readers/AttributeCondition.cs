using System.Globalization;
using System.Text.Json;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>
/// "The attribute at this dotted path equals this value". A path may be one flat key, nested objects, or any
/// mix of the two; an integer also matches a whole float; lists never match.
/// </summary>
internal sealed class AttributeCondition
{
    private readonly string[] _segments;
    private readonly string? _text;
    private readonly double? _number;
    private readonly long? _integer;
    private readonly bool? _boolean;

    private AttributeCondition(string path, string? text, long? integer, double? number, bool? boolean)
    {
        Path = path;
        _segments = path.Split('.');
        (_text, _integer, _number, _boolean) = (text, integer, number, boolean);
    }

    /// <summary>Dotted path.</summary>
    public string Path { get; }

    /// <summary>Text that every matching row's JSON contains, for a cheap look before parsing; null when no such text is sure.</summary>
    public string? RequiredKeyText => IsPlain(_segments[^1]) ? _segments[^1] : null;

    /// <summary>As <see cref="RequiredKeyText"/>, for the value.</summary>
    public string? RequiredValueText => _text is { Length: > 0 } && IsPlain(_text) ? _text : null;

    /// <summary>
    /// The texts by which an index on the path finds every row with the value (<see cref="Indexes.AttributeIndexes"/>); null when they are
    /// not all known, as of a fraction.
    /// </summary>
    public string[]? IndexTexts => this switch
    {
        { _text: { } text } => text is "NaN" or "Infinity" or "-Infinity" || text.Any(static c => c is '\0' or Indexes.AttributeIndexes.UndecidedCharacter || char.IsSurrogate(c))
            ? null
            : [text],
        { _boolean: { } flag } => [flag ? "true" : "false"],
        // From 1e15 on a float is stored with an exponent.
        { _integer: 0 } => ["0", "0.0", "-0.0"],
        { _integer: > -1_000_000_000_000_000 and < 1_000_000_000_000_000 and var integer } =>
            [string.Create(CultureInfo.InvariantCulture, $"{integer}"), string.Create(CultureInfo.InvariantCulture, $"{integer}.0")],
        _ => null,
    };

    /// <summary>
    /// Parses <c>key:value</c>. The value is JSON: boolean, integer or float; what is no JSON is a string, and quotes force one. Returns
    /// why not, or null.
    /// </summary>
    public static string? TryParse(string text, out AttributeCondition? condition)
    {
        condition = null;
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 0)
        {
            return $"Invalid attribute filter '{text}': expected key:value";
        }

        var (path, value) = (text[..colon].Trim(), text[(colon + 1)..]);
        if (path.Length == 0 || value.Length == 0)
        {
            return $"Invalid attribute filter '{text}': key and value must not be empty";
        }

        try
        {
            using var json = JsonDocument.Parse(value);
            var root = json.RootElement;
            switch (root.ValueKind)
            {
                case JsonValueKind.True or JsonValueKind.False:
                    condition = new(path, null, null, null, root.GetBoolean());
                    return null;
                case JsonValueKind.Number when root.TryGetInt64(out var integer):
                    condition = new(path, null, integer, integer, null);
                    return null;
                case JsonValueKind.Number:
                    condition = new(path, null, null, root.GetDouble(), null);
                    return null;
                case JsonValueKind.String when root.GetString() is { Length: > 0 } quoted:
                    condition = new(path, quoted, null, null, null);
                    return null;
                case JsonValueKind.String:
                    return $"Invalid attribute filter '{text}': key and value must not be empty";
                default:
                    return $"Invalid attribute filter '{text}': the value must be a string, number or boolean";
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Also a quoted half of a surrogate pair, which is JSON and no text.
            condition = new(path, value, null, null, null);
            return null;
        }
    }

    /// <summary>Whether the stored attributes, or the derived ones when the stored ones lack the path, hold the value.</summary>
    public bool Matches(string attributes, string? derived)
    {
        using var stored = JsonDocument.Parse(attributes);
        if (Find(stored.RootElement, 0, out var matched))
        {
            return matched;
        }

        if (derived is null)
        {
            return false;
        }

        using var added = JsonDocument.Parse(derived);
        return Find(added.RootElement, 0, out matched) && matched;
    }

    private static bool IsPlain(string text)
    {
        foreach (var character in text)
        {
            if (character is not ((>= ' ' and <= '~') and not ('"' or '\\' or '<' or '>' or '&' or '\'' or '+' or '`' or '/')))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>True when the path from <paramref name="from"/> on exists below <paramref name="element"/>, whatever its value.</summary>
    private bool Find(JsonElement element, int from, out bool matched)
    {
        matched = false;
        if (from == _segments.Length)
        {
            matched = IsEqual(element);
            return true;
        }

        if (element.ValueKind == JsonValueKind.String && IsJsonText(from) && JsonTextKeys.TryParse(element.GetString()!) is { } parsed)
        {
            using (parsed)
            {
                return Find(parsed.RootElement, from, out matched);
            }
        }

        if (element.ValueKind != JsonValueKind.Object)
        {
            return false;
        }

        // The longest key first: a sender's flat key wins over nesting.
        for (var to = _segments.Length; to > from; to--)
        {
            var key = string.Join('.', _segments, from, to - from);
            if (element.TryGetProperty(key, out var child) && Find(child, to, out matched))
            {
                return true;
            }
        }

        return false;
    }

    private bool IsJsonText(int from) => from > 0 && JsonTextKeys.IsJsonText(string.Join('.', _segments, 0, from));

    private bool IsEqual(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => _text is not null && element.ValueEquals(_text),
        JsonValueKind.True => _boolean == true,
        JsonValueKind.False => _boolean == false,
        JsonValueKind.Number when _integer is { } integer && element.TryGetInt64(out var stored) => stored == integer,
        JsonValueKind.Number => _number is { } number && element.GetDouble().Equals(number),
        JsonValueKind.Object when element.TryGetProperty("$double", out var special) =>
            _text is not null && special.ValueEquals(_text),
        _ => false,
    };
}
