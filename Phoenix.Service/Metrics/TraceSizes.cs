using System.Runtime.InteropServices;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Metrics;

/// <summary>
/// How large traces are that have gone quiet: their OTLP bytes as they came through this process, before anything was cut. Bounded: beyond
/// <see cref="MostTraces"/> open traces, further ones are observed as they come. Thread-safe.
/// </summary>
internal sealed class TraceSizes(TimeProvider time)
{
    private const int MostTraces = 100_000;
    private static readonly TimeSpan s_quiet = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan s_sweepInterval = TimeSpan.FromSeconds(1);

    private readonly Lock _lock = new();
    private readonly Dictionary<(int Project, Guid Trace), OpenTrace> _open = [];
    private readonly List<(int, Guid)> _quiet = [];
    private long _lastSweep;

    /// <summary>The sizes of quiet traces.</summary>
    public Histogram Sizes { get; } = new([1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 19, 1 << 20, 1 << 21, 1 << 22, 1 << 24]);

    /// <summary>Adds what a commit stored.</summary>
    public void Add(IReadOnlyList<TraceDelta> traces)
    {
        var now = time.GetTimestamp();
        lock (_lock)
        {
            foreach (var trace in traces)
            {
                var key = (trace.ProjectId, trace.TraceId);
                if (_open.Count >= MostTraces && !_open.ContainsKey(key))
                {
                    Sizes.Observe(trace.OtlpBytes);
                    continue;
                }

                ref var open = ref CollectionsMarshal.GetValueRefOrAddDefault(_open, key, out _);
                open = new OpenTrace(open.Bytes + trace.OtlpBytes, now);
            }

            if (time.GetElapsedTime(_lastSweep, now) > s_sweepInterval)
            {
                Sweep(now);
            }
        }
    }

    /// <summary>Observes the traces that have gone quiet by now.</summary>
    public void Sweep()
    {
        lock (_lock)
        {
            Sweep(time.GetTimestamp());
        }
    }

    private void Sweep(long now)
    {
        _lastSweep = now;
        foreach (var (key, open) in _open)
        {
            if (time.GetElapsedTime(open.Seen, now) >= s_quiet)
            {
                Sizes.Observe(open.Bytes);
                _quiet.Add(key);
            }
        }

        foreach (var key in _quiet)
        {
            _open.Remove(key);
        }

        _quiet.Clear();
    }

    private readonly record struct OpenTrace(long Bytes, long Seen);
}
