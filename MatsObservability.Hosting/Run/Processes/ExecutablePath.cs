namespace MatsObservability.Hosting.Run.Processes;

/// <summary>Finds programs as a shell would.</summary>
internal static class ExecutablePath
{
    /// <summary>
    /// Full path of a program: a path is taken relative to <paramref name="workingDirectory"/>, a bare name is looked up on PATH. Null when
    /// absent.
    /// </summary>
    public static string? Find(string program, string? workingDirectory = null)
    {
        if (program.Contains(Path.DirectorySeparatorChar, StringComparison.Ordinal) || program.Contains('/', StringComparison.Ordinal))
        {
            return Existing(Path.GetFullPath(program, workingDirectory ?? Environment.CurrentDirectory));
        }

        return FindAll(program).FirstOrDefault();
    }

    /// <summary>Every program of this name on PATH, in PATH order.</summary>
    public static IEnumerable<string> FindAll(string program) =>
        (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)
            .Select(folder => Existing(Path.Combine(folder, program)))
            .OfType<string>();

    private static string? Existing(string path)
    {
        if (!OperatingSystem.IsWindows())
        {
            const UnixFileMode executable = UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute;
            return File.Exists(path) && (File.GetUnixFileMode(path) & executable) != UnixFileMode.None ? path : null;
        }

        string[] extensions = Path.HasExtension(path) ? ["", ".exe", ".cmd"] : [".exe", ".cmd", ".bat"];
        return extensions.Select(extension => path + extension).FirstOrDefault(File.Exists);
    }
}
