using System.Text.Json.Nodes;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Rca;

/// <summary>Whether confidences mean what they say: Brier score and reliability table over first-ranked causes.</summary>
internal sealed class Calibration
{
    private static readonly double[] s_edges = [0, 0.5, 0.7, 0.8, 0.9, 1.0001];
    private readonly List<(double Confidence, bool Right)> _claims = [];

    public void Add(double confidence, bool right) => _claims.Add((confidence, right));

    /// <summary>Mean squared difference between confidence and truth; 0 is best, 0.25 a coin.</summary>
    public double Brier => _claims.Count == 0 ? 0 : _claims.Average(static claim => Math.Pow(claim.Confidence - (claim.Right ? 1 : 0), 2));

    public JsonArray ToJson() => new([.. Bins().Select(static bin => new JsonObject
    {
        ["from"] = bin.From, ["to"] = bin.To, ["claims"] = bin.Count, ["mean_confidence"] = Math.Round(bin.Mean, 3), ["right"] = Math.Round(
            bin.Right, 3),
    })]);

    public Table ToTable()
    {
        var table = new Table { Title = new TableTitle($"Confidence (Brier score {Brier:0.000} over {_claims.Count} claims)") };
        table.AddColumns("confidence", "claims", "mean", "right");
        foreach (var bin in Bins())
        {
            table.AddRow($"{bin.From:0.0} to {bin.To:0.0}", $"{bin.Count}", $"{bin.Mean:0.00}", $"{bin.Right:0.00}");
        }

        return table;
    }

    private IEnumerable<(double From, double To, int Count, double Mean, double Right)> Bins()
    {
        for (var i = 0; i + 1 < s_edges.Length; i++)
        {
            var inside = _claims.Where(claim => claim.Confidence >= s_edges[i] && claim.Confidence < s_edges[i + 1]).ToList();
            if (inside.Count > 0)
            {
                yield return (s_edges[i], Math.Min(1, s_edges[i + 1]), inside.Count, inside.Average(static claim => claim.Confidence),
                    inside.Average(static claim => claim.Right ? 1.0 : 0));
            }
        }
    }
}
