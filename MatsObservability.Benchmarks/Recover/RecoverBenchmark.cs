using System.Globalization;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Rca;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>
/// <c>recover [--trials 1] [--outage 20] [--json FILE]</c>: investigations whose orchestrator is killed or stopped at each of seven
/// moments, restarted or taken over by a second replica; and investigations during which Phoenix.Service is away.
/// </summary>
internal static class RecoverBenchmark
{
    public const string Purpose = "interrupted investigations: [--trials 1] [--outage 20] [--json FILE]";
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(45);

    /// <summary>Runs the command; 1 when anything was lost, ended twice, or was diagnosed otherwise than undisturbed.</summary>
    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        var rounds = int.Parse(RcaCommand.Value(args, "--trials") ?? "1", CultureInfo.InvariantCulture);
        var outage = TimeSpan.FromSeconds(double.Parse(RcaCommand.Value(args, "--outage") ?? "20", CultureInfo.InvariantCulture));
        await using var system = await RecoverySystem.StartAsync(s_patience, cancellationToken);
        var outcomes = await InterruptAsync(system, rounds, cancellationToken);
        var (waited, same, longest) = await OutagesAsync(system, outage, rounds, cancellationToken);
        var json = new JsonObject
        {
            ["trials"] = outcomes.Count,
            ["resumed"] = outcomes.Count(static outcome => outcome.Resumed),
            ["ended_twice"] = outcomes.Count(static outcome => outcome.EndedTwice),
            ["lost"] = outcomes.Count(static outcome => outcome.Lost),
            ["p50_seconds"] = Math.Round(outcomes.Select(static outcome => outcome.Seconds).Order().ElementAt(outcomes.Count / 2), 1),
            ["outages"] = waited,
            ["outage_seconds"] = outage.TotalSeconds,
            ["outage_same_diagnosis"] = same,
            ["outage_longest_seconds"] = Math.Round(longest, 1),
        };
        if (RcaCommand.Value(args, "--json") is { } file)
        {
            await File.WriteAllTextAsync(file, json.ToJsonString(new() { WriteIndented = true }), cancellationToken);
        }

        return outcomes.TrueForAll(static outcome => outcome.Resumed) && waited == same ? 0 : 1;
    }

    private static async Task<List<RecoveryOutcome>> InterruptAsync(RecoverySystem system, int rounds, CancellationToken cancellationToken)
    {
        var second = await system.System.AddOrchestratorAsync(cancellationToken);
        await second.StopAsync();
        var table = new Table().AddColumns("interrupted", "by", "ended after", "stream reconnects", "faults");
        var outcomes = new List<RecoveryOutcome>();
        foreach (var takeover in Enumerable.Repeat(Enum.GetValues<Takeover>(), rounds).SelectMany(static all => all))
        {
            foreach (var moment in Moment.All)
            {
                var outcome = await RecoveryTrial.RunAsync(system, moment, takeover, takeover == Takeover.Replica
                    ? second : null, cancellationToken);
                outcomes.Add(outcome);
                table.AddRow(
                    moment.Name, takeover.ToString(), FormattableString.Invariant($"{outcome.Seconds:0.0} s"),
                    outcome.Reconnects.ToString(CultureInfo.InvariantCulture),
                    Markup.Escape(string.Join("; ", outcome.Faults)));
            }
        }

        AnsiConsole.Write(table);
        return outcomes;
    }

    private static async Task<(int Waited, int Same, double Longest)> OutagesAsync(
        RecoverySystem system, TimeSpan outage, int rounds, CancellationToken cancellationToken)
    {
        var table = new Table().AddColumns("Phoenix.Service away", "ended after", "diagnosis");
        var (waited, same, longest) = (0, 0, 0.0);
        foreach (var moment in Enumerable.Repeat(new[] { Moment.InTheFirstAgent, Moment.InTheVerifier }, rounds)
            .SelectMany(static both => both))
        {
            var outcome = await OutageTrial.RunAsync(system, moment, outage, cancellationToken);
            var (found, wanted) = (RecoveryTrial.Causes(outcome.Job["result"]!.AsObject()), RecoveryTrial.Causes(system.Undisturbed));
            waited++;
            same += found == wanted ? 1 : 0;
            longest = Math.Max(longest, outcome.Seconds);
            table.AddRow(
                FormattableString.Invariant($"{outage.TotalSeconds:0} s, {moment.Name}"),
                FormattableString.Invariant($"{outcome.Seconds:0.0} s"),
                found == wanted ? "as undisturbed" : Markup.Escape(found));
        }

        AnsiConsole.Write(table);
        return (waited, same, longest);
    }
}
