using System.Globalization;
using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Topology;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>
/// <c>rca --cases DIR [--json FILE] [--offline] [--robustness]</c>, <c>rca --generated N [--seed S] [--json FILE]</c>: how often the
/// diagnosis names the true cause.
/// </summary>
internal static class RcaCommand
{
    public const string Purpose =
        "root-cause analysis over labelled incidents: --cases DIR [--json FILE] [--offline] [--robustness], or over generated systems: --generated N [--seed S]";

    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        if (Value(args, "--generated") is { } systems)
        {
            var first = int.Parse(Value(args, "--seed") ?? "1", CultureInfo.InvariantCulture);
            await WriteAsync(args, GeneratedRca.Report([.. GeneratedRca.Run(first, int.Parse(systems, CultureInfo.InvariantCulture))]),
                cancellationToken);
            return 0;
        }

        if (Value(args, "--cases") is not { } folder || !File.Exists(Path.Combine(folder, "labels.json")))
        {
            await Console.Error.WriteLineAsync(
                "rca: --cases must name a folder with labels.json, cases/ and baseline/; or --generated a number of systems");
            return 2;
        }

        var cases = RcaCases.Load(folder);
        JsonObject json;
        if (args.Contains("--robustness"))
        {
            json = Robust(cases);
        }
        else
        {
            var report = args.Contains("--offline") ? Offline(cases) : await LiveRca.RunAsync(cases, cancellationToken);
            report.Print();
            json = report.ToJson();
        }

        await WriteAsync(args, json, cancellationToken);
        return 0;
    }

    private static async Task WriteAsync(string[] args, JsonObject json, CancellationToken cancellationToken)
    {
        if (Value(args, "--json") is { } file)
        {
            await File.WriteAllTextAsync(file, json.ToJsonString(new() { WriteIndented = true }), cancellationToken);
        }
    }

    /// <summary>The argument after <paramref name="name"/>; null without one.</summary>
    public static string? Value(string[] args, string name) =>
        Array.IndexOf(args, name) is var at and >= 0 && at + 1 < args.Length ? args[at + 1] : null;

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
