using System.Text.Json.Nodes;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>The figures of one evaluation, as a table for people and as keys for programs.</summary>
/// <param name="EvidenceResolved">Share of the cited records that were found; null where none was cited, or none looked up.</param>
internal sealed record RcaReport(IReadOnlyList<CaseScore> Scores,
    IReadOnlyList<(string Name, string? Blamed)> Controls, double? EvidenceResolved)
{
    public double Share(Func<CaseScore, bool> right) => Scores.Count == 0 ? 0 : Math.Round((double)Scores.Count(right) / Scores.Count, 4);

    public int FalseAlarms => Controls.Count(static control => control.Blamed is not null);

    /// <summary>First-ranked causes of incidents, and causes claimed of fault-free windows.</summary>
    public int Claims => Scores.Count(static score => score.Ranked.Count > 0) + FalseAlarms;

    /// <summary>Share of the claims that name the true service: what a claim is worth.</summary>
    public double RightOfClaims => Claims == 0 ? 0 : Math.Round((double)Scores.Count(static score => score.Within(1)) / Claims, 4);

    /// <summary>Mean confidence of the first-ranked causes of incidents.</summary>
    public double MeanConfidence =>
        Math.Round(
            Scores.Where(static score => score.Ranked.Count > 0).Select(static score => score.Ranked[0].Confidence).DefaultIfEmpty()
                .Average(), 4);

    public double P50Seconds => Scores.Count == 0
        ? 0
        : Math.Round(Scores.Select(static score => score.Seconds).Order().ElementAt(Scores.Count / 2), 3);

    /// <summary>How sure the first-ranked causes were, and whether they were right.</summary>
    public Calibration Confidence => Calibrate([this]);

    /// <summary>The same over several evaluations.</summary>
    public static Calibration Calibrate(IEnumerable<RcaReport> reports)
    {
        var calibration = new Calibration();
        foreach (var score in reports.SelectMany(static report => report.Scores).Where(static score => score.Ranked.Count > 0))
        {
            calibration.Add(score.Ranked[0].Confidence, score.Within(1));
        }

        return calibration;
    }

    public void Print()
    {
        var table = new Table();
        table.AddColumns("case", "expected", "first", "confidence", "rank", "inner", "s");
        foreach (var score in Scores)
        {
            var first = score.Ranked.Count > 0 ? score.Ranked[0] : null;
            table.AddRow(
                score.Case.Id, $"{score.Case.RootCause.Service} {score.Case.RootCause.Fault}", first is null
                    ? "-"
                    : Markup.Escape($"{first.Service} {first.FaultType}: {first.Detail}"),
                first is null ? "" : $"{first.Confidence:0.00}", $"{score.Rank}", score.InnerRight ? "yes" : "no", $"{score.Seconds:0.00}");
        }

        AnsiConsole.Write(table);
        foreach (var (name, blamed) in Controls.Where(static control => control.Blamed is not null))
        {
            Console.WriteLine($"false alarm: {name}: {blamed}");
        }

        AnsiConsole.Write(Confidence.ToTable());
        Console.WriteLine(
            $"as1 {Share(static s => s.Within(1)):0.000}  as3 {Share(static s => s.Within(3)):0.000}  as5 {Share(static s => s.Within(5)):0.000}  ais1 {Share(static s => s.InnerRight):0.000}  " +
            $"false alarms {FalseAlarms}/{Controls.Count}  p50 {P50Seconds:0.00} s{EvidenceResolved:'  evidence resolved '0.000}");
    }

    public JsonObject ToJson()
    {
        var json = Figures();
        if (EvidenceResolved is { } resolved)
        {
            json["evidence_resolved"] = resolved;
        }

        return json;
    }

    private JsonObject Figures() => new()
    {
        ["cases"] = Scores.Count,
        ["as1"] = Share(static score => score.Within(1)),
        ["as3"] = Share(static score => score.Within(3)),
        ["as5"] = Share(static score => score.Within(5)),
        ["ais1"] = Share(static score => score.InnerRight),
        ["false_alarms"] = FalseAlarms,
        ["controls"] = Controls.Count,
        ["p50_seconds"] = P50Seconds,
        ["brier"] = Math.Round(Confidence.Brier, 4),
        ["reliability"] = Confidence.ToJson(),
        ["per_case"] = new JsonArray([.. Scores.Select(static score => new JsonObject
        {
            ["case"] = score.Case.Id,
            ["expected"] = new JsonObject { ["service"] = score.Case.RootCause.Service, ["fault"] = score.Case.RootCause.Fault },
            ["ranked"] = new JsonArray([.. score.Ranked.Select(static cause => new JsonObject
            {
                ["service"] = cause.Service, ["fault_type"] = cause.FaultType, ["kind"] = cause.Kind, ["detail"] = cause.Detail,
                ["confidence"] = cause.Confidence,
            })]),
            ["evidence"] = new JsonArray(
                [.. score.Ranked.Take(1).SelectMany(static cause => cause.Cited).Select(static text => (JsonNode)text!)]),
            ["seconds"] = Math.Round(score.Seconds, 3),
        })]),
    };
}
