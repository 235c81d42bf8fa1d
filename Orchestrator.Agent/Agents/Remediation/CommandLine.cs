using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Agents.Remediation;

/// <summary>A command that the allow-list holds: an argument vector, never a shell line.</summary>
internal sealed record PermittedCommand(IReadOnlyList<string> Vector, IReadOnlyList<string>? Rollback, IReadOnlyList<string>? DryRun)
{
    /// <summary>What an approval is bound to.</summary>
    public string Hash => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', Vector))));
}

/// <summary>From the text of a command to a permitted vector, and from there to a finished process.</summary>
internal static class CommandLine
{
    private const int MaxOutputChars = 4000;

    /// <summary>How long the output of a program that has ended may still arrive: what it left running may hold it open for ever.</summary>
    private static readonly TimeSpan s_drain = TimeSpan.FromSeconds(1);

    /// <summary>
    /// The command as a vector of the allow-list; null when it is not on it. Shell syntax has no meaning here: it is an argument that
    /// matches no pattern.
    /// </summary>
    public static PermittedCommand? Permit(string text, RemediationOptions options) => Permit(Split(text) ?? [], options);

    /// <summary>The same for a command that is a vector already.</summary>
    public static PermittedCommand? Permit(string[] words, RemediationOptions options)
    {
        if (words is not [var program, .. var arguments])
        {
            return null;
        }

        foreach (var allowed in options.Commands)
        {
            if ((program == allowed.Program || program == Path.GetFileName(allowed.Program)) && Matches(arguments, allowed.Arguments))
            {
                return new(
                    [allowed.Program, .. arguments],
                    allowed.Rollback.Count == 0 ? null : [allowed.Program, .. allowed.Rollback.Select(part => Fill(part, arguments))],
                    allowed.DryRun.Count == 0 ? null : [allowed.Program, .. allowed.DryRun.Select(part => Fill(part, arguments))]);
            }
        }

        return null;
    }

    /// <summary>Words of a line; single and double quotes group. Null when a quote is left open.</summary>
    public static string[]? Split(string text)
    {
        var words = new List<string>();
        var word = new StringBuilder();
        var (quote, inWord) = ('\0', false);
        foreach (var c in text.Trim())
        {
            if (quote != '\0')
            {
                (quote, _) = c == quote ? ('\0', word) : (quote, word.Append(c));
            }
            else if (c is '"' or '\'')
            {
                (quote, inWord) = (c, true);
            }
            else if (char.IsWhiteSpace(c))
            {
                if (inWord)
                {
                    words.Add(word.ToString());
                    word.Clear();
                    inWord = false;
                }
            }
            else
            {
                word.Append(c);
                inWord = true;
            }
        }

        if (inWord)
        {
            words.Add(word.ToString());
        }

        return quote == '\0' ? [.. words] : null;
    }

    /// <summary>
    /// The line that <see cref="Split"/> takes apart into these words; null when there is none: a word that holds both quotes, or nothing.
    /// </summary>
    public static string? Join(IReadOnlyList<string> words)
    {
        var quoted = words.Select(static word =>
            word.Length == 0 || (word.Contains('\'') && word.Contains('"')) ? null
            : word.Contains('\'') ? $"\"{word}\""
            : word.Any(static c => char.IsWhiteSpace(c) || c is '"') ? $"'{word}'"
            : word).ToList();
        return quoted.Contains(null) ? null : string.Join(' ', quoted);
    }

    /// <summary>Runs a vector once, without a shell; its exit code and the start of what it printed.</summary>
    public static async Task<(int ExitCode, string Output)> RunAsync(
        IReadOnlyList<string> vector, TimeSpan timeout, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo(vector[0])
        {
            RedirectStandardOutput = true, RedirectStandardError = true, UseShellExecute = false,
        };
        foreach (var argument in vector.Skip(1))
        {
            start.ArgumentList.Add(argument);
        }

        try
        {
            using var process = Process.Start(start)!;
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            limit.CancelAfter(timeout);
            using var reading = CancellationTokenSource.CreateLinkedTokenSource(limit.Token);
            try
            {
                var errors = ProcessOutput.StartAsync(process.StandardError, MaxOutputChars + 1, reading.Token);
                var printed = ProcessOutput.StartAsync(process.StandardOutput, MaxOutputChars + 1, reading.Token);
                await process.WaitForExitAsync(limit.Token);
                reading.CancelAfter(s_drain);
                var output = await printed + await errors;
                return (process.ExitCode, output.Length <= MaxOutputChars ? output : output[..MaxOutputChars] + "…");
            }
            catch (OperationCanceledException)
            {
                process.Kill(entireProcessTree: true);
                return (-1, cancellationToken.IsCancellationRequested
                    ? "stopped because the working time is spent or the service stops"
                    : string.Create(CultureInfo.InvariantCulture, $"stopped after {timeout.TotalSeconds:0.#} s"));
            }
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            return (-1, $"{vector[0]} cannot be started: {e.Message}");
        }
    }

    private static bool Matches(string[] arguments, IList<string> patterns) =>
        arguments.Length == patterns.Count && arguments.Zip(patterns).All(pair =>
            Regex.IsMatch(pair.First, $@"\A(?:{pair.Second})\z", RegexOptions.CultureInvariant, TimeSpan.FromSeconds(1)));

    private static string Fill(string template, string[] arguments)
    {
        for (var i = 0; i < arguments.Length; i++)
        {
            template = template.Replace($"{{{i.ToString(CultureInfo.InvariantCulture)}}}", arguments[i], StringComparison.Ordinal);
        }

        return template;
    }
}
