using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// OpenInference attributes added beside the originals: never one the emitter set, and of two sources the first. Texts are searched for
/// secrets and cut like the originals; of the items of lists no more are added than a span may have attributes.
/// </summary>
internal sealed class DerivedAttributes(AttributeView originals, AttributePolicy policy) : IDisposable
{
    private static readonly JsonWriterOptions s_options = new()
    {
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        SkipValidation = true,
    };

    private readonly HashSet<string> _added = new(StringComparer.Ordinal);
    private readonly ArrayBufferWriter<byte> _output = new(256);
    private Utf8JsonWriter? _writer;

    /// <summary>Most items of lists that are added.</summary>
    public int Most => policy.MaxAttributes;

    /// <summary>Whether no more items of lists are added.</summary>
    public bool IsFull => _added.Count >= Most;

    /// <summary>Whether nothing was added.</summary>
    public bool IsEmpty => _added.Count == 0;

    /// <summary>Whether <paramref name="key"/> was sent or added.</summary>
    public bool Has(string key) => _added.Contains(key) || originals.Has(key);

    /// <summary>Whether anything below <paramref name="prefix"/> was sent or added.</summary>
    public bool HasPrefix(string prefix) =>
        originals.HasPrefix(prefix) || _added.Any(key => key.StartsWith(prefix, StringComparison.Ordinal));

    /// <summary>Adds a text; nothing when it is blank or the key is taken.</summary>
    public void Add(string key, string? text)
    {
        if (!string.IsNullOrWhiteSpace(text) && Start(key) is { } writer)
        {
            writer.WriteString(key, Clean(key, text));
        }
    }

    /// <summary>Adds a number; nothing when it is unknown or the key is taken.</summary>
    public void Add(string key, long? number)
    {
        if (number is { } known && Start(key) is { } writer)
        {
            writer.WriteNumber(key, known);
        }
    }

    /// <summary>Adds a fraction; nothing when it is unknown or the key is taken.</summary>
    public void Add(string key, decimal? number)
    {
        if (number is { } known && Start(key) is { } writer)
        {
            writer.WriteNumber(key, known);
        }
    }

    /// <summary>Adds a structured value as JSON text, as OpenInference carries it; a JSON string as the text it holds.</summary>
    public void AddJsonText(string key, JsonElement? value)
    {
        if (value is { } known)
        {
            Add(key, known.ValueKind == JsonValueKind.String ? known.GetString() : known.GetRawText());
        }
    }

    /// <summary>The members without the outer braces.</summary>
    public ReadOnlySpan<byte> Members()
    {
        _writer?.Flush();
        return _output.WrittenSpan[1..];
    }

    /// <inheritdoc/>
    public void Dispose() => _writer?.Dispose();

    private Utf8JsonWriter? Start(string key)
    {
        // Digits are in the keys of list items alone.
        if (originals.Has(key) || (IsFull && key.AsSpan().ContainsAnyInRange('0', '9')) || !_added.Add(key))
        {
            return null;
        }

        if (_writer is null)
        {
            _writer = new Utf8JsonWriter(_output, s_options);
            _writer.WriteStartObject();
        }

        return _writer;
    }

    private string Clean(string key, string text)
    {
        text = text.Contains('\0', StringComparison.Ordinal) ? text.Replace('\0', '\uFFFD') : text;
        var bytes = Encoding.UTF8.GetBytes(text);
        if (policy.Redactor.MayHoldSecret(bytes) && policy.Redactor.Scrub(Encoding.UTF8.GetBytes(key), bytes) is { } scrubbed)
        {
            bytes = scrubbed;
        }

        return bytes.Length <= policy.MaxBytes
            ? Encoding.UTF8.GetString(bytes)
            : Encoding.UTF8.GetString(AttributePolicy.Cut(bytes, policy.MaxBytes))
                + Encoding.UTF8.GetString(AttributePolicy.CutMark(bytes.Length));
    }
}
