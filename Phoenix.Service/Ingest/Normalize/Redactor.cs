using System.Buffers;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Options;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>A rule that holds for a whole value because of its key.</summary>
internal sealed record KeyRedaction(string Rule, RedactionAction Action);

/// <summary>
/// Applies <see cref="RedactionOptions"/>. Keys are judged once each (the decoder remembers the answer); texts are searched only where
/// <see cref="MayHoldSecret"/> says so. Thread-safe.
/// </summary>
internal sealed class Redactor
{
    private const string Mark = "***";
    private const int ShortestToken = 8;
    private const int ShortestKey = 20;

    private static readonly string[] s_builtInKeys =
    [
        "llm.api_key", "user.token", "session.token", "authorization", "*.authorization", "proxy-authorization", "*.proxy-authorization",
        "*.api_key", "*.x-api-key", "x-api-key", "*.cookie", "*.set-cookie", "*.access_token", "*.client_secret",
    ];

    private static readonly SearchValues<byte> s_tokenBytes =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/="u8);

    private readonly List<(Regex Keys, KeyRedaction Redaction)> _keyRules = [];
    private readonly List<(Regex Keys, Regex Pattern, KeyRedaction Redaction)> _patterns = [];
    private readonly bool _builtIn;
    private readonly byte[] _salt;
    private readonly NormalizeMetrics _metrics;

    /// <summary>Compiles the rules.</summary>
    public Redactor(IOptions<RedactionOptions> options, NormalizeMetrics metrics)
    {
        _metrics = metrics;
        _builtIn = options.Value.BuiltInRules;
        _salt = Encoding.UTF8.GetBytes(options.Value.HashSalt);
        foreach (var (text, index) in options.Value.Rules.Select((text, index) => (text, index)))
        {
            var rule = RedactionRule.Parse(text, out var fault) ?? throw new ArgumentException(fault, nameof(options));
            var redaction = new KeyRedaction($"rule_{index}", rule.Action);
            var keys = KeyPattern(rule.Keys);
            if (rule.Pattern is null)
            {
                _keyRules.Add((keys, redaction));
            }
            else
            {
                _patterns.Add((keys, new Regex(rule.Pattern, RegexOptions.CultureInvariant, options.Value.PatternTimeout), redaction));
            }
        }

        if (_builtIn)
        {
            _keyRules.Add((KeyPattern(s_builtInKeys), new KeyRedaction("secret_key", RedactionAction.Drop)));
        }
    }

    /// <summary>What must happen to every value of <paramref name="key"/>; null = nothing.</summary>
    public KeyRedaction? ForKey(string key)
    {
        foreach (var (keys, redaction) in _keyRules)
        {
            if (keys.IsMatch(key))
            {
                return redaction;
            }
        }

        return null;
    }

    /// <summary>Counts an attribute left out because of its key.</summary>
    public void CountDropped(KeyRedaction redaction) => _metrics.CountRedacted(redaction.Rule);

    /// <summary>The text stored instead of <paramref name="value"/> (text or raw bytes) under a Hash or Mask rule.</summary>
    public byte[] Replace(KeyRedaction redaction, ReadOnlySpan<byte> value)
    {
        _metrics.CountRedacted(redaction.Rule);
        return Replacement(redaction.Action, value);
    }

    /// <summary>A quick look at the bytes of a whole message or text: false = no text in it needs <see cref="Scrub"/>.</summary>
    public bool MayHoldSecret(ReadOnlySpan<byte> bytes) => _patterns.Count > 0 || (_builtIn && HoldsMark(bytes));

    /// <summary>
    /// Whether "rer" of "Bearer", in any case, or "k-" of "sk-…" occurs: one pass over bit masks of the letters; vectors overlap by the two
    /// bytes a mark may reach over. Ordinary words with either only cost a second look.
    /// </summary>
    private static bool HoldsMark(ReadOnlySpan<byte> bytes)
    {
        var last = bytes.Length - Vector512<byte>.Count;
        if (last < 0)
        {
            return bytes.IndexOf("rer"u8) >= 0 || bytes.IndexOf("RER"u8) >= 0 || bytes.IndexOf("k-"u8) >= 0;
        }

        ref var start = ref MemoryMarshal.GetReference(bytes);
        for (nint at = 0; ; at = Math.Min(at + Vector512<byte>.Count - 2, last))
        {
            var block = Vector512.LoadUnsafe(ref start, (nuint)at);
            var folded = block | Vector512.Create((byte)0x20);
            var r = Vector512.Equals(folded, Vector512.Create((byte)'r')).ExtractMostSignificantBits();
            var e = Vector512.Equals(folded, Vector512.Create((byte)'e')).ExtractMostSignificantBits();
            var k = Vector512.Equals(block, Vector512.Create((byte)'k')).ExtractMostSignificantBits();
            var dash = Vector512.Equals(block, Vector512.Create((byte)'-')).ExtractMostSignificantBits();
            if (((r & (e >> 1) & (r >> 2)) | (k & (dash >> 1))) != 0)
            {
                return true;
            }

            if (at == last)
            {
                return false;
            }
        }
    }

    /// <summary>The text without what the patterns find in it; null when there is nothing to replace.</summary>
    public byte[]? Scrub(ReadOnlySpan<byte> key, ReadOnlySpan<byte> text)
    {
        byte[]? scrubbed = null;
        if (_builtIn)
        {
            scrubbed = ScrubTokens(text);
        }

        if (_patterns.Count > 0)
        {
            var before = Encoding.UTF8.GetString(scrubbed ?? text);
            var after = ApplyPatterns(Encoding.UTF8.GetString(key), before);
            scrubbed = ReferenceEquals(before, after) ? scrubbed : Encoding.UTF8.GetBytes(after);
        }

        return scrubbed;
    }

    private string ApplyPatterns(string key, string text)
    {
        foreach (var (keys, pattern, redaction) in _patterns)
        {
            if (!keys.IsMatch(key))
            {
                continue;
            }

            try
            {
                text = pattern.Replace(text, match =>
                {
                    _metrics.CountRedacted(redaction.Rule);
                    return redaction.Action == RedactionAction.Drop
                        ? string.Empty
                        : Encoding.UTF8.GetString(Replacement(redaction.Action, Encoding.UTF8.GetBytes(match.Value)));
                });
            }
            catch (RegexMatchTimeoutException)
            {
                // Nobody knows what the rest of the text holds, so none of it is kept.
                _metrics.CountRedacted(redaction.Rule);
                return Mark;
            }
        }

        return text;
    }

    /// <summary>
    /// Bearer tokens and <c>sk-…</c> keys, found without regular expressions in one pass: each of the three marks is looked for only behind
    /// where it was found before.
    /// </summary>
    private byte[]? ScrubTokens(ReadOnlySpan<byte> text)
    {
        ArrayBufferWriter<byte>? output = null;
        var (copied, search) = (0, 0);
        var (lower, upper, key) = (-1, -1, -1);
        while (true)
        {
            lower = lower < search ? Next(text, "earer "u8, search) : lower;
            upper = upper < search ? Next(text, "EARER "u8, search) : upper;
            key = key < search ? Next(text, "sk-"u8, search) : key;
            var found = Math.Min(key, Math.Min(lower, upper));
            if (found == int.MaxValue)
            {
                break;
            }

            var isKey = found == key;
            var start = isKey ? found : found + "earer ".Length;
            search = found + "sk-".Length;

            // "task-force" is a word: a key starts where no letter or digit stands before it.
            if (isKey && start > 0 && char.IsAsciiLetterOrDigit((char)text[start - 1]))
            {
                continue;
            }

            var length = text[start..].IndexOfAnyExcept(s_tokenBytes);
            length = length < 0 ? text.Length - start : length;
            if (length >= (isKey ? ShortestKey : ShortestToken))
            {
                output ??= new ArrayBufferWriter<byte>(text.Length);
                output.Write(text[copied..start]);
                output.Write("***"u8);
                copied = search = start + length;
                _metrics.CountRedacted("secret_text");
            }
        }

        if (output is null)
        {
            return null;
        }

        output.Write(text[copied..]);
        return output.WrittenSpan.ToArray();
    }

    private static int Next(ReadOnlySpan<byte> text, ReadOnlySpan<byte> mark, int from)
    {
        var index = text[from..].IndexOf(mark);
        return index < 0 ? int.MaxValue : from + index;
    }

    /// <summary>As <see cref="Replace"/>, for another copy of a value that was counted.</summary>
    public byte[] Replacement(RedactionAction action, ReadOnlySpan<byte> value)
    {
        if (action == RedactionAction.Hash)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            hash.AppendData(_salt);
            hash.AppendData(value);
            return Encoding.UTF8.GetBytes("sha256:" + Convert.ToHexStringLower(hash.GetHashAndReset().AsSpan(0, 16)));
        }

        var text = Encoding.UTF8.GetString(value);
        return Encoding.UTF8.GetBytes(text.Length > 12 ? Mark + text[^4..] : Mark);
    }

    // Linear in the length of the key, so that no key needs a time limit.
    private static Regex KeyPattern(IEnumerable<string> keys) => new(
        "^(?:" + string.Join('|', keys.Select(key => Regex.Escape(key).Replace("\\*", ".*", StringComparison.Ordinal))) + ")\\z",
        RegexOptions.CultureInvariant | RegexOptions.IgnoreCase | RegexOptions.Singleline | RegexOptions.NonBacktracking);
}
