using System.Runtime.CompilerServices;

namespace MatsObservability.Tests.Support;

/// <summary>The source tree the tests were built from.</summary>
internal static class Repository
{
    /// <summary>The folder that holds the solution.</summary>
    public static string Root { get; } = Find();

    /// <summary>
    /// Every C# and Razor file below <paramref name="folder"/> (relative to the root), as path relative to the root and text.
    /// </summary>
    public static IEnumerable<(string Path, string Text)> Sources(string folder)
    {
        var top = Path.Combine(Root, folder);
        foreach (var file in Directory.EnumerateFiles(top, "*.*", SearchOption.AllDirectories))
        {
            var relative = Path.GetRelativePath(Root, file).Replace('\\', '/');
            if (relative.EndsWith(".cs", StringComparison.Ordinal) || relative.EndsWith(".razor", StringComparison.Ordinal))
            {
                yield return (relative, File.ReadAllText(file));
            }
        }
    }

    private static string Find([CallerFilePath] string thisFile = "")
    {
        foreach (var start in new[] { AppContext.BaseDirectory, Path.GetDirectoryName(thisFile)! })
        {
            for (var folder = new DirectoryInfo(start); folder is not null; folder = folder.Parent)
            {
                if (File.Exists(Path.Combine(folder.FullName, "MatsObservability.sln")))
                {
                    return folder.FullName;
                }
            }
        }

        throw new InvalidOperationException($"No MatsObservability.sln above {AppContext.BaseDirectory}.");
    }
}
