using System.Text.Json;
using Microsoft.Extensions.Options;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Rca;
using Orchestrator.Agent.Telemetry;

namespace Orchestrator.Agent.Agents.Architect;

/// <summary>
/// Synthesis: lets the verifier hold every claim against the stored records, drops what does not hold, and writes the RCA from the rest. A
/// model may reword the summary; the causes, their order and the evidence are what the verifier left.
/// </summary>
internal sealed class ArchitectAgent(
    EvidenceVerifier verifier, LookAround model, Llm.SummaryWriter writer, IOptions<RemediationOptions> remediation)
{
    public const string Name = "mats-architect";

    private const string LookQuestion =
        "The root-cause analysis is below. With the tools, look for what its readers should know beside it, such as earlier incidents, " +
        "runbooks and owners, in at most a few calls. Then answer with up to five short notes of what you saw.";

    /// <summary>Writes the RCA. Claims count as unresolved when their records could not be asked.</summary>
    public async Task<Synthesis> SynthesizeAsync(InvestigationRun run)
    {
        using var span = MatsTracing.Start("architect_synthesis", MatsTracing.Chain, run.Job.SessionId, Name);
        MatsTracing.Tag(span, "agent.type", "synthesis");
        MatsTracing.Input(span, run.Job.Request.Text, "text/plain");
        await run.RecordAsync(span);

        var hypotheses = run.State.SreFindings?.Hypotheses ?? [];
        var (causes, unresolved) = await VerifyAsync(run, hypotheses);
        var severity = Severity.Of(run.State.SreFindings?.Evidence.BlastRadius, run.State.SreFindings?.Verdict);
        var document = RcaWriter.Write(run.State, run.Job, causes, severity, RemediationProposal.For(causes, remediation.Value), run.Now);
        var findings = JsonSerializer.Serialize(document, MatsJson.Web.RcaDocument);
        await model.NoteAsync(run, new Look("architect", Name, "synthesis", findings) { Question = LookQuestion });
        if (await writer.SummaryAsync(run, document) is { } summary)
        {
            document = document with { ExecutiveSummary = new(summary) };
        }

        var report = new ArchitectReport(
            run.State.Blockers.Count == 0 ? "SUCCESS" : "PARTIAL", Confidence.Overall(run.State), document,
            RcaMarkdown.Write(document, run.State), severity,
            [.. run.State.Limitations], RcaWriter.Recommendations(run.State, causes));
        MatsTracing.Output(span, document.ExecutiveSummary.SummaryText, "text/plain");
        return new(report, unresolved);
    }

    /// <summary>The causes with only the claims that hold; a cause without any is gone.</summary>
    private async Task<(IReadOnlyList<RankedCause> Causes, int Unresolved)> VerifyAsync(
        InvestigationRun run, IReadOnlyList<RankedCause> hypotheses)
    {
        var claims = hypotheses.SelectMany(cause => cause.Evidence).ToList();
        if (claims.Count == 0)
        {
            return ([], 0);
        }

        Verification verification;
        try
        {
            verification = await run.CallToolAsync(
                "resolve_records", "Looks up every cited record in Phoenix.Service and compares it with its claim.",
                $"{{\"claims\":{claims.Count}}}", Name,
                stop => verifier.VerifyAsync(Projects(run.State), claims, stop),
                result => $"{result.Verified.Count} claims hold, {result.Dropped.Count} do not");
        }
        catch (PhoenixUnavailableException e)
        {
            run.State.Block($"The evidence could not be verified: {e.Message}");
            run.State.Limit("The records that the claims cite were not seen again: no cause is handed out as proven.");
            return ([], claims.Count);
        }

        foreach (var (evidence, reason) in verification.Dropped)
        {
            run.State.Warn($"Dropped a claim that its record does not prove ({reason}): {evidence.Claim}");
        }

        var kept = hypotheses
            .Select(cause => cause with { Evidence = [.. cause.Evidence.Where(verification.Holds)] })
            .Where(cause => cause.Evidence.Count > 0)
            .ToList();
        return (kept, kept.SelectMany(cause => cause.Evidence).Count(evidence => !verification.Holds(evidence)));
    }

    private static IReadOnlyList<string> Projects(InvestigationState state) =>
        [.. new[] { state.Project, state.BaselineProject }.OfType<string>().Distinct()];
}

/// <summary>P1..P4 by how many requests failed.</summary>
internal static class Severity
{
    public static string Of(BlastRadius? radius, string? verdict) => radius switch
    {
        _ when verdict != "incident" => "P4",
        null => "P3",
        { ErrorRatePercent: > 50 } => "P1",
        { ErrorRatePercent: > 10 } => "P2",
        { ErrorRatePercent: > 1 } => "P3",
        _ => "P4",
    };
}

/// <summary>The one calculator of an investigation's confidence.</summary>
internal static class Confidence
{
    /// <summary>From here a conclusion counts as SUCCESS; below it as PARTIAL, with E006.</summary>
    public const double Threshold = 0.5;

    /// <summary>A triage above this stands even when the code analysis failed.</summary>
    public const double SreAlone = 0.7;

    /// <summary>
    /// The mean of the scores that were really produced; a skipped Investigator and the Architect are not averaged. 0 without any.
    /// </summary>
    public static double Overall(InvestigationState state)
    {
        var scores = new List<double>();
        if (state.SreFindings is { } sre)
        {
            scores.Add(sre.Confidence ?? 0);
        }

        if (state.InvestigatorFindings is { Status: not ("SKIPPED" or "INSUFFICIENT_DATA") } investigator)
        {
            scores.Add(investigator.Confidence ?? 0);
        }

        return scores.Count == 0 ? 0 : Math.Round(scores.Average(), 4);
    }

    /// <summary>The words for a score.</summary>
    public static string Band(double score) => score switch
    {
        >= 0.95 => "definitive",
        >= 0.8 => "high",
        >= 0.6 => "moderate",
        >= 0.4 => "hypothesis",
        _ => "insufficient",
    };
}
