using System.Globalization;
using MatsObservability.Hosting.Run.Processes;

namespace MatsObservability.Hosting.Run.Endpoints;

/// <summary>Tells who listens on a TCP port, as far as this account may know.</summary>
internal static class PortHolder
{
    private const string Listening = "0A"; // TCP_LISTEN of linux/tcp_states.h
    private const string Unknown = "another program";

    /// <summary>For a message: <c>process 4711 (postgres)</c>, or "another program" when the system does not say.</summary>
    public static async Task<string> DescribeAsync(int port, CancellationToken cancellationToken)
    {
        if (OperatingSystem.IsLinux())
        {
            return FindOnLinux(port) is { } holder ? $"process {holder.Id} ({holder.Name})" : $"{Unknown} (of another account)";
        }

        if (ExecutablePath.Find("lsof") is { } lsof)
        {
            var list = await Command.RunAsync(
                new(lsof, ["-nP", $"-iTCP:{port.ToString(CultureInfo.InvariantCulture)}", "-sTCP:LISTEN", "-Fpc"]), cancellationToken);
            var fields = list.Output.Split('\n');
            var id = fields.FirstOrDefault(field => field.StartsWith('p'))?[1..];
            var name = fields.FirstOrDefault(field => field.StartsWith('c'))?[1..];
            return id is null ? Unknown : $"process {id} ({name})";
        }

        return Unknown;
    }

    private static (int Id, string Name)? FindOnLinux(int port)
    {
        var sockets = new[] { "/proc/net/tcp", "/proc/net/tcp6" }
            .Where(File.Exists)
            .SelectMany(File.ReadLines)
            .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
            .Where(fields => fields.Length > 9 && fields[3] == Listening && PortOf(fields[1]) == port)
            .Select(fields => $"socket:[{fields[9]}]")
            .ToHashSet(StringComparer.Ordinal);
        foreach (var folder in Directory.EnumerateDirectories("/proc"))
        {
            if (int.TryParse(Path.GetFileName(folder), CultureInfo.InvariantCulture, out var id) && Holds(folder, sockets))
            {
                return (id, NameOf(folder));
            }
        }

        return null;
    }

    private static int PortOf(string address) =>
        int.Parse(address.AsSpan(address.LastIndexOf(':') + 1), NumberStyles.HexNumber, CultureInfo.InvariantCulture);

    private static bool Holds(string process, HashSet<string> sockets)
    {
        try
        {
            return new DirectoryInfo(Path.Combine(process, "fd")).EnumerateFiles()
                .Any(file => file.LinkTarget is { } target && sockets.Contains(target));
        }
        catch (Exception hidden) when (hidden is IOException or UnauthorizedAccessException)
        {
            return false; // Another account's process, or one that has just ended.
        }
    }

    private static string NameOf(string process)
    {
        try
        {
            return File.ReadAllText(Path.Combine(process, "comm")).Trim();
        }
        catch (IOException)
        {
            return "ended meanwhile";
        }
    }
}
