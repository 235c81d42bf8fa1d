using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Options;
using Phoenix.Service.Configuration;
using Phoenix.Service.Ingest.Decode;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>An attribute that names sessions: its place among the rules, and what is put before its value.</summary>
internal sealed record SessionRule(string Attribute, int Place, byte[] Prefix);

/// <summary>
/// The operator's rules of what names a session, from the file <see cref="NormalizeOptions.SessionRulesFile"/>: a JSON list of attribute
/// names, each alone or as <c>{"attribute": …, "prefix": …}</c>. They are tried in their order and before the built-in ones. Read once.
/// </summary>
internal sealed class SessionRules
{
    private const int MostRules = 32;
    private const int LongestName = 256;
    private const int LongestPrefix = 64;
    private const int LongestFile = 64 * 1024;

    private readonly Dictionary<string, SessionRule> _rules;

    /// <summary>Reads the file, if there is one.</summary>
    /// <exception cref="StartUpException">It has become unusable since the options were checked.</exception>
    public SessionRules(IOptions<NormalizeOptions> options)
    {
        _rules = Read(options.Value.SessionRulesFile, out var faults);
        if (faults.Count > 0)
        {
            throw new StartUpException(faults[0]);
        }
    }

    /// <summary>Only the built-in rules.</summary>
    public static SessionRules None { get; } = new(Options.Create(new NormalizeOptions()));

    /// <summary>Whether there are rules beside the built-in ones.</summary>
    public bool Any => _rules.Count > 0;

    /// <summary>The rule about the attribute <paramref name="name"/>; null when there is none.</summary>
    public SessionRule? Find(string name) => _rules.GetValueOrDefault(name);

    /// <summary>One sentence a fault of the file at <paramref name="path"/>; none for the empty path.</summary>
    public static IEnumerable<string> Check(string path)
    {
        Read(path, out var faults);
        return faults;
    }

    private static Dictionary<string, SessionRule> Read(string path, out List<string> faults)
    {
        var rules = new Dictionary<string, SessionRule>(StringComparer.Ordinal);
        faults = [];
        if (path.Length == 0)
        {
            return rules;
        }

        var key = $"{NormalizeOptions.Section}:{nameof(NormalizeOptions.SessionRulesFile)}";
        if (!File.Exists(path))
        {
            faults.Add($"{key} must name a file, got '{path}'");
            return rules;
        }

        try
        {
            using var file = File.OpenRead(path);
            if (file.Length > LongestFile)
            {
                faults.Add($"{key}: '{path}' must have at most {LongestFile} bytes, has {file.Length}");
                return rules;
            }

            using var document = JsonDocument.Parse(
                file, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true });
            faults.AddRange(ReadList(document.RootElement, rules).Select(fault => $"{key}: '{path}' {fault}"));
        }
        catch (JsonException exception)
        {
            faults.Add($"{key}: '{path}' is not JSON at line {exception.LineNumber + 1}");
        }
        catch (InvalidOperationException)
        {
            faults.Add($"{key}: '{path}' holds text that is not Unicode");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            faults.Add($"{key}: '{path}' cannot be read: {exception.Message}");
        }

        return rules;
    }

    private static IEnumerable<string> ReadList(JsonElement list, Dictionary<string, SessionRule> rules)
    {
        if (list.ValueKind != JsonValueKind.Array)
        {
            yield return "must hold a list of attribute names, as [\"chat.id\", {\"attribute\": \"ticket\", \"prefix\": \"ticket:\"}]";
            yield break;
        }

        if (list.GetArrayLength() is 0 or > MostRules)
        {
            yield return $"must list from 1 to {MostRules} attributes, lists {list.GetArrayLength()}";
        }

        foreach (var (place, entry) in list.EnumerateArray().Index())
        {
            if (ReadEntry(entry, out var name, out var prefix) is { } fault)
            {
                yield return $"entry {place + 1} {fault}";
            }
            else if (!rules.TryAdd(name, new SessionRule(name, place, Encoding.UTF8.GetBytes(prefix))))
            {
                yield return $"entry {place + 1} names '{name}', which entry {rules[name].Place + 1} does already";
            }
        }
    }

    /// <summary>What is wrong with <paramref name="entry"/>; null when it is a rule.</summary>
    private static string? ReadEntry(JsonElement entry, out string name, out string prefix)
    {
        (name, prefix) = ("", "");
        foreach (var member in entry.ValueKind == JsonValueKind.Object ? entry.EnumerateObject() : default)
        {
            if (member.Name is not ("attribute" or "prefix") || member.Value.ValueKind != JsonValueKind.String)
            {
                return "must have the members \"attribute\" and, if wanted, \"prefix\", both text, and no other";
            }
        }

        var attribute = entry;
        if (entry.ValueKind == JsonValueKind.Object)
        {
            entry.TryGetProperty("attribute", out attribute);
            prefix = entry.TryGetProperty("prefix", out var before) ? before.GetString()! : "";
        }

        if (attribute.ValueKind != JsonValueKind.String)
        {
            return "must be an attribute's name, or an object with its name as \"attribute\"";
        }

        name = attribute.GetString()!;
        return string.IsNullOrWhiteSpace(name) ? "must name an attribute, the name is empty"
            : Encoding.UTF8.GetByteCount(name) > LongestName ? $"must name an attribute with at most {LongestName} bytes"
            : Encoding.UTF8.GetByteCount(prefix) > LongestPrefix ? $"must have a prefix of at most {LongestPrefix} bytes"
            : prefix.Any(char.IsControl) ? "must have a prefix without control characters"
            : null;
    }
}

/// <summary>The session that the rules find among the attributes of one span or resource: that of the first rule with a value.</summary>
internal ref struct RuledSession
{
    private int _place;

    /// <summary>The session; empty when no rule found any.</summary>
    public ReadOnlySpan<byte> Text { get; private set; }

    /// <summary>
    /// Looks at the AnyValue <paramref name="message"/> of <paramref name="key"/>: what counts of it is what redaction leaves.
    /// </summary>
    public void Offer(AttributeKey key, ReadOnlySpan<byte> message, AttributeUse use)
    {
        if (key.SessionRule is not { } rule || (!Text.IsEmpty && rule.Place > _place) || !AnyValue.TryRead(message, out var value))
        {
            return;
        }

        var text = SpanFacts.TextOf(use.Policy.Readable(key, value, message));
        text = use.Search ? use.Scrub(key.Utf8, text) : text;
        if (!text.IsEmpty)
        {
            _place = rule.Place;
            Text = rule.Prefix.Length == 0 ? text : (byte[])[.. rule.Prefix, .. text];
        }
    }
}
