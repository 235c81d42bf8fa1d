using MatsObservability.ServiceDefaults;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>What becomes of a value that must not be stored as it is.</summary>
internal enum RedactionAction
{
    /// <summary>Key and value are left out.</summary>
    Drop,

    /// <summary>The value becomes <c>sha256:</c> and 32 hex digits of its salted hash: equal values stay equal.</summary>
    Hash,

    /// <summary>The value becomes <c>***</c> and, of texts longer than 12 characters, the last four.</summary>
    Mask,
}

/// <summary>
/// One rule, written <c>ACTION KEYS [/PATTERN/]</c>: the action <c>drop</c>, <c>hash</c> or <c>mask</c>; keys separated by <c>;</c>, in any
/// case, <c>*</c> standing for any text; without a pattern the whole value, with one every match of the regular expression in a text value.
/// </summary>
internal sealed record RedactionRule(RedactionAction Action, string[] Keys, string? Pattern)
{
    /// <summary>Reads a rule; otherwise says what is wrong with it.</summary>
    public static RedactionRule? Parse(string text, out string? fault)
    {
        var parts = text.Split(' ', 3, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        fault = null;
        if (parts.Length < 2 || !Enum.TryParse<RedactionAction>(parts[0], ignoreCase: true, out var action)
            || char.IsAsciiDigit(parts[0][0]))
        {
            fault = "must be ACTION KEYS [/PATTERN/] with the action drop, hash or mask";
            return null;
        }

        var pattern = parts.Length == 3 ? parts[2] : null;
        if (pattern is not null)
        {
            if (pattern.Length < 3 || pattern[0] != '/' || pattern[^1] != '/' || !SettingFaults.IsRegex(pattern[1..^1]))
            {
                fault = "must end in a regular expression between slashes";
                return null;
            }

            pattern = pattern[1..^1];
        }

        return new RedactionRule(action, parts[1].Split(';', StringSplitOptions.RemoveEmptyEntries), pattern);
    }
}

/// <summary>Secrets and personal data that never reach the database.</summary>
internal sealed class RedactionOptions
{
    /// <summary>Configuration section.</summary>
    public const string Section = "Phoenix:Redaction";

    /// <summary>
    /// Drops llm.api_key, user.token, session.token, authorization and cookie headers, and masks bearer tokens and API keys inside texts.
    /// </summary>
    public bool BuiltInRules { get; set; } = true;

    /// <summary>Further rules (<see cref="RedactionRule"/>); they come before the built-in ones.</summary>
    public string[] Rules { get; set; } = [];

    /// <summary>Mixed into every hash, so that hashes of guessable values cannot be looked up.</summary>
    public string HashSalt { get; set; } = string.Empty;

    /// <summary>Longest time one pattern may take on one value; the value is masked whole when it takes longer.</summary>
    public TimeSpan PatternTimeout { get; set; } = TimeSpan.FromMilliseconds(50);

    /// <summary>One sentence a broken rule.</summary>
    public static IEnumerable<string> Check(RedactionOptions options)
    {
        if (options.PatternTimeout <= TimeSpan.Zero || options.PatternTimeout > TimeSpan.FromSeconds(10))
        {
            yield return $"{Section}:{nameof(PatternTimeout)} must be above 0 and at most 10 s, got {options.PatternTimeout}";
        }

        for (var i = 0; i < options.Rules.Length; i++)
        {
            if (RedactionRule.Parse(options.Rules[i], out var fault) is null)
            {
                yield return $"{Section}:{nameof(Rules)}:{i} {fault}, got '{options.Rules[i]}'";
            }
        }
    }
}
