using System.Globalization;
using System.Text.RegularExpressions;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>
/// An open repository as one investigation reads it: every read and search is a tool call, and there are few of each,
/// whoever asks for them.
/// </summary>
internal sealed partial class CodeReader(InvestigationRun run, OpenRepository opened)
{
    public const int MostFileReads = 10;
    public const int MostSearches = 5;
    private const int ContextLines = 50;
    private const int MaxShownChars = 8000;
    private const int MaxToldChars = 500;

    public OpenRepository Opened => opened;

    public bool CanRead => run.State.FileReads < MostFileReads;

    public bool CanSearch => run.State.CodeSearches < MostSearches;

    /// <summary>The place and who last changed it; null when the file has no such line.</summary>
    public async Task<CodeMatch?> FindAsync(string file, int line, string? function, bool exact)
    {
        run.State.FileReads++;
        return await CallAsync(
            "read_file", "Reads the lines around a place in code and who last changed it.", Place(file, line),
            async stop =>
            {
                var lines = await CodeRepository.ReadLinesAsync(opened, file, stop);
                if (line > lines.Count)
                {
                    return null;
                }

                var from = Math.Max(0, line - 1 - ContextLines);
                var enclosing = function ?? lines.Take(line).Skip(from).LastOrDefault(text => FunctionLine().IsMatch(text))?.Trim();
                return new CodeMatch(
                    file, line, enclosing, lines[line - 1].Trim(), exact, await CodeRepository.BlameAsync(opened, file, line, stop));
            },
            match => match is null ? $"{file} has fewer than {line} lines" : $"{match.File}:{match.Line}: {match.Snippet}");
    }

    /// <summary>The numbered lines around a place, 50 on each side and at most 8,000 characters.</summary>
    public async Task<string> ShowAsync(string file, int line)
    {
        run.State.FileReads++;
        return await CallAsync(
            "read_file", "Reads the lines around a place in code.", Place(file, line),
            async stop =>
            {
                var lines = (await CodeRepository.ReadLinesAsync(opened, file, stop)).Index()
                    .Skip(Math.Max(0, line - 1 - ContextLines)).Take(2 * ContextLines + 1)
                    .Select(shown => $"{(shown.Index + 1).ToString(CultureInfo.InvariantCulture)}: {shown.Item}");
                var text = string.Join('\n', lines);
                return text.Length == 0 ? $"{file} has fewer than {line} lines"
                    : text.Length <= MaxShownChars ? text : text[..MaxShownChars] + "…";
            },
            text => text[..Math.Min(text.Length, MaxToldChars)]);
    }

    /// <summary>Where a literal text stands.</summary>
    public async Task<IReadOnlyList<(string File, int Line)>> SearchAsync(string text)
    {
        run.State.CodeSearches++;
        return await CallAsync(
            "search_code", "Searches the repository for a literal text.", $"{{\"query\":{Json(text)}}}",
            stop => CodeRepository.SearchAsync(opened, text, stop),
            found => found.Count == 0 ? "No match" : string.Join(", ", found.Take(5).Select(hit => $"{hit.File}:{hit.Line}")));
    }

    /// <summary>A text as a JSON string.</summary>
    public static string Json(string text) => $"\"{System.Text.Json.JsonEncodedText.Encode(text)}\"";

    private Task<T> CallAsync<T>(
        string tool, string description, string parameters, Func<CancellationToken, Task<T>> call, Func<T, string> describe) =>
        run.CallToolAsync(tool, description, parameters, InvestigatorAgent.Name, call, describe);

    private static string Place(string file, int line) =>
        $"{{\"path\":{Json(file)},\"line\":{line.ToString(CultureInfo.InvariantCulture)}}}";

    [GeneratedRegex(
        @"^\s*((public|private|protected|internal|static|async|def|func|function|fn|export)\b.*\(|.*\)\s*\{\s*$)",
        RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex FunctionLine();
}
