using System.Diagnostics;
using System.Runtime.CompilerServices;
using OpenTelemetry;

namespace Orchestrator.Agent.Telemetry;

/// <summary>
/// Hands each span out as soon as nothing above it can be lost: when every ancestor in this process has ended, or is on record in the
/// database (<see cref="MatsTracing.SetOnRecord"/>). A process that is killed then leaves no span whose parent nobody can send: what was on
/// record is closed by the run that takes the job up (<see cref="AbandonedSpans"/>).
/// </summary>
/// <remarks>
/// Stands before every exporter and takes the orchestrator's own spans, and all below them, from those behind it, so each is exported once.
/// </remarks>
internal sealed class LiveTraces(SpanExport export) : BaseProcessor<Activity>
{
    private readonly ConditionalWeakTable<Activity, Waiting> _waiting = new();

    public override void OnEnd(Activity data)
    {
        if (!data.Recorded || !IsOwn(data))
        {
            return;
        }

        data.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
        List<Activity> leaving = [data, .. _waiting.GetOrCreateValue(data).Close()];
        for (var above = data.Parent; above is not null; above = above.Parent)
        {
            if (!above.IsStopped && above.Recorded && !MatsTracing.IsOnRecord(above) && _waiting.GetOrCreateValue(above).TryAdd(leaving))
            {
                return;
            }
        }

        foreach (var span in leaving)
        {
            export.Add(span);
        }
    }

    private static bool IsOwn(Activity span)
    {
        for (var at = span; at is not null; at = at.Parent)
        {
            if (at.Source.Name == MatsTracing.SourceName)
            {
                return true;
            }
        }

        return false;
    }

    /// <summary>The ended spans that wait for an open one.</summary>
    private sealed class Waiting
    {
        private readonly Lock _lock = new();
        private List<Activity>? _spans = [];

        /// <summary>False when the open span has ended in between.</summary>
        public bool TryAdd(List<Activity> spans)
        {
            lock (_lock)
            {
                _spans?.AddRange(spans);
                return _spans is not null;
            }
        }

        public List<Activity> Close()
        {
            lock (_lock)
            {
                var spans = _spans ?? [];
                _spans = null;
                return spans;
            }
        }
    }
}
