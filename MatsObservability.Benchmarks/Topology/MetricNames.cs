namespace MatsObservability.Benchmarks.Topology;

internal enum Measured
{
    CpuCores,
    CpuOfLimit,
    MemoryMb,
    MemoryOfLimit,
    Requests,
    ReceivedBytes,
    SentBytes,
    ServedP90Ms,
    CalledP90Ms,
    NodeCpu,
}

/// <summary>One thing measured of each pod, in a system's own words and unit.</summary>
/// <param name="Scale">From <see cref="Measured"/>'s unit to the system's.</param>
/// <param name="Total">The value only ever grows: a counter.</param>
internal sealed record Measure(Measured What, string Name, string? Unit, double Scale = 1, bool Total = false);

/// <summary>The ways in which different platforms name what they measure of a pod.</summary>
internal static class MetricNames
{
    public static IReadOnlyList<IReadOnlyList<Measure>> Habits { get; } =
    [
        [
            new(Measured.CpuCores, "k8s.pod.cpu.usage", "{cpu}"), new(Measured.CpuOfLimit, "k8s.pod.cpu_limit_utilization", "1"),
            new(Measured.MemoryMb, "k8s.pod.memory.usage", "By", 1_048_576),
                new(Measured.MemoryOfLimit, "k8s.pod.memory_limit_utilization", "1"),
            new(Measured.ReceivedBytes, "pod.network.receive", "By/s"), new(Measured.SentBytes, "pod.network.transmit", "By/s"),
                new(Measured.Requests, "pod.workload", "1/s"),
            new(Measured.ServedP90Ms, "pod.server.latency.p90", "s", 0.001),
                new(Measured.CalledP90Ms, "pod.client.latency.p90", "s", 0.001), new(Measured.NodeCpu, "k8s.node.cpu.utilization", "1"),
        ],
        [
            new(Measured.CpuCores, "container_cpu_usage_seconds_total", "s", 1, Total: true),
                new(Measured.MemoryMb, "container_memory_working_set_bytes", "By", 1_048_576),
            new(Measured.ReceivedBytes, "container_network_receive_bytes_total", "By", 1, Total: true),
                new(Measured.SentBytes, "container_network_transmit_bytes_total", "By", 1, Total: true),
            new(Measured.NodeCpu, "node_cpu_utilisation", null),
        ],
        [
            new(Measured.CpuOfLimit, "container.cpu.percent", "%", 100),
                new(Measured.MemoryMb, "container.memory.usage.total", "By", 1_048_576),
            new(Measured.MemoryOfLimit, "container.memory.percent", "%", 100),
                new(Measured.ReceivedBytes, "container.network.io.usage.rx_bytes", "By", 1, Total: true),
            new(Measured.SentBytes, "container.network.io.usage.tx_bytes", "By", 1, Total: true),
        ],
        [
            new(Measured.CpuCores, "CpuUsage(m)", null, 1000), new(Measured.CpuOfLimit, "CpuUsageRate(%)", null, 100),
                new(Measured.MemoryMb, "MemoryUsage(Mi)", null),
            new(Measured.MemoryOfLimit, "MemoryUsageRate(%)", null, 100), new(Measured.ReceivedBytes, "NetworkReceiveBytes", null),
                new(Measured.SentBytes, "NetworkTransmitBytes", null),
            new(Measured.CalledP90Ms, "NetworkP90(ms)", null), new(Measured.NodeCpu, "NodeCpuUsageRate(%)", null, 100),
        ],
        [
            new(Measured.CpuCores, "cpu", null), new(Measured.MemoryMb, "mem", null, 1_048_576), new(Measured.Requests, "workload", null),
            new(Measured.ServedP90Ms, "latency-90", null, 0.001), new(Measured.ReceivedBytes, "socket-rx", null),
        ],
        [
            new(Measured.CpuCores, "container_cpu_usage_seconds_total", null, 1, Total: true),
            new(Measured.MemoryMb, "container_memory_rss", null, 1_048_576),
            new(Measured.ServedP90Ms, "istio_request_duration_milliseconds_p90", null),
        ],
    ];
}
