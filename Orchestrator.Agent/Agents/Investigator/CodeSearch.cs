using System.Globalization;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>A place of the evidence found in the repository.</summary>
/// <param name="Exact">True when the evidence names this file and line itself.</param>
internal sealed record CodeMatch(string File, int Line, string? Function, string Snippet, bool Exact, LastChange? LastChange);

/// <summary>The commit that last touched a line.</summary>
internal sealed record LastChange(string Commit, string Date, string Subject);

/// <param name="Blocker">Why the repository could not be read; null when it could.</param>
internal sealed record CodeFindings(IReadOnlyList<CodeMatch> Matches, string? Blocker);

/// <summary>Maps places that telemetry names to a repository: files by path suffix, log statements by text, last change by blame.</summary>
internal sealed class CodeSearch(CodeRepository repository)
{
    private const int MostFileReads = 10;
    private const int MostSearches = 5;
    private const int ContextLines = 50;

    public async Task<CodeFindings> FindAsync(InvestigationRun run, string repoUrl, CodeRegions regions)
    {
        var opened = await run.CallToolAsync(
            "open_repository", "Opens the repository that the request names.", $"{{\"repo_url\":{Json(CodeRepository.Redact(repoUrl))}}}",
            InvestigatorAgent.Name,
            stop => repository.OpenAsync(repoUrl, run.State.SreFindings?.VersionSha, stop),
            result => result.Fault ?? $"{result.Files.Count} files{(result.Commit is null ? ", no history" : $" at {result.Commit}")}");
        if (opened.Fault is { } fault)
        {
            return new([], fault);
        }

        if (opened.Note is { } note)
        {
            run.State.Limit(note);
        }

        var matches = new List<CodeMatch>();
        var (reads, searches) = (0, 0);
        foreach (var place in regions.Places)
        {
            if (place.File is not null && place.Line > 0 && reads < MostFileReads && opened.BestFile(place.File) is { } file)
            {
                reads++;
                if (await ReadAsync(run, opened, file, place.Line, place.Function, exact: true) is { } match)
                {
                    matches.Add(match);
                }
            }
            else if (place is { File: null, Text: { } text } && searches < MostSearches)
            {
                searches++;
                var hits = await run.CallToolAsync(
                    "search_code", "Searches the repository for a literal text.", $"{{\"query\":{Json(text)}}}", InvestigatorAgent.Name,
                    stop => CodeRepository.SearchAsync(opened, text, stop),
                    found => found.Count == 0 ? "No match" : string.Join(", ", found.Take(5).Select(hit => $"{hit.File}:{hit.Line}")));
                if (hits.Count > 0 && reads < MostFileReads)
                {
                    reads++;
                    if (await ReadAsync(run, opened, hits[0].File, hits[0].Line, null, exact: false) is { } match)
                    {
                        matches.Add(match);
                    }
                }
            }
        }

        return new([.. matches.OrderByDescending(match => match.Exact)], null);
    }

    private static Task<CodeMatch?> ReadAsync(InvestigationRun run, OpenRepository opened, string file, int line, string? function,
        bool exact) => run.CallToolAsync(
        "read_file", "Reads the lines around a place in code and who last changed it.",
        $"{{\"path\":{Json(file)},\"line\":{line.ToString(CultureInfo.InvariantCulture)}}}", InvestigatorAgent.Name,
        async stop =>
        {
            var lines = await CodeRepository.ReadLinesAsync(opened, file, stop);
            if (line > lines.Count)
            {
                return null;
            }

            var from = Math.Max(0, line - 1 - ContextLines);
            var enclosing = function ?? lines.Take(line).Skip(from).LastOrDefault(text => s_functionLine.IsMatch(text))?.Trim();
            return new CodeMatch(
                file, line, enclosing, lines[line - 1].Trim(), exact, await CodeRepository.BlameAsync(opened, file, line, stop));
        },
        match => match is null ? $"{file} has fewer than {line} lines" : $"{match.File}:{match.Line}: {match.Snippet}");

    private static readonly System.Text.RegularExpressions.Regex s_functionLine = new(
        @"^\s*((public|private|protected|internal|static|async|def|func|function|fn|export)\b.*\(|.*\)\s*\{\s*$)",
        System.Text.RegularExpressions.RegexOptions.ExplicitCapture,
        TimeSpan.FromSeconds(1));

    private static string Json(string text) => $"\"{System.Text.Json.JsonEncodedText.Encode(text)}\"";
}
