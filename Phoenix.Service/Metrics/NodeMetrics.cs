using System.Globalization;

namespace Phoenix.Service.Metrics;

/// <summary>CPU, memory and disks of the machine, from /proc; nothing on systems without it. Names as the node exporter's.</summary>
internal sealed class NodeMetrics : IMetricSource
{
    private const string CpuFile = "/proc/stat";
    private const string MemoryFile = "/proc/meminfo";
    private const string MountsFile = "/proc/mounts";

    // USER_HZ: what /proc/stat counts in, 100 on every Linux architecture .NET runs on.
    private const double TicksPerSecond = 100;
    private const double BytesPerKibibyte = 1024;

    private static readonly string[] s_modes = ["user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal"];

    // Kernel interfaces and memory: not disks.
    private static readonly HashSet<string> s_virtualTypes = new(StringComparer.Ordinal)
    {
        "autofs", "binfmt_misc", "bpf", "cgroup", "cgroup2", "configfs", "debugfs", "devpts", "devtmpfs", "fusectl",
        "hugetlbfs", "mqueue", "nsfs", "overlay",
        "proc", "pstore", "ramfs", "rpc_pipefs", "securityfs", "squashfs", "sysfs", "tmpfs", "tracefs",
    };

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Node;

    /// <inheritdoc/>
    public async ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        WriteCpu(writer, await File.ReadAllLinesAsync(CpuFile, cancellationToken));
        WriteMemory(writer, await File.ReadAllLinesAsync(MemoryFile, cancellationToken));
        WriteDisks(writer, await File.ReadAllLinesAsync(MountsFile, cancellationToken));
    }

    private static void WriteCpu(PrometheusWriter writer, string[] lines)
    {
        writer.Family("node_cpu_seconds_total", MetricType.Counter, "Time the CPUs spent in each mode.");
        foreach (var line in lines)
        {
            var fields = line.Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (fields.Length <= s_modes.Length || !fields[0].StartsWith("cpu", StringComparison.Ordinal)
                || fields[0].Length == "cpu".Length)
            {
                continue;
            }

            for (var mode = 0; mode < s_modes.Length; mode++)
            {
                var ticks = double.Parse(fields[mode + 1], CultureInfo.InvariantCulture);
                writer.Sample("node_cpu_seconds_total",
                    PrometheusWriter.Labels(("cpu", fields[0]["cpu".Length..]), ("mode", s_modes[mode])), ticks / TicksPerSecond);
            }
        }
    }

    private static void WriteMemory(PrometheusWriter writer, string[] lines)
    {
        foreach (var name in (string[])["MemAvailable", "MemTotal"])
        {
            var line = Array.Find(lines, line => line.StartsWith(name + ":", StringComparison.Ordinal));
            if (line?.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, var kibibytes, ..])
            {
                writer.Gauge($"node_memory_{name}_bytes", $"{name} of /proc/meminfo.",
                    double.Parse(kibibytes, CultureInfo.InvariantCulture) * BytesPerKibibyte);
            }
        }
    }

    private static void WriteDisks(PrometheusWriter writer, string[] mounts)
    {
        var disks = new List<(string Labels, long Available, long Size)>();
        var devices = new HashSet<string>(StringComparer.Ordinal);
        foreach (var mount in mounts)
        {
            // The root of a container is an overlay and still the disk that fills up.
            if (mount.Split(' ') is not [var device, var field, var type, ..] || (field != "/" && s_virtualTypes.Contains(type))
                || !devices.Add(device))
            {
                continue;
            }

            var point = MountPoint(field);
            try
            {
                if (new DriveInfo(point) is { IsReady: true } drive)
                {
                    disks.Add((PrometheusWriter.Labels(("device", device), ("fstype", type), ("mountpoint", point)),
                        drive.AvailableFreeSpace, drive.TotalSize));
                }
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                // Unmounted meanwhile, or not for us to see: the scrape goes on without it.
            }
        }

        writer.Family("node_filesystem_avail_bytes", MetricType.Gauge, "Space that ordinary users may still use.");
        foreach (var (labels, available, _) in disks)
        {
            writer.Sample("node_filesystem_avail_bytes", labels, available);
        }

        writer.Family("node_filesystem_size_bytes", MetricType.Gauge, "Size of the file system.");
        foreach (var (labels, _, size) in disks)
        {
            writer.Sample("node_filesystem_size_bytes", labels, size);
        }
    }

    /// <summary>The path of a field of /proc/mounts, which writes space, tab, line feed and backslash as \ooo (proc(5)).</summary>
    internal static string MountPoint(string field) => field.Replace("\\040", " ", StringComparison.Ordinal)
        .Replace("\\011", "\t", StringComparison.Ordinal).Replace("\\012", "\n", StringComparison.Ordinal)
        .Replace("\\134", "\\", StringComparison.Ordinal);
}
