namespace Orchestrator.Agent.Agents.Investigator;

/// <summary>A repository ready to be read.</summary>
/// <param name="Fault">Why it cannot be read; null when it can.</param>
/// <param name="Commit">The commit that is read; null without history (an archive or a plain folder).</param>
/// <param name="Files">Paths relative to <paramref name="Root"/>, with forward slashes.</param>
/// <param name="Note">A limit of what is read, such as another version than the one in production.</param>
internal sealed record OpenRepository(string Root, string? Commit, IReadOnlyList<string> Files, string? Fault, string? Note)
{
    /// <summary>
    /// The file that shares the longest end with a path of the telemetry, where its name at least is the same; null when none does.
    /// </summary>
    public string? BestFile(string path)
    {
        var wanted = path.Replace('\\', '/').Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (wanted.Length == 0)
        {
            return null;
        }

        var bare = Path.GetFileNameWithoutExtension(wanted[^1]);
        return Files
            .Select(file => (File: file, Score: Shared(file.Split('/'), wanted, bare)))
            .Where(candidate => candidate.Score > 0)
            .OrderByDescending(candidate => candidate.Score).ThenBy(candidate => candidate.File.Length).ThenBy(
                candidate => candidate.File, StringComparer.Ordinal)
            .Select(candidate => candidate.File)
            .FirstOrDefault();
    }

    private static int Shared(string[] file, string[] wanted, string bare)
    {
        var same = 0;
        while (same < file.Length && same < wanted.Length && file[^(same + 1)].Equals(wanted[^(same + 1)], StringComparison.Ordinal))
        {
            same++;
        }

        // A logger names its class, not its file: Class#42 is in Class.java, class.py or Class.cs.
        return same > 0 ? same + 1 : Path.GetFileNameWithoutExtension(file[^1]).Equals(bare, StringComparison.OrdinalIgnoreCase)
            && !wanted[^1].Contains('.') ? 1 : 0;
    }
}
