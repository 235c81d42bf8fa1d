using System.Globalization;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>The account that a server runs under when this process is root.</summary>
internal sealed record UnprivilegedAccount(string Name, uint UserId, uint GroupId)
{
    private static readonly string[] s_candidates = ["postgres", "_postgres", "nobody"];

    /// <summary>The first of the usual accounts that exists; null when none does.</summary>
    public static async Task<UnprivilegedAccount?> FindAsync(CancellationToken cancellationToken)
    {
        foreach (var name in s_candidates)
        {
            var user = await Command.RunAsync(new("id", ["-u", name]), cancellationToken);
            var group = await Command.RunAsync(new("id", ["-g", name]), cancellationToken);
            if (user.ExitCode == 0 && group.ExitCode == 0
                && uint.TryParse(user.Output.Trim(), CultureInfo.InvariantCulture, out var userId) && userId != 0
                && uint.TryParse(group.Output.Trim(), CultureInfo.InvariantCulture, out var groupId))
            {
                return new UnprivilegedAccount(name, userId, groupId);
            }
        }

        return null;
    }

    /// <summary>Gives a folder and everything in it to the account.</summary>
    public void TakeOver(string folder)
    {
        UnixCalls.ChangeOwner(folder, UserId, GroupId);
        var everything = new EnumerationOptions
        {
            RecurseSubdirectories = true,
            AttributesToSkip = FileAttributes.None,
            ReturnSpecialDirectories = false,
        };
        foreach (var path in Directory.EnumerateFileSystemEntries(folder, "*", everything))
        {
            UnixCalls.ChangeOwner(path, UserId, GroupId);
        }
    }

    /// <summary>
    /// True when the account may enter every folder above <paramref name="path"/>, judged by the folders' permissions for everybody.
    /// </summary>
    public static bool CanReach(string path)
    {
        for (var folder = Path.GetDirectoryName(Path.GetFullPath(path)); folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (Directory.Exists(folder) && !OperatingSystem.IsWindows()
                && (File.GetUnixFileMode(folder) & UnixFileMode.OtherExecute) == UnixFileMode.None)
            {
                return false;
            }
        }

        return true;
    }
}
