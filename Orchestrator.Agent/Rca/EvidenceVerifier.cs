using System.Text.Json;
using Orchestrator.Agent.Agents;

namespace Orchestrator.Agent.Rca;

/// <summary>What became of the claims of an RCA.</summary>
/// <param name="Dropped">Claims that no stored record proves, with the reason.</param>
internal sealed record Verification(IReadOnlySet<string> Verified, IReadOnlyList<(EvidenceRef Evidence, string Reason)> Dropped)
{
    /// <summary>True when the record behind the reference exists and says what is claimed.</summary>
    public bool Holds(EvidenceRef evidence) => Verified.Contains(ClaimKey(evidence));

    public static string ClaimKey(EvidenceRef evidence) => $"{evidence.Key}|{evidence.Value}|{evidence.Quote}";
}

/// <summary>
/// Holds every claim against the stored record: the id must exist in the project, the number must be the record's, the quote must stand in
/// it. Neither the engine nor a model is believed without it.
/// </summary>
internal sealed class EvidenceVerifier(PhoenixClient phoenix)
{
    /// <summary>Claimed numbers are rounded for people: half a percent, or a hundredth.</summary>
    private const double RelativeTolerance = 0.005;
    private const double AbsoluteTolerance = 0.01;

    /// <summary>
    /// Checks each distinct claim. References of projects are looked up where they were found: <paramref name="projects"/>, first match
    /// wins.
    /// </summary>
    public async Task<Verification> VerifyAsync(
        IReadOnlyList<string> projects, IEnumerable<EvidenceRef> evidence, CancellationToken cancellationToken)
    {
        var claims = evidence.DistinctBy(Verification.ClaimKey).ToList();
        var verified = new HashSet<string>(StringComparer.Ordinal);
        var reasons = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var project in projects)
        {
            var open = claims.Where(claim => !verified.Contains(Verification.ClaimKey(claim))).ToList();
            foreach (var batch in open.Chunk(PhoenixClient.MaxRefs))
            {
                var records = await phoenix.ResolveAsync(project, batch, cancellationToken);
                for (var i = 0; i < batch.Length; i++)
                {
                    var reason = Contradiction(batch[i], records[i]);
                    if (reason is null)
                    {
                        verified.Add(Verification.ClaimKey(batch[i]));
                    }
                    else
                    {
                        reasons[Verification.ClaimKey(batch[i])] = reason;
                    }
                }
            }
        }

        return new(verified, [.. claims.Where(claim => !verified.Contains(Verification.ClaimKey(claim)))
            .Select(claim => (claim, reasons.GetValueOrDefault(Verification.ClaimKey(claim), "no project to look in")))]);
    }

    /// <summary>Why the record does not prove the claim; null when it does.</summary>
    public static string? Contradiction(EvidenceRef claim, JsonElement? record)
    {
        if (record is not { ValueKind: JsonValueKind.Object } found)
        {
            return "no such record";
        }

        // A record may come bare or wrapped in its kind, as the export has it.
        var body = found.TryGetProperty(claim.Kind, out var inner) && inner.ValueKind == JsonValueKind.Object ? inner : found;
        return claim.Kind switch
        {
            "span" => SpanContradiction(claim, body),
            "log" => QuoteContradiction(claim, body),
            "metric" => MetricContradiction(claim, body),
            _ => $"unknown kind '{claim.Kind}'",
        };
    }

    private static string? SpanContradiction(EvidenceRef claim, JsonElement span)
    {
        if (Text(span, "span_id") != claim.SpanId || Text(span, "trace_id") != claim.TraceId)
        {
            return "another span";
        }

        if (claim.Value is { } milliseconds)
        {
            var actual = (Nanos(span, "end_ns") - Nanos(span, "start_ns")) / 1e6;
            if (!Close(milliseconds, actual))
            {
                return FormattableString.Invariant($"its duration is {actual:0.###} ms, not {milliseconds:0.###} ms");
            }
        }

        return QuoteContradiction(claim, span);
    }

    private static string? MetricContradiction(EvidenceRef claim, JsonElement point)
    {
        if (claim.Value is not { } value)
        {
            return null;
        }

        if (!point.TryGetProperty("value", out var stored) || stored.ValueKind != JsonValueKind.Number)
        {
            return "the point has no number";
        }

        return Close(value, stored.GetDouble()) ? null : FormattableString.Invariant($"its value is {stored.GetDouble()}, not {value}");
    }

    private static string? QuoteContradiction(EvidenceRef claim, JsonElement record) =>
        string.IsNullOrEmpty(claim.Quote) || Texts(record).Any(text => text.Contains(claim.Quote, StringComparison.Ordinal))
            ? null
            : $"the record does not contain '{(claim.Quote.Length <= 80 ? claim.Quote : claim.Quote[..80] + "…")}'";

    private static bool Close(double claimed, double actual) =>
        Math.Abs(claimed - actual) <= Math.Max(AbsoluteTolerance, RelativeTolerance * Math.Abs(actual));

    private static string? Text(JsonElement record, string name) =>
        record.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString() : null;

    private static long Nanos(JsonElement record, string name) =>
        record.TryGetProperty(name, out var value) && value.TryGetInt64(out var nanos) ? nanos : 0;

    private static IEnumerable<string> Texts(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.String => [element.GetString()!],
        JsonValueKind.Number or JsonValueKind.True or JsonValueKind.False => [element.GetRawText()],
        JsonValueKind.Object => element.EnumerateObject().SelectMany(property => Texts(property.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(Texts),
        _ => [],
    };
}
