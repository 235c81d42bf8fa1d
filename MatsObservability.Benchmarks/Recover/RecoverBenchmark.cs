using System.CommandLine;
using System.Globalization;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>
/// <c>recover</c>: investigations whose orchestrator is killed or stopped at each of seven
/// moments, restarted or taken over by a second replica; and investigations during which Phoenix.Service is away.
/// </summary>
internal static class RecoverBenchmark
{
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(45);

    /// <summary>
    /// The command; its exit code is 1 when anything was lost, ended twice, or was diagnosed otherwise than undisturbed.
    /// </summary>
    public static Command Create()
    {
        var trials = Arguments.Number("--trials", 1, "trials of each moment");
        var outage = Arguments.Number("--outage", 20.0, "seconds for which Phoenix.Service is away");
        var json = Arguments.Json();
        var command = new Command("recover", "interrupted investigations") { trials, outage, json };
        command.SetAction((given, cancellationToken) => RunAsync(
            given.GetValue(trials), TimeSpan.FromSeconds(given.GetValue(outage)), given.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(int rounds, TimeSpan outage, FileInfo? file, CancellationToken cancellationToken)
    {
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
        await Figures.WriteAsync(file, json, cancellationToken);
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
