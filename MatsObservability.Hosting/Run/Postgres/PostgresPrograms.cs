using System.Globalization;
using System.Text.RegularExpressions;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Postgres;

/// <summary>One installation of the server programs <c>postgres</c> and <c>initdb</c>.</summary>
/// <param name="Folder">The folder that holds both.</param>
/// <param name="Major">Major version; a data folder can be used by its own major version only.</param>
/// <param name="Version">Full version as the program tells it.</param>
/// <param name="Source">Where it comes from.</param>
internal sealed partial record PostgresPrograms(string Folder, int Major, string Version, PostgresSource Source)
{
    /// <summary>Oldest major version that the storage schema is written for.</summary>
    public const int OldestMajor = 14;

    public string Server => Path.Combine(Folder, Executable("postgres"));

    public string InitDb => Path.Combine(Folder, Executable("initdb"));

    /// <summary>Reads the version of the programs in a folder; null when they are not both there or do not run.</summary>
    public static async Task<PostgresPrograms?> ReadAsync(string folder, PostgresSource source, CancellationToken cancellationToken)
    {
        var server = Path.Combine(folder, Executable("postgres"));
        if (!File.Exists(server) || !File.Exists(Path.Combine(folder, Executable("initdb"))))
        {
            return null;
        }

        var result = await Command.RunAsync(new(server, ["--version"]), cancellationToken);
        var version = VersionPattern().Match(result.Output);
        return result.ExitCode == 0 && version.Success
            ? new PostgresPrograms(folder, int.Parse(version.Groups["major"].Value, CultureInfo.InvariantCulture),
                version.Groups["version"].Value, source)
            : null;
    }

    /// <summary>True when the server can load a library, for <c>shared_preload_libraries</c>.</summary>
    public bool HasLibrary(string name)
    {
        var root = Path.GetDirectoryName(Folder) ?? Folder;
        string[] folders = [Path.Combine(root, "lib"), Path.Combine(root, "lib", "postgresql"), Path.Combine(root, "lib64", "pgsql")];
        string[] suffixes = [".so", ".dylib", ".dll"];
        return folders.Any(folder => suffixes.Any(suffix => File.Exists(Path.Combine(folder, name + suffix))));
    }

    private static string Executable(string name) => OperatingSystem.IsWindows() ? name + ".exe" : name;

    [GeneratedRegex(@"\(PostgreSQL\) (?<version>(?<major>\d+)\S*)", RegexOptions.CultureInvariant, matchTimeoutMilliseconds: 1000)]
    private static partial Regex VersionPattern();
}
