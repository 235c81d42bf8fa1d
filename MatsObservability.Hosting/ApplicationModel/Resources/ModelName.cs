namespace Aspire.Hosting.ApplicationModel;

/// <summary>The rules of resource and endpoint names, and how a name becomes an environment variable's.</summary>
internal static class ModelName
{
    private const int MaxLength = 64;

    /// <exception cref="ArgumentException">Names the kind, the name and the rule it breaks.</exception>
    public static void Validate(string kind, string name)
    {
        ArgumentNullException.ThrowIfNull(name);
        if (Fault(name) is { } fault)
        {
            throw new ArgumentException($"{kind} name '{name}' is invalid. {fault}", nameof(name));
        }
    }

    /// <summary>
    /// The name as an environment variable may spell it: unchanged if it already is one, else non-alphanumerics become <c>_</c> and a
    /// leading digit is prefixed by <c>_</c>.
    /// </summary>
    public static string EncodeForEnvironment(string name)
    {
        var isVariableName = name.Length > 0 && !char.IsAsciiDigit(name[0]) && name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_');
        if (isVariableName)
        {
            return name;
        }

        var encoded = string.Concat(name.Select(c => char.IsAsciiLetterOrDigit(c) ? c : '_'));
        return encoded.Length > 0 && char.IsAsciiDigit(encoded[0]) ? "_" + encoded : encoded;
    }

    private static string? Fault(string name)
    {
        if (name.Length is 0 or > MaxLength)
        {
            return $"Name must be between 1 and {MaxLength} characters long.";
        }

        if (!name.All(c => char.IsAsciiLetterOrDigit(c) || c == '-'))
        {
            return "Name must contain only ASCII letters, digits, and hyphens.";
        }

        if (!char.IsAsciiLetter(name[0]))
        {
            return "Name must start with an ASCII letter.";
        }

        if (name.Contains("--", StringComparison.Ordinal))
        {
            return "Name cannot contain consecutive hyphens.";
        }

        return name[^1] == '-' ? "Name cannot end with a hyphen." : null;
    }
}
