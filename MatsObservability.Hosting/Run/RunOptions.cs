using System.Globalization;
using Aspire.Hosting;
using MatsObservability.Hosting.Run.Processes;
using Microsoft.Extensions.Configuration;

namespace MatsObservability.Hosting.Run;

/// <summary>Settings of a run, read from the AppHost's configuration.</summary>
internal sealed class RunOptions : IDisposable
{
    /// <summary>Folder that keeps the data of stateful resources; default <c>.mats</c> in the AppHost's directory.</summary>
    public const string DataDirectoryKey = "Mats:DataDirectory";

    /// <summary><c>true</c>: data live in a temporary folder that is deleted at the end.</summary>
    public const string TemporaryDataKey = "Mats:TemporaryData";

    /// <summary>Port of the resource page; default 18888, 0 = a free one.</summary>
    public const string DashboardPortKey = "Dashboard:Port";

    /// <summary><c>true</c>: a proxied endpoint gets a free port in place of its own.</summary>
    public const string RandomizePortsKey = "DcpPublisher:RandomizePorts";

    private const int DefaultDashboardPort = 18888;

    /// <exception cref="DistributedApplicationException">A setting has no valid value.</exception>
    public RunOptions(IConfiguration configuration, DistributedApplicationOptions application)
    {
        RandomizePorts = Flag(configuration, RandomizePortsKey);
        HasDashboard = !application.DisableDashboard;
        LogsToHost = application.EnableResourceLogging;
        DashboardTitle = application.DashboardApplicationName ?? Path.GetFileNameWithoutExtension(configuration["AppHost:Path"])
            ?? "AppHost";
        DashboardPort = Port(configuration, DashboardPortKey) ?? DefaultDashboardPort;
        IsTemporary = Flag(configuration, TemporaryDataKey) && configuration[DataDirectoryKey] is null;
        DataDirectory = IsTemporary ? Directory.CreateTempSubdirectory("mats-").FullName : Persistent(configuration);
        if (IsTemporary && !OperatingSystem.IsWindows())
        {
            // A server that root starts runs under another account, which must get through to its own folder below.
            File.SetUnixFileMode(DataDirectory,
                File.GetUnixFileMode(DataDirectory) | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute);
        }
    }

    public string DataDirectory { get; }

    public bool RandomizePorts { get; }

    public bool HasDashboard { get; }

    public int DashboardPort { get; }

    public string DashboardTitle { get; }

    /// <summary>Output of resources goes to the host's logging, as tests want it, and not to the console.</summary>
    public bool LogsToHost { get; }

    /// <summary>The data are deleted at the end.</summary>
    public bool IsTemporary { get; }

    /// <summary>Deletes temporary data; to be called when nothing runs any more.</summary>
    public void Dispose()
    {
        if (IsTemporary && Directory.Exists(DataDirectory))
        {
            Directory.Delete(DataDirectory, recursive: true);
        }
    }

    private static string Persistent(IConfiguration configuration)
    {
        var appHostDirectory = configuration["AppHost:Directory"] ?? Environment.CurrentDirectory;
        if (configuration[DataDirectoryKey] is { Length: > 0 } chosen)
        {
            return Path.GetFullPath(chosen, appHostDirectory);
        }

        var usual = Path.Combine(appHostDirectory, ".mats");
        if (OperatingSystem.IsWindows() || !Environment.IsPrivilegedProcess || UnprivilegedAccount.CanReach(Path.Combine(usual, "data")))
        {
            return usual;
        }

        // As root in a closed home folder: the account that runs the database could not reach its data there.
        return Path.Combine("/var/lib/mats-observability", (configuration["AppHost:PathSha256"] ?? "apphost000")[..10]);
    }

    private static bool Flag(IConfiguration configuration, string key)
    {
        var text = configuration[key];
        return text is { Length: > 0 } && (bool.TryParse(text, out var value) ? value : throw Invalid(key, "true or false", text));
    }

    private static int? Port(IConfiguration configuration, string key)
    {
        var text = configuration[key];
        return string.IsNullOrEmpty(text) ? null
            : int.TryParse(text, CultureInfo.InvariantCulture, out var port) && port is >= 0 and <= 65535 ? port
            : throw Invalid(key, "a port number (0 to 65535)", text);
    }

    private static DistributedApplicationException Invalid(string key, string rule, string got) =>
        new($"{key} must be {rule}, got '{got}'.");
}
