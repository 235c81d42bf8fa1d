using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// The attributes of one span or event by name, for the dialects: values read as text, count or JSON whatever their OTLP type. Made only
/// for spans that carry a key of a dialect. Values that redaction leaves out or replaces cannot be seen through it, nor what it takes out
/// of texts.
/// </summary>
internal sealed class AttributeView
{
    private readonly byte[] _message;
    private readonly AttributePolicy _policy;
    private readonly Dictionary<string, (int Start, int Length)> _values;
    private string[]? _sorted;

    private AttributeView(ReadOnlySpan<byte> message, int count, AttributePolicy policy)
        : this(message, new Dictionary<string, (int Start, int Length)>(count, StringComparer.Ordinal), policy)
    {
    }

    private AttributeView(ReadOnlySpan<byte> message, Dictionary<string, (int Start, int Length)> values, AttributePolicy policy) =>
        (_message, _values, _policy) = (message.ToArray(), values, policy);

    /// <summary>Every name.</summary>
    public IEnumerable<string> Keys => _values.Keys;

    /// <summary>The attributes of the span at hand.</summary>
    public static AttributeView Of(ReadOnlySpan<byte> span, ReadOnlySpan<SpanScratch.Attribute> attributes, AttributePolicy policy)
    {
        var view = new AttributeView(span, attributes.Length, policy);
        foreach (var attribute in attributes)
        {
            if (attribute.Key is { Redaction: null } key)
            {
                view._values[key.Name] = (attribute.Start, attribute.Length);
            }
        }

        return view;
    }

    /// <summary>The attributes of an event message; null when it breaks the encoding.</summary>
    public static AttributeView? OfEvent(ReadOnlySpan<byte> message, AttributePolicy policy)
    {
        using var entries = new KeyValueList(policy.MaxAttributes);
        if (!entries.TryRead(message, TraceFields.EventAttributes))
        {
            return null;
        }

        var view = new AttributeView(message, entries.Count, policy);
        for (var i = 0; i < entries.Count; i++)
        {
            if (policy.Keys.Get(entries.Key(message, i)) is { Redaction: null } key)
            {
                var value = entries.Value(message, i);
                view._values[key.Name] = (message.OffsetOf(value), value.Length);
            }
        }

        return view;
    }

    /// <summary>
    /// The members of JSON objects, as attributes are stored; of two with one name the first. What is no object has none.
    /// </summary>
    public static AttributeView OfStored(AttributePolicy policy, params ReadOnlySpan<JsonElement> objects)
    {
        using var message = new ProtobufWriter();
        var values = new Dictionary<string, (int Start, int Length)>(StringComparer.Ordinal);
        foreach (var json in objects)
        {
            foreach (var member in json.ValueKind == JsonValueKind.Object ? json.EnumerateObject() : default)
            {
                if (!values.ContainsKey(member.Name))
                {
                    var start = message.Length;
                    JsonAnyValue.Write(message, member.Value);
                    values.Add(member.Name, (start, message.Length - start));
                }
            }
        }

        return new AttributeView(message.Written, values, policy);
    }

    /// <summary>Whether the attribute was sent.</summary>
    public bool Has(string key) => _values.ContainsKey(key);

    /// <summary>Whether any attribute starts with <paramref name="prefix"/>.</summary>
    public bool HasPrefix(string prefix)
    {
        // Lists are asked for index by index: in thousands of names each answer has to be found fast.
        _sorted ??= [.. _values.Keys.Order(StringComparer.Ordinal)];
        var index = Array.BinarySearch(_sorted, prefix, StringComparer.Ordinal);
        index = index < 0 ? ~index : index;
        return index < _sorted.Length && _sorted[index].StartsWith(prefix, StringComparison.Ordinal);
    }

    /// <summary>Trimmed text of a scalar, JSON text of a list; null when absent or blank.</summary>
    public string? Text(string key)
    {
        if (!TryRead(key, out var value))
        {
            return null;
        }

        var text = value.Kind switch
        {
            AnyValueKind.String => Encoding.UTF8.GetString(value.Data),
            AnyValueKind.Int => value.Int.ToString(CultureInfo.InvariantCulture),
            AnyValueKind.Double => value.Double.ToString(CultureInfo.InvariantCulture),
            AnyValueKind.Bool => value.Bits != 0 ? "true" : "false",
            AnyValueKind.Array or AnyValueKind.KeyValueList => JsonText(key, value),
            _ => null,
        };
        return string.IsNullOrWhiteSpace(text) ? null : text.Trim();
    }

    /// <summary>The first of <paramref name="keys"/> that has text.</summary>
    public string? FirstText(params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            if (Text(key) is { } text)
            {
                return text;
            }
        }

        return null;
    }

    /// <summary>The first of <paramref name="keys"/> that is a token count (<see cref="SpanFacts"/>).</summary>
    public long? FirstCount(params ReadOnlySpan<string> keys)
    {
        foreach (var key in keys)
        {
            if (TryRead(key, out var value) && SpanFacts.CountOf(value) is { } count)
            {
                return count;
            }
        }

        return null;
    }

    /// <summary>A number; null when absent or none.</summary>
    public decimal? Number(string key) =>
        Text(key) is { } text && decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) ? number : null;

    /// <summary>A structured value: a native list, or text holding JSON. Null when absent or not valid JSON.</summary>
    public JsonElement? Json(string key)
    {
        if (!TryRead(key, out var value))
        {
            return null;
        }

        return value.Kind switch
        {
            AnyValueKind.String => ParseJson(value.Data),
            AnyValueKind.Array or AnyValueKind.KeyValueList or AnyValueKind.Int or AnyValueKind.Double or AnyValueKind.Bool =>
                Parse(Encoding.UTF8.GetBytes(JsonText(key, value) ?? "null")),
            _ => null,
        };
    }

    /// <summary>Text that is a JSON object, array or string; null when it is not.</summary>
    public static JsonElement? ParseJson(ReadOnlySpan<byte> json)
    {
        var start = json.TrimStart(" \t\r\n"u8);
        return !start.IsEmpty && start[0] is ((byte)'{' or (byte)'[' or (byte)'"') ? Parse(json) : null;
    }

    private static JsonElement? Parse(ReadOnlySpan<byte> json)
    {
        var reader = new Utf8JsonReader(Readable(json),
            new JsonReaderOptions { AllowTrailingCommas = true, CommentHandling = JsonCommentHandling.Skip });
        try
        {
            return JsonElement.TryParseValue(ref reader, out var element) ? element : null;
        }
        catch (JsonException)
        {
            // Text that only looks like JSON stays text.
            return null;
        }
    }

    /// <summary>Valid UTF-8, and U+FFFD for every escaped half of a surrogate pair: readers of JSON strings throw on either.</summary>
    private static ReadOnlySpan<byte> Readable(ReadOnlySpan<byte> json)
    {
        var valid = Utf8.IsValid(json) ? json : Decode.JsonText.Repair(json);
        if (!SurrogateEscapes.HasHalf(valid))
        {
            return valid;
        }

        var copy = valid.ToArray();
        SurrogateEscapes.Mend(copy);
        return copy;
    }

    private string? JsonText(string key, in AnyValue value)
    {
        using var rows = new CopyRows();
        rows.StartRow(1);
        var start = rows.BeginField();
        if (!AttributeJson.TryWriteValue(rows, Encoding.UTF8.GetBytes(key), value, new AttributeUse(_policy)))
        {
            return null;
        }

        rows.EndField(start);
        rows.EndRow();
        return Encoding.UTF8.GetString(rows.Written.Span[(sizeof(short) + sizeof(int))..]);
    }

    private bool TryRead(string key, out AnyValue value)
    {
        value = default;
        if (!_values.TryGetValue(key, out var slice) || !AnyValue.TryRead(_message.AsSpan(slice.Start, slice.Length), out value))
        {
            return false;
        }

        if (value.Kind == AnyValueKind.String && _policy.Redactor.MayHoldSecret(value.Data)
            && _policy.Redactor.Scrub(Encoding.UTF8.GetBytes(key), value.Data) is { } scrubbed)
        {
            value = AnyValue.OfText(scrubbed);
        }

        return true;
    }
}
