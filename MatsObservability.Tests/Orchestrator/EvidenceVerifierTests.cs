using System.Text.Json;
using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Rca;

namespace MatsObservability.Tests.Orchestrator;

[Trait("Req", "M10")]
public sealed class EvidenceVerifierTests
{
    private const string Span =
        """{"span":{"trace_id":"t1","span_id":"s1","name":"POST /orders","start_ns":1000000000,"end_ns":1050000000,"status_message":"name resolution failed","attributes":{"db":"pg"}}}""";

    [Theory]
    [InlineData(50.0, null, true)]
    [InlineData(50.2, null, true)]
    [InlineData(51.0, null, false)]
    [InlineData(null, "name resolution", true)]
    [InlineData(null, "POST /orders", true)]
    [InlineData(null, "disk full", false)]
    public void Contradiction_SpanClaim_HoldsOnlyWhenTheRecordSaysSo(double? value, string? quote, bool holds) =>
        Assert.Equal(holds, EvidenceVerifier.Contradiction(Claim("span", value, quote), JsonElement.Parse(Span)) is null);

    [Fact]
    public void Contradiction_NoRecordOrAnotherSpan_DoesNotHold()
    {
        Assert.NotNull(EvidenceVerifier.Contradiction(Claim("span", null, null), null));
        Assert.NotNull(EvidenceVerifier.Contradiction(Claim("span", null, null) with { SpanId = "s2" }, JsonElement.Parse(Span)));
    }

    [Theory]
    [InlineData(0.93, true)]
    [InlineData(0.5, false)]
    public void Contradiction_MetricClaim_ComparesTheValue(double value, bool holds)
    {
        var record = JsonElement.Parse("""{"series":{"series_id":"7","name":"cpu"},"time_ns":5,"value":0.93}""");

        Assert.Equal(holds, EvidenceVerifier.Contradiction(Claim("metric", value, null), record) is null);
    }

    [Fact]
    public void Contradiction_LogQuote_MustStandInTheBody()
    {
        var record = JsonElement.Parse("""{"log":{"record_id":9,"body":"could not connect to invalid_host:5432"}}""");

        Assert.Null(EvidenceVerifier.Contradiction(Claim("log", null, "invalid_host"), record));
        Assert.NotNull(EvidenceVerifier.Contradiction(Claim("log", null, "valid_host:1"), record));
    }

    private static EvidenceRef Claim(string kind, double? value, string? quote) =>
        new(kind, "c", "orders", "t1", "s1", 9, "7", 5, null, null, value, quote);
}
