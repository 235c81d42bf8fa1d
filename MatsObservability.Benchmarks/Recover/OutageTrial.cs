using System.Text.Json.Nodes;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>An outage of Phoenix.Service in the middle of an investigation.</summary>
internal static class OutageTrial
{
    /// <summary>What the orchestrator writes to its log each time it waits.</summary>
    private const string Waiting = "Phoenix.Service does not answer";

    /// <summary>The job once it ended, its trace, and how long it took from the kill on.</summary>
    internal sealed record Outcome(JsonObject Job, List<JsonObject> Spans, double Seconds);

    /// <summary>Kills Phoenix.Service at a moment of the job and starts it again after a while.</summary>
    /// <param name="length">Null = not before the job has ended.</param>
    public static async Task<Outcome> RunAsync(RecoverySystem system, Moment moment, TimeSpan? length, CancellationToken cancellationToken)
    {
        await system.Gate.CloseAsync(moment.Event, cancellationToken);
        var job = await system.AskAsync($"outage-{Guid.NewGuid():N}", cancellationToken);
        await system.Gate.ReachedAsync(cancellationToken);
        var trace = await system.TraceAsync(job, cancellationToken);
        var waits = Waits(system);
        await system.System.Phoenix.KillAsync();
        var killed = TimeProvider.System.GetTimestamp();
        await system.Gate.OpenAsync(cancellationToken);
        while (Waits(system) == waits)
        {
            await Task.Delay(TimeSpan.FromMilliseconds(20), cancellationToken);
        }

        JsonObject? ended = null;
        if (length is { } outage)
        {
            var left = outage - TimeProvider.System.GetElapsedTime(killed);
            await Task.Delay(left > TimeSpan.Zero ? left : TimeSpan.Zero, cancellationToken);
        }
        else
        {
            ended = await system.EndAsync([system.Orchestrator], job, cancellationToken);
        }

        var seconds = TimeProvider.System.GetElapsedTime(killed).TotalSeconds;
        await system.System.Phoenix.StartAsync(cancellationToken);
        if (ended is null)
        {
            ended = await system.EndAsync([system.Orchestrator], job, cancellationToken);
            seconds = TimeProvider.System.GetElapsedTime(killed).TotalSeconds;
        }

        var spans = await system.SpansAsync(trace, IsWhole, TimeSpan.FromSeconds(30), cancellationToken);
        return new(ended, spans, seconds);
    }

    /// <summary>True when the trace has its root, and every span its parent.</summary>
    private static bool IsWhole(List<JsonObject> spans) => spans.Exists(RecoverySystem.IsRun) && RecoverySystem.Orphans(spans).Count == 0;

    private static int Waits(RecoverySystem system) => system.Orchestrator.Output.Split(Waiting).Length;
}
