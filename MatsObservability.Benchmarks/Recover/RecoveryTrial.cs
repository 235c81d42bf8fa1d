using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>How the process that runs the job is taken away, and what takes the job up.</summary>
internal enum Takeover
{
    /// <summary>Killed (<c>kill -9</c>) and started again.</summary>
    Restart,

    /// <summary>Killed while a second replica runs.</summary>
    Replica,

    /// <summary>Asked to end (SIGTERM) and started again.</summary>
    Stop,
}

/// <summary>A moment of an investigation, by the event that is about to be stored (SQL LIKE).</summary>
internal sealed record Moment(string Name, string Event)
{
    public static readonly Moment BeforePlanning = new("before planning", "Phase planning%");
    public static readonly Moment BeforeTheFirstAgent = new("before the first agent", "mats-sre starts%");
    public static readonly Moment InTheFirstAgent = new("in the first agent", "read_telemetry%");
    public static readonly Moment BetweenTwoAgents = new("between two agents", "Phase synthesis%");
    public static readonly Moment InTheVerifier = new("in the verifier", "resolve_records%");
    public static readonly Moment RcaStored = new("RCA stored, not yet linked", "Stored in%");
    public static readonly Moment AtTheEnd = new("at the last event", "Job COMPLETED");

    public static readonly IReadOnlyList<Moment> All =
        [BeforePlanning, BeforeTheFirstAgent, InTheFirstAgent, BetweenTwoAgents, InTheVerifier, RcaStored, AtTheEnd];
}

/// <summary>What became of one interrupted investigation.</summary>
/// <param name="Faults">What should not have happened, in words; empty when all is well.</param>
internal sealed record RecoveryOutcome(IReadOnlyList<string> Faults, bool Resumed, bool EndedTwice, bool Lost, double Seconds,
    int Reconnects);

/// <summary>Interrupts an investigation at a moment and checks everything that must hold at its end.</summary>
internal static class RecoveryTrial
{
    /// <summary>How long what follows at once may take on a slow machine.</summary>
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>True for the message that ends a job.</summary>
    public static bool IsEnd(string message) => message is "Job COMPLETED" or "Job PARTIAL" or "Job FAILED" or "Job CANCELLED";

    /// <remarks>1 hold a job at the moment; 2 take its process away; 3 let it end elsewhere; 4 look at everything it left.</remarks>
    public static async Task<RecoveryOutcome> RunAsync(RecoverySystem system, Moment moment, Takeover takeover, ServiceProcess? second,
        CancellationToken cancellationToken)
    {
        var session = $"recover-{Guid.NewGuid():N}";
        await system.Gate.CloseAsync(moment.Event, cancellationToken); // 1
        var job = await system.AskAsync(session, cancellationToken);
        IReadOnlyList<ServiceProcess> replicas = second is null ? [system.Orchestrator] : [system.Orchestrator, second];
        using var watcher = new JobWatcher([.. replicas.Select(replica => replica.Url)], job);
        using var stopWatching = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var watching = watcher.WatchAsync(stopWatching.Token);
        await system.Gate.ReachedAsync(cancellationToken);
        if (takeover == Takeover.Replica && second is not null)
        {
            await second.StartAsync(cancellationToken);
        }

        var started = TimeProvider.System.GetTimestamp();
        if (takeover == Takeover.Stop) // 2
        {
            await system.Orchestrator.StopAsync(s_patience);
        }
        else
        {
            await system.Orchestrator.KillAsync();
        }

        await system.Gate.OpenAfterKillAsync(cancellationToken);
        if (takeover != Takeover.Stop)
        {
            // As when the lease of the process, the job's first, has run out; one that is asked to end gives its job back by itself.
            await system.System.ExecuteAsync(
                $"update mats.jobs set lease_until = now() - interval '1 second' where id = '{job}' and lease_token = 1",
                cancellationToken);
        }

        if (takeover != Takeover.Replica)
        {
            await system.Orchestrator.StartAsync(cancellationToken);
        }

        var ended = await system.EndAsync(replicas, job, cancellationToken); // 3
        var seconds = TimeProvider.System.GetElapsedTime(started).TotalSeconds;
        stopWatching.CancelAfter(s_patience);
        var events = await watching;
        if (takeover == Takeover.Replica)
        {
            await system.Orchestrator.StartAsync(cancellationToken);
            await second!.StopAsync();
        }

        return await JudgeAsync(system, takeover, session, job, ended, events, seconds, watcher.Reconnects, cancellationToken); // 4
    }

    private static async Task<RecoveryOutcome> JudgeAsync(
        RecoverySystem system, Takeover takeover, string session, string job, JsonObject ended, List<WatchedEvent> events, double seconds,
        int reconnects,
        CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        var result = ended["result"]!.AsObject();
        var ends = events.Count(e => IsEnd(e.Message));
        Require(ended["status"]!.GetValue<string>() == "COMPLETED", $"the job ended {ended["status"]}: {ended["error"]}");
        Require(ends == 1 && IsEnd(events[^1].Message), $"{ends} last events");
        Require(events.Exists(e => e.Message.StartsWith("Job goes on at", StringComparison.Ordinal)), "the job was not taken up again");
        Require(events.Select(e => e.Seq).SequenceEqual(Enumerable.Range(1, events.Count).Select(n => (long)n)),
            "the stream has gaps or repeats");
        Require(
            events.Count == await system.System.ScalarAsync<long>($"select count(*) from mats.events where job_id = '{job}'",
                cancellationToken),
            "the stream and the log differ");
        var documents = await system.System.ScalarAsync<long>(
            $"select count(*) from mats.objects where path like '{session}/%' and name = 'rca.json'", cancellationToken);
        Require(documents == 1, $"{documents} RCA documents");
        Require(Causes(result) == Causes(system.Undisturbed), $"the causes are {Causes(result)}, undisturbed {Causes(system.Undisturbed)}");

        // A process that is asked to end still writes down the call it was in; one that is killed cannot.
        var (calls, wanted) = takeover == Takeover.Stop
            ? (Tools(result).Distinct(), Tools(system.Undisturbed).Distinct()) : (Tools(result), Tools(system.Undisturbed));
        Require(calls.SequenceEqual(wanted),
            $"the result's tool calls are {string.Join(", ", calls)}, undisturbed {string.Join(", ", wanted)}");

        var spans = await SpansAsync(system, ended["trace_id"]!.GetValue<string>(), cancellationToken);
        var orphans = RecoverySystem.Orphans(spans).ConvertAll(span => span["name"]);
        Require(orphans.Count == 0, $"spans without their parent: {string.Join(", ", orphans)}");
        var runs = spans.Count(RecoverySystem.IsRun);
        Require(runs == 2, $"{runs} runs in the trace, of the interrupted and the final one");
        Require(spans.Exists(span => span["name"]!.GetValue<string>() == "architect_synthesis"), "the trace has no synthesis");
        Require(
            takeover != Takeover.Stop || !spans.Exists(span =>
                span["status_message"]?.ToString().Contains("killed", StringComparison.Ordinal) == true),
            "a span of the stopped process was lost");

        return new(faults, faults.Count == 0, ends > 1 || documents > 1, ended["status"]!.GetValue<string>() != "COMPLETED"
            || orphans.Count > 0, seconds, reconnects);

        void Require(bool holds, string fault)
        {
            if (!holds)
            {
                faults.Add(fault);
            }
        }
    }

    /// <summary>The trace once both runs and all parents are in it, or as it is when they do not come.</summary>
    private static async Task<List<JsonObject>> SpansAsync(RecoverySystem system, string trace, CancellationToken cancellationToken)
    {
        try
        {
            return await system.SpansAsync(
                trace, spans => spans.Count(RecoverySystem.IsRun) >= 2 && RecoverySystem.Orphans(spans).Count == 0, s_patience,
                cancellationToken);
        }
        catch (TimeoutException)
        {
            return await system.SpansAsync(trace, cancellationToken);
        }
    }

    /// <summary>The ranked causes of a result as one line.</summary>
    public static string Causes(JsonObject result) => string.Join(
        ", ", (result["root_causes"] as JsonArray ?? [])
            .Select(cause => $"{cause!["service"]} {cause["fault_type"]} {cause["confidence"]}"));

    private static IEnumerable<string> Tools(JsonObject result) =>
        result["execution_trace"]!.AsArray().Where(step => step!["type"]!.GetValue<string>() == "tool_call")
            .Select(step => step!["tool"]!.GetValue<string>());
}
