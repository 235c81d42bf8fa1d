using System.CommandLine;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Topology;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Rca;

/// <summary><c>rca</c>: how often the diagnosis names the true cause.</summary>
internal static class RcaCommand
{
    /// <summary>The command.</summary>
    public static Command Create()
    {
        var cases = new Option<DirectoryInfo?>("--cases")
        {
            Description = "labelled incidents: a folder with labels.json, cases/ and baseline/", HelpName = "DIR",
        };
        cases.Validators.Add(result =>
        {
            if (result.Tokens is [var folder] && !File.Exists(Path.Combine(folder.Value, "labels.json")))
            {
                result.AddError($"--cases must name a folder with labels.json, cases/ and baseline/, got '{folder.Value}'.");
            }
        });
        var offline = new Option<bool>("--offline") { Description = "the engine alone, without the running system" };
        var robustness = new Option<bool>("--robustness") { Description = "the engine on cases that lack or hide things" };
        var generated = Arguments.Number("--generated", 0, "instead of cases, systems to generate");
        var seed = Arguments.Number("--seed", 1, "seed of the first system");
        var json = Arguments.Json();
        var command = new Command("rca", "root-cause analysis over labelled incidents, or over generated systems")
        {
            cases, offline, robustness, generated, seed, json,
        };
        command.Validators.Add(result =>
        {
            if ((result.GetResult(cases) is { Implicit: false }) == (result.GetResult(generated) is { Implicit: false }))
            {
                result.AddError("rca needs one of --cases and --generated.");
            }
        });
        command.SetAction(async (given, cancellationToken) =>
        {
            var report = given.GetValue(cases) is not { } folder
                ? GeneratedRca.Report([.. GeneratedRca.Run(given.GetValue(seed), given.GetValue(generated))])
                : await OverCasesAsync(
                    RcaCases.Load(folder.FullName), given.GetValue(offline), given.GetValue(robustness), cancellationToken);
            await Figures.WriteAsync(given.GetValue(json), report, cancellationToken);
            return 0;
        });
        return command;
    }

    private static async Task<JsonObject> OverCasesAsync(
        RcaCases cases, bool offline, bool robustness, CancellationToken cancellationToken)
    {
        if (robustness)
        {
            return Robust(cases);
        }

        var report = offline ? Offline(cases) : await LiveRca.RunAsync(cases, cancellationToken);
        report.Print();
        return report.ToJson();
    }

    private static RcaReport Offline(RcaCases cases)
    {
        var offline = new OfflineRca(cases);
        return new(offline.Run(static (_, incident, baseline) => (incident, baseline)), [.. offline.RunControls()], null);
    }

    private static JsonObject Robust(RcaCases cases)
    {
        var table = new Table();
        table.AddColumns("variant", "as1", "as3", "ais1", "false alarms", "claims", "right of them", "mean confidence", "brier");
        var json = new JsonArray();
        var reports = new List<RcaReport>();
        foreach (var (variant, report) in Robustness.Run(new OfflineRca(cases)))
        {
            reports.Add(report);
            var (as1, as3, ais1) = (report.Share(static s => s.Within(1)), report.Share(static s => s.Within(3)),
                report.Share(static s => s.InnerRight));
            table.AddRow(variant, $"{as1:0.000}", $"{as3:0.000}", $"{ais1:0.000}", $"{report.FalseAlarms}/{report.Controls.Count}",
                $"{report.Claims}", $"{report.RightOfClaims:0.000}", $"{report.MeanConfidence:0.000}", $"{report.Confidence.Brier:0.000}");
            json.Add((JsonNode)new JsonObject
            {
                ["variant"] = variant, ["as1"] = as1, ["as3"] = as3, ["ais1"] = ais1, ["false_alarms"] = report.FalseAlarms,
                ["controls"] = report.Controls.Count,
                ["claims"] = report.Claims, ["right_of_claims"] = report.RightOfClaims, ["mean_confidence"] = report.MeanConfidence,
                ["brier"] = Math.Round(report.Confidence.Brier, 4),
                ["blamed"] = new JsonArray(
                    [.. report.Controls.Where(static control => control.Blamed is not null)
                        .Select(static control => (JsonNode)$"{control.Name}: {control.Blamed}")]),
                ["missed"] = new JsonArray(
                    [.. report.Scores.Where(static s => !s.InnerRight)
                        .Select(static s =>
                            (JsonNode)$"{s.Case.Id}: {(s.Ranked.Count > 0 ? $"{s.Ranked[0].Service} {s.Ranked[0].FaultType} {s.Ranked[0].Detail}" : "nothing")}")]),
            });
        }

        AnsiConsole.Write(table);
        var all = RcaReport.Calibrate(reports);
        AnsiConsole.Write(all.ToTable());
        return new JsonObject { ["variants"] = json, ["brier"] = Math.Round(all.Brier, 4), ["reliability"] = all.ToJson() };
    }
}
