using System.Globalization;
using Microsoft.Extensions.AI;

namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>The two tools by which a model may read the repository of the request, within what the investigation may still read.</summary>
internal sealed class CodeTools(CodeReader reader)
{
    private const int MaxHits = 20;

    public static readonly IReadOnlyList<AITool> Declarations =
    [
        ModelTools.Declare("read_file", "The lines around a place in a file of the repository, with their numbers.", "path", "line"),
        ModelTools.Declare("search_code", "Files and lines of the repository that hold a literal text.", "query"),
    ];

    /// <summary>The answer to one call, as text; an unknown tool, file or a spent allowance is answered in words.</summary>
    public async Task<string> CallAsync(FunctionCallContent call) => call.Name switch
    {
        "read_file" => await ReadAsync(
            ModelTools.Argument(call, "path"),
            int.TryParse(ModelTools.Argument(call, "line"), CultureInfo.InvariantCulture, out var line) && line > 0 ? line : 1),
        "search_code" => await SearchAsync(ModelTools.Argument(call, "query")),
        _ => $"There is no tool '{call.Name}'.",
    };

    private async Task<string> ReadAsync(string path, int line) =>
        !reader.CanRead ? $"No more files: {CodeReader.MostFileReads} were read."
        : reader.Opened.BestFile(path) is { } file ? await reader.ShowAsync(file, line)
        : "The repository has no such file.";

    private async Task<string> SearchAsync(string query) =>
        !reader.CanSearch ? $"No more searches: {CodeReader.MostSearches} were made."
        : query.Length == 0 ? "The query is empty."
        : await reader.SearchAsync(query) is { Count: > 0 } hits
            ? string.Join('\n', hits.Take(MaxHits).Select(hit => $"{hit.File}:{hit.Line}"))
        : "No match.";
}
