using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.AI;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;

namespace Orchestrator.Agent.Llm;

/// <summary>
/// Lets the model put the executive summary into better words. Its text is taken only when it says what the verified causes say.
/// </summary>
internal sealed partial class SummaryWriter(Model model)
{
    private const int MostWords = 150;

    private const string Task =
        "Write the executive summary of the root-cause analysis below for managers: fewer than 150 words, first sentence free of " +
        "jargon, name the blamed service " +
        "exactly as given, no links, no commands, nothing that is not in the data. Answer with the summary alone.";

    /// <summary>The summary; null to keep the one written by rules.</summary>
    public async Task<string?> SummaryAsync(InvestigationRun run, RcaDocument document)
    {
        if (document.RootCauses.Count == 0)
        {
            return null;
        }

        var facts = JsonSerializer.Serialize(
            document with
            {
                AutonomousTroubleshootingTimelineUtc = new([]),
                RootCauses = [.. document.RootCauses.Take(2)],
                TechnicalEvidenceAndLogs = document.TechnicalEvidenceAndLogs with { EvidenceRefs = [] },
            },
            MatsJson.Web.RcaDocument);
        var answer = await model.AskAsync(
            run, "summary", [new(ChatRole.System, Model.Rules + "\n" + Task), new(ChatRole.User, Model.Data(facts))]);
        if (answer is null)
        {
            return null;
        }

        var text = answer.Text.Trim();
        if (Objection(text, document) is { } objection)
        {
            run.State.Warn($"The model's summary was not used: {objection}.");
            return null;
        }

        return text;
    }

    /// <summary>Why the text may not stand as the summary; null when it may.</summary>
    public static string? Objection(string text, RcaDocument document)
    {
        if (text.Length == 0)
        {
            return "it is empty";
        }

        if (text.Split(' ', StringSplitOptions.RemoveEmptyEntries).Length >= MostWords)
        {
            return $"it has {MostWords} words or more";
        }

        if (!text.Contains(document.RootCauses[0].Service, StringComparison.OrdinalIgnoreCase))
        {
            return $"it does not name {document.RootCauses[0].Service}";
        }

        if (Suspicious().IsMatch(text))
        {
            return "it holds a link, a command or an order";
        }

        var other = document.ImpactAndScopeAnalysis.ServicesAffected.Except(
            document.RootCauses.Select(cause => cause.Service), StringComparer.OrdinalIgnoreCase)
            .FirstOrDefault(
                service => Regex.IsMatch(text, $@"\b(caused by|root cause is|fault of|blame)\s+(the\s+)?{Regex.Escape(service)}\b",
                    RegexOptions.IgnoreCase, TimeSpan.FromSeconds(1)));
        return other is null ? null : $"it blames {other}";
    }

    [GeneratedRegex(@"https?://|```|\$\(|\b(sudo|rm -rf|curl|wget|kubectl|gcloud|DROP TABLE)\b|\bignore (all|any|previous|the)\b",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Suspicious();
}
