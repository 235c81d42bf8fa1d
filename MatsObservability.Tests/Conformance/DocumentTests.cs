using System.Text.RegularExpressions;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Conformance;

/// <summary>What the documents point at is there: files, folders and the headings of both.</summary>
public sealed partial class DocumentTests
{
    public static TheoryData<string> Documents => [.. Directory.EnumerateFiles(Repository.Root, "*.md", SearchOption.AllDirectories)
        .Select(path => Path.GetRelativePath(Repository.Root, path).Replace('\\', '/'))
        .Where(path => !path.Split('/').Any(part => part is "artifacts" or "node_modules" or ".git" or ".mats"))];

    [Theory]
    [MemberData(nameof(Documents))]
    public void Document_RelativeLinks_LeadSomewhere(string document)
    {
        var path = Path.Combine(Repository.Root, document);

        var dead = Link().Matches(Prose(path)).Select(match => match.Groups["target"].Value)
            .Where(target => !target.Contains("://", StringComparison.Ordinal) && !Exists(path, target)).ToList();

        Assert.True(dead.Count == 0, $"{document}: {string.Join(", ", dead)}");
    }

    private static bool Exists(string document, string target)
    {
        var (file, heading) = target.Split('#', 2) is [var before, var after] ? (before, after) : (target, "");
        var path = file.Length == 0 ? document : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(document)!, file));
        return heading.Length == 0
            ? File.Exists(path) || Directory.Exists(path)
            : File.Exists(path) && Heading().Matches(Prose(path)).Any(match => Slug(match.Groups["text"].Value) == heading);
    }

    /// <summary>The text without what stands in fenced blocks, where brackets are code.</summary>
    private static string Prose(string path) => Fence().Replace(File.ReadAllText(path), "");

    /// <summary>A heading's anchor as GitHub makes it: lower case, spaces as hyphens, without punctuation.</summary>
    private static string Slug(
        string heading) => new([.. heading.Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_')
        .Select(c => c == ' ' ? '-' : c)]);

    [GeneratedRegex(@"\]\((?<target>[^)\s]+)\)", RegexOptions.None, 5000)]
    private static partial Regex Link();

    [GeneratedRegex(@"^#{1,6} +(?<text>.+)$", RegexOptions.Multiline, 5000)]
    private static partial Regex Heading();

    [GeneratedRegex(@"^```.*?^```", RegexOptions.Multiline | RegexOptions.Singleline, 5000)]
    private static partial Regex Fence();
}
