using System.Text.Json.Nodes;
using MatsObservability.Benchmarks.Rca;
using Orchestrator.Agent.Evidence;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Topology;

/// <summary>A generated window's truth beside the engine's answer.</summary>
internal sealed record GeneratedScore(GeneratedCase Case, Diagnosis Diagnosis)
{
    public int Rank => Case.Fault is null
        ? 0
        : Diagnosis.Causes.Select(static cause => cause.Service).Distinct(StringComparer.Ordinal).ToList().IndexOf(Case.Fault.Service.Name)
            + 1;

    public bool KindRight => Rank == 1 && Diagnosis.Causes[0].Location.Kind == Case.Kind;

    public bool Claims => Diagnosis.Causes.Count > 0;
}

/// <summary><c>rca --generated N [--seed S]</c>: the engine on randomised systems without logs, N systems from seed S on.</summary>
internal static class GeneratedRca
{
    public static IEnumerable<GeneratedScore> Run(int firstSeed, int systems) =>
        Enumerable.Range(firstSeed, systems).SelectMany(static seed => new GeneratedSystem(seed).Cases())
            .Select(static given => new GeneratedScore(given, EvidenceEngine.Diagnose(given.Incident, given.Baseline)));

    public static JsonObject Report(IReadOnlyList<GeneratedScore> scores)
    {
        var table = new Table();
        table.AddColumns("window", "cases", "as1", "as3", "as5", "right kind first", "silent", "another service first");
        var json = new JsonArray();
        foreach (var group in scores.GroupBy(static score => score.Case.Group + (score.Case.Visible ? "" : " (invisible)")))
        {
            double Share(Func<GeneratedScore, bool> counts) => Math.Round((double)group.Count(counts) / group.Count(), 3);
            var healthy = group.First().Case.Fault is null;
            var (as1, as3, as5) = (Share(static s => s.Rank == 1), Share(static s => s.Rank is > 0 and <= 3),
                Share(static s => s.Rank is > 0 and <= 5));
            var (kind, silent, wrong) = (Share(static s => s.KindRight), group.Count(static s => !s.Claims),
                group.Count(static s => s.Claims && s.Rank != 1));
            table.AddRow(
                group.Key, $"{group.Count()}", healthy ? "" : $"{as1:0.00}", healthy ? "" : $"{as3:0.00}", healthy ? "" : $"{as5:0.00}",
                    healthy ? "" : $"{kind:0.00}", $"{silent}", $"{wrong}");
            json.Add((JsonNode)new JsonObject
            {
                ["group"] = group.Key, ["cases"] = group.Count(), ["as1"] = as1, ["as3"] = as3, ["as5"] = as5, ["ais1"] = kind, ["silent"] =
                    silent, ["wrong"] = wrong,
            });
        }

        AnsiConsole.Write(table);
        var calibration = new Calibration();
        foreach (var score in scores.Where(static score => score.Claims))
        {
            calibration.Add(score.Diagnosis.Causes[0].Confidence, score.Rank == 1);
        }

        AnsiConsole.Write(calibration.ToTable());
        var (strongest, weakest) = (Healthy(scores).DefaultIfEmpty().Max(), Faulty(scores).DefaultIfEmpty().Min());
        Console.WriteLine($"strongest finding of a healthy window {strongest:0.0} nats; weakest true cause at the first rank {weakest:0.0} nats; " +
            $"false alarms {scores.Count(static s => s.Case.Fault is null && s.Claims)}");
        return new JsonObject
        {
            ["generated"] = json, ["brier"] = Math.Round(calibration.Brier, 4), ["reliability"] = calibration.ToJson(),
            ["healthy_nats"] = new JsonArray([.. Healthy(scores).OrderDescending().Select(static nats => (JsonNode)Math.Round(nats, 1))]),
            ["nearly_claimed"] = new JsonArray([.. scores.Where(static s => s.Case.Fault is null && s.Diagnosis.Findings.Count > 0)
                .OrderByDescending(static s => s.Diagnosis.Findings[0].Score).Take(8)
                .Select(static s => (JsonNode)$"{s.Case.Name}: {Say(s.Diagnosis.Findings[0])}")]),
            ["true_nats"] = new JsonArray([.. Faulty(scores).Order().Select(static nats => (JsonNode)Math.Round(nats, 1))]),
            ["not_right"] = new JsonArray([.. scores.Where(static s => s.Case.Fault is null ? s.Claims : s.Rank != 1 || !s.KindRight)
                .Select(static s => new JsonObject
            {
                ["window"] = s.Case.Name, ["visible"] = s.Case.Visible, ["fault"] = s.Case.Fault?.ToString(),
                ["struck"] = s.Case.Struck, ["spans"] =
                    s.Case.Incident.Spans.Count, ["baseline_spans"] = s.Case.Baseline.Spans.Count,
                ["claimed"] = s.Diagnosis.Causes.Count,
                ["findings"] = new JsonArray([.. s.Diagnosis.Findings.Take(4)
                    .Select(static f => (JsonNode)Say(f))]),
            })]),
        };
    }

    private static string Say(Finding finding) =>
        $"{finding.Score:0.0} {finding.Service} {finding.What}: {string.Join("; ", finding.Evidence.Select(static e => e.Claim))}";

    private static IEnumerable<double> Healthy(IReadOnlyList<GeneratedScore> scores) =>
        scores.Where(static score => score.Case.Fault is null).Select(static score =>
            score.Diagnosis.Findings.Select(static finding => finding.Score).DefaultIfEmpty().Max());

    private static IEnumerable<double> Faulty(IReadOnlyList<GeneratedScore> scores) => scores.Where(static score => score.Rank == 1)
        .Select(static score => score.Diagnosis.Findings[0].Score);
}
