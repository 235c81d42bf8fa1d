using System.Text.RegularExpressions;

namespace MatsObservability.ServiceDefaults;

/// <summary>Collects what is wrong with the settings of one section, each sentence starting with its key.</summary>
/// <param name="section">Path of the section.</param>
public sealed class SettingFaults(string section)
{
    private readonly List<string> _found = [];

    /// <summary>One sentence a broken rule, in the order they were asked.</summary>
    public IReadOnlyList<string> Found => _found;

    /// <summary>Adds that <paramref name="key"/> must <paramref name="rule"/>, unless it <paramref name="holds"/>.</summary>
    /// <param name="holds">Whether the rule is kept.</param>
    /// <param name="key">The key below the section.</param>
    /// <param name="rule">What must be, such as "not be empty".</param>
    /// <param name="got">The value as it was given; null leaves it out, as for a secret.</param>
    public void Require(bool holds, string key, string rule, object? got = null)
    {
        if (!holds)
        {
            _found.Add(FormattableString.Invariant($"{section}:{key} must {rule}") + (got is null
                ? ""
                : FormattableString.Invariant($", got '{got}'")));
        }
    }

    /// <summary>Requires a value within bounds, both allowed.</summary>
    public void Between<T>(string key, T value, T least, T most)
        where T : IComparable<T> =>
        Require(
            value.CompareTo(least) >= 0 && value.CompareTo(most) <= 0, key, FormattableString.Invariant($"be from {least} to {most}"),
            value);

    /// <summary>Requires an absolute address of the schemes http or https, if <paramref name="value"/> is not empty.</summary>
    public void HttpAddress(string key, string value) =>
        Require(value.Length == 0 || IsHttpAddress(value), key, HttpAddressRule, WithoutCredentials(value));

    /// <summary>What an address must be, as messages say it.</summary>
    public const string HttpAddressRule = "be an absolute http(s) address";

    /// <summary>Whether <paramref name="text"/> is an absolute address of the schemes http or https.</summary>
    public static bool IsHttpAddress(string? text) => Uri.TryCreate(text, UriKind.Absolute, out var uri) && uri.Scheme is "http" or "https";

    /// <summary>Whether <paramref name="pattern"/> is a regular expression.</summary>
    public static bool IsRegex(string pattern)
    {
        try
        {
            _ = new Regex(pattern, RegexOptions.None, TimeSpan.FromSeconds(1));
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }

    /// <summary>The text, if it cannot hold a user and a password; otherwise null.</summary>
    public static string? WithoutCredentials(string? text) => text?.Contains('@', StringComparison.Ordinal) == true ? null : text;
}
