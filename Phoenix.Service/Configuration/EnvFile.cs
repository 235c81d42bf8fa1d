using System.Text;

namespace Phoenix.Service.Configuration;

/// <summary>
/// Reads NAME=value lines: blank lines and lines starting with # are skipped, "export " may stand in front, values may be in single quotes
/// (taken as they are) or double quotes (\n, \t, \" and \\ are escapes); behind an unquoted value " #" starts a comment.
/// </summary>
internal static class EnvFile
{
    /// <summary>The variables in order.</summary>
    /// <exception cref="StartUpException">A line is none of the above; the message names <paramref name="source"/> and the line's
    /// number.</exception>
    public static List<(string Name, string Value)> Parse(string text, string source)
    {
        var variables = new List<(string, string)>();
        var number = 0;
        foreach (var raw in text.Split('\n'))
        {
            number++;
            var line = raw.Trim();
            if (line.Length == 0 || line[0] == '#')
            {
                continue;
            }

            line = line.StartsWith("export ", StringComparison.Ordinal) ? line["export ".Length..].TrimStart() : line;
            var equals = line.IndexOf('=', StringComparison.Ordinal);
            var name = equals > 0 ? line[..equals].TrimEnd() : "";
            if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c == '_'))
            {
                throw new StartUpException($"{source} line {number} must be NAME=value");
            }

            variables.Add(
                (name, Value(line[(equals + 1)..].TrimStart())
                    ?? throw new StartUpException($"{source} line {number}: the quote of {name} is not closed")));
        }

        return variables;
    }

    private static string? Value(string text)
    {
        if (text.Length == 0 || text[0] is not ('"' or '\''))
        {
            var comment = text.IndexOf(" #", StringComparison.Ordinal);
            return (comment >= 0 ? text[..comment] : text).TrimEnd();
        }

        var value = new StringBuilder();
        for (var i = 1; i < text.Length; i++)
        {
            if (text[i] == text[0])
            {
                return value.ToString();
            }

            if (text[0] == '"' && text[i] == '\\' && i + 1 < text.Length)
            {
                i++;
                value.Append(text[i] switch { 'n' => '\n', 't' => '\t', var other => other });
            }
            else
            {
                value.Append(text[i]);
            }
        }

        return null;
    }
}
