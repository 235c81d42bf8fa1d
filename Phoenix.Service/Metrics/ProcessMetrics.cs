using System.Diagnostics;
using System.Globalization;

namespace Phoenix.Service.Metrics;

/// <summary>The standard <c>process_*</c> families of Prometheus client libraries.</summary>
internal sealed class ProcessMetrics : IMetricSource
{
    private const string DescriptorFolder = "/proc/self/fd";
    private const string LimitsFile = "/proc/self/limits";

    /// <inheritdoc/>
    public MetricGroup Group => MetricGroup.Process;

    /// <inheritdoc/>
    public ValueTask WriteAsync(PrometheusWriter writer, CancellationToken cancellationToken)
    {
        using var process = Process.GetCurrentProcess();
        writer.Counter("process_cpu_seconds_total", "User and system CPU time used.", process.TotalProcessorTime.TotalSeconds);
        writer.Gauge("process_resident_memory_bytes", "Resident memory.", process.WorkingSet64);
        writer.Gauge("process_virtual_memory_bytes", "Virtual memory.", process.VirtualMemorySize64);
        writer.Gauge(
            "process_start_time_seconds", "Unix time the process started at.",
            new DateTimeOffset(process.StartTime.ToUniversalTime()).ToUnixTimeMilliseconds() / 1000d);
        if (OperatingSystem.IsLinux())
        {
            writer.Gauge("process_open_fds", "Open file descriptors.", Directory.GetFileSystemEntries(DescriptorFolder).Length);
            if (MostDescriptors() is { } most)
            {
                writer.Gauge("process_max_fds", "Most file descriptors that may be open.", most);
            }
        }

        return ValueTask.CompletedTask;
    }

    // "Max open files            1024                 524288               files": the soft limit counts.
    private static double? MostDescriptors()
    {
        foreach (var line in File.ReadLines(LimitsFile))
        {
            if (line.StartsWith("Max open files", StringComparison.Ordinal)
                && line.Split(' ', StringSplitOptions.RemoveEmptyEntries) is [_, _, _, var soft, ..]
                && double.TryParse(soft, NumberStyles.None, CultureInfo.InvariantCulture, out var limit))
            {
                return limit;
            }
        }

        return null;
    }
}
