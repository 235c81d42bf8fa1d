using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Benchmarks.Rca;
using Orchestrator.Agent.Evidence;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Chaos;

/// <summary>A scenario's answer beside its truth.</summary>
/// <param name="OnsetError">Seconds between the onset found and the true one; null when either is missing.</param>
internal sealed record ChaosScore(Scenario Scenario, RankedCause? Top, double? OnsetError, double Seconds)
{
    public bool ComponentRight => Top?.Service == Scenario.Component;

    public bool Right => ComponentRight && (Top is null || Top.FaultType == Scenario.FaultType);

    /// <summary>A cause is claimed where nothing is wrong, or a service is blamed that only stands beside the fault.</summary>
    public bool FalseAlarm => Top is not null && (Scenario.Component is null || Scenario.Distractors.Contains(Top.Service));
}

/// <summary><c>chaos</c>: the generated scenarios, and whether the diagnosis names component and fault type.</summary>
internal static class ChaosCommand
{
    private const string BaselineProject = "chaos-baseline";

    private static readonly DateTimeOffset s_start = new(2026, 1, 15, 10, 0, 0, TimeSpan.Zero);

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var offline = new Option<bool>("--offline") { Description = "the engine alone, without the running system" };
        var seed = Arguments.Number("--seed", 1, "seed of the telemetry");
        var json = Arguments.Json();
        var command = new Command("chaos", "generated chaos scenarios and controls") { offline, seed, json };
        command.SetAction((given, cancellationToken) =>
            RunAsync(given.GetValue(offline), given.GetValue(seed), given.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(bool offline, int seed, FileInfo? json, CancellationToken cancellationToken)
    {
        var scores = offline ? Offline(seed) : await LiveAsync(seed, cancellationToken);
        var calibration = new Calibration();
        foreach (var score in scores.Where(static score => score.Top is not null))
        {
            calibration.Add(score.Top!.Confidence, score.Right);
        }

        Print(scores, calibration);
        await Figures.WriteAsync(json, Json(scores, calibration), cancellationToken);
        return 0;
    }

    /// <summary>The engine directly on the generated telemetry.</summary>
    public static List<ChaosScore> Offline(int seed)
    {
        var baseline = Window(CalculatorSystem.Healthy(s_start.AddHours(-1), seed + Scenario.All.Count));
        return
        [
            .. Scenario.All.Select(scenario =>
            {
                var clock = Stopwatch.StartNew();
                var diagnosis = EvidenceEngine.Diagnose(Window(CalculatorSystem.Generate(scenario, s_start, seed)), baseline);
                var top = diagnosis.Causes.Count == 0 ? null : diagnosis.Causes[0];
                return new ChaosScore(
                    scenario,
                    top is null ? null : new(top.Service, top.FaultType, top.Location.Kind, top.Location.Detail, top.Confidence, []),
                    OnsetError(scenario, diagnosis.OnsetNanos), clock.Elapsed.TotalSeconds);
            }),
        ];
    }

    private static async Task<List<ChaosScore>> LiveAsync(int seed, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions { WithOrchestrator = true }, cancellationToken);
        using var client = new LiveClient(system.Phoenix.HttpUrl, system.OrchestratorUrl);
        await client.UploadAsync(BaselineProject,
            CalculatorSystem.Healthy(s_start.AddHours(-1), seed + Scenario.All.Count).Requests(), cancellationToken);
        var scores = new List<ChaosScore>();
        foreach (var scenario in Scenario.All)
        {
            var project = $"chaos-{scenario.Id}";
            await client.UploadAsync(project, CalculatorSystem.Generate(scenario, s_start, seed).Requests(), cancellationToken);
            var answer = await client.AskAsync(project, s_start, s_start.AddSeconds(Scenario.Seconds), BaselineProject, cancellationToken);
            var stamp = answer.Result["sre_findings"]?["incident_timestamp"]?.GetValue<string>();
            long? onset = stamp is not null ? RcaCases.Nanos(DateTimeOffset.Parse(stamp, CultureInfo.InvariantCulture)) : null;
            scores.Add(new(scenario, answer.Ranked.Count == 0 ? null : answer.Ranked[0], OnsetError(scenario, onset), answer.Seconds));
        }

        return scores;
    }

    private static double? OnsetError(Scenario scenario, long? found) =>
        found is { } nanos && scenario.Component is not null
            ? Math.Round(((nanos - RcaCases.Nanos(s_start)) / 1e9) - scenario.OnsetSeconds, 2)
            : null;

    private static TelemetryWindow Window(OtlpScript script)
    {
        var files = new OtlpFiles();
        foreach (var (_, line) in script.Requests())
        {
            files.Add(line);
        }

        return files.ToWindow("chaos");
    }

    private static void Print(List<ChaosScore> scores, Calibration calibration)
    {
        var table = new Table();
        table.AddColumns("scenario", "expected", "found", "confidence", "onset error s", "right");
        foreach (var score in scores)
        {
            table.AddRow(
                $"{score.Scenario.Id} {score.Scenario.Name}", score.Scenario.Component is null
                    ? "nothing"
                    : $"{score.Scenario.Component} {score.Scenario.FaultType}",
                score.Top is null ? "nothing" : Markup.Escape($"{score.Top.Service} {score.Top.FaultType}: {score.Top.Detail}"),
                score.Top is null ? "" : $"{score.Top.Confidence:0.00}",
                score.OnsetError is { } error ? $"{error:0.0}" : "", score.Right ? "yes" : "no");
        }

        AnsiConsole.Write(table);
        AnsiConsole.Write(calibration.ToTable());
        Console.WriteLine($"right {scores.Count(static s => s.Scenario.Counts && s.Right)}/{scores.Count(static s => s.Scenario.Counts)}  false alarms {scores.Count(static s => s.FalseAlarm)}");
    }

    private static JsonObject Json(List<ChaosScore> scores, Calibration calibration) => new()
    {
        ["scenarios"] = scores.Count(static score => score.Scenario.Counts),
        ["right"] = scores.Count(static score => score.Scenario.Counts && score.Right),
        ["controls"] = scores.Count(static score => score.Scenario.Id.StartsWith('C')),
        ["controls_right"] = scores.Count(static score => score.Scenario.Id.StartsWith('C') && score.Right),
        ["false_alarms"] = scores.Count(static score => score.FalseAlarm),
        ["brier"] = Math.Round(calibration.Brier, 4),
        ["reliability"] = calibration.ToJson(),
        ["per_scenario"] = new JsonArray([.. scores.Select(static score => new JsonObject
        {
            ["id"] = score.Scenario.Id,
            ["name"] = score.Scenario.Name,
            ["expected"] = new JsonObject { ["component"] = score.Scenario.Component, ["fault_type"] = score.Scenario.FaultType },
            ["found"] = score.Top is null ? null : new JsonObject { ["component"] = score.Top.Service, ["fault_type"] = score.Top.FaultType,
                ["detail"] = score.Top.Detail, ["confidence"] = score.Top.Confidence },
            ["top1"] = score.ComponentRight,
            ["fault_type_right"] = score.Right,
            ["onset_error_s"] = score.OnsetError,
            ["false_alarm"] = score.FalseAlarm,
            ["seconds"] = Math.Round(score.Seconds, 3),
        })]),
    };
}
