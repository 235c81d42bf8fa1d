using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>A place of the evidence found in the repository.</summary>
/// <param name="Exact">True when the evidence names this file and line itself.</param>
internal sealed record CodeMatch(string File, int Line, string? Function, string Snippet, bool Exact, LastChange? LastChange);

/// <summary>The commit that last touched a line.</summary>
internal sealed record LastChange(string Commit, string Date, string Subject);

/// <param name="Blocker">Why the repository could not be read; null when it could.</param>
/// <param name="Reader">The repository, to look further; null when it could not be read.</param>
internal sealed record CodeFindings(IReadOnlyList<CodeMatch> Matches, string? Blocker, CodeReader? Reader = null);

/// <summary>Maps places that telemetry names to a repository: files by path suffix, log statements by text, last change by blame.</summary>
internal sealed class CodeSearch(CodeRepository repository)
{
    public async Task<CodeFindings> FindAsync(InvestigationRun run, string repoUrl, CodeRegions regions)
    {
        var opened = await run.CallToolAsync(
            "open_repository", "Opens the repository that the request names.",
            $"{{\"repo_url\":{CodeReader.Json(CodeRepository.Redact(repoUrl))}}}", InvestigatorAgent.Name,
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

        var reader = new CodeReader(run, opened);
        var matches = new List<CodeMatch>();
        foreach (var place in regions.Places)
        {
            if (place.File is not null && place.Line > 0 && reader.CanRead && opened.BestFile(place.File) is { } file)
            {
                matches.AddRange(await MatchAsync(reader, file, place.Line, place.Function, exact: true));
            }
            else if (place is { File: null, Text: { } text } && reader.CanSearch
                && await reader.SearchAsync(text) is [var hit, ..] && reader.CanRead)
            {
                matches.AddRange(await MatchAsync(reader, hit.File, hit.Line, null, exact: false));
            }
        }

        return new([.. matches.OrderByDescending(match => match.Exact)], null, reader);
    }

    private static async Task<CodeMatch[]> MatchAsync(CodeReader reader, string file, int line, string? function, bool exact) =>
        await reader.FindAsync(file, line, function, exact) is { } match ? [match] : [];
}
