using Phoenix.Service.Cost;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// What the dialects say about one span; the first source of each fact wins, and what OpenInference keys say wins over all.
/// </summary>
internal sealed class DialectFacts
{
    public short Kind { get; set; }

    public string? SessionId { get; set; }

    /// <summary>The session of a span that names none, but whose user is known by address; counts after everything else.</summary>
    public string? SessionOfUser { get; set; }

    public string? UserId { get; set; }

    public string? RequestModel { get; set; }

    public string? ResponseModel { get; set; }

    public string? Provider { get; set; }

    public TokenCounts Tokens;

    public decimal? ReportedUsd { get; set; }

    /// <summary>The attribute that carried <see cref="ReportedUsd"/>.</summary>
    public string? ReportedBy { get; set; }

    /// <summary>Takes <paramref name="kind"/> when no source named one yet.</summary>
    public void OfferKind(short kind) => Kind = Kind == SpanKinds.Unknown ? kind : Kind;

    /// <summary>Takes the cost of the first source that has one.</summary>
    public void OfferCost(string key, decimal? usd)
    {
        if (ReportedUsd is null && usd is { } sent && SpanFacts.UsdOf(sent) is { } believed)
        {
            (ReportedUsd, ReportedBy) = (believed, key);
        }
    }
}

/// <summary>One span on its way through the dialects.</summary>
internal sealed record DialectSpan(string Name, string Scope, short OtlpKind, AttributeView View,
    DerivedAttributes Derived, DialectFacts Facts);
