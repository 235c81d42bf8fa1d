using Orchestrator.Agent.Agents;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;
using Orchestrator.Agent.Planning;
using Orchestrator.Agent.Rca;

namespace MatsObservability.Tests.Orchestrator;

[Trait("Req", "M04")]
public sealed class QualityGatesTests
{
    [Fact]
    public void Planning_NoPlanOrNoSteps_Fails()
    {
        Assert.Equal(GateDecision.Fail, QualityGates.Planning(null).Decision);
        Assert.Equal(GateDecision.Fail, QualityGates.Planning(new Plan("p", "compute", "", [])).Decision);
    }

    [Theory]
    [InlineData("sre", false)]
    [InlineData("architect", true)]
    public void Planning_FirstLead_WarnsUnlessSre(string lead, bool warns)
    {
        var gate = QualityGates.Planning(new Plan("p", "compute", "", [new(1, lead, "t", "l", "o")]));

        Assert.Equal(GateDecision.Pass, gate.Decision);
        Assert.Equal(warns, gate.Warning is not null);
    }

    [Theory]
    [InlineData("SUCCESS", 0.3, "boom", null, false, GateDecision.Pass)]
    [InlineData("SUCCESS", 0.29, "boom", null, false, GateDecision.Retry)]
    [InlineData("SUCCESS", null, "boom", null, false, GateDecision.Retry)]
    [InlineData("SUCCESS", 0.9, null, "at X", false, GateDecision.Pass)]
    [InlineData("SUCCESS", 0.9, null, null, false, GateDecision.Retry)]
    [InlineData("SUCCESS", 0.9, null, null, true, GateDecision.Fail)]
    [InlineData("SUCCESS", 0.9, "boom", null, true, GateDecision.Pass)]
    [InlineData("FAILURE", 0.9, "boom", null, false, GateDecision.Fail)]
    [InlineData("NONSENSE", 0.9, "boom", null, false, GateDecision.Fail)]
    [InlineData("SUCCESS", 1.1, "boom", null, false, GateDecision.Fail)]
    public void Triage_Thresholds(string status, double? confidence, string? signature, string? stack, bool blocked, object decision)
    {
        var report = Sre(status, confidence, signature, stack, blocked ? ["permission denied"] : []);

        Assert.Equal((GateDecision)decision, QualityGates.Triage(report).Decision);
    }

    [Theory]
    [InlineData("ROOT_CAUSE_FOUND", 0.9, false, GateDecision.Pass, false)]
    [InlineData("HYPOTHESIS", 0.3, false, GateDecision.Pass, true)]
    [InlineData("HYPOTHESIS", 0.29, false, GateDecision.Fail, false)]
    [InlineData("INSUFFICIENT_DATA", 0.9, true, GateDecision.Fail, false)]
    [InlineData("INSUFFICIENT_DATA", 0.9, false, GateDecision.Retry, false)]
    [InlineData("SKIPPED", null, false, GateDecision.Pass, false)]
    [InlineData("MAYBE", 0.9, false, GateDecision.Fail, false)]
    public void Analysis_Thresholds(string status, double? confidence, bool blocked, object decision, bool warns)
    {
        var root = status == "ROOT_CAUSE_FOUND" ? new CodeRootCause("a.cs", 1, "f", "logic_error", "e", null) : null;
        var gate = QualityGates.Analysis(new(status, confidence, root, [], null, null, blocked ? ["no repository"] : [], []));

        Assert.Equal((GateDecision)decision, gate.Decision);
        Assert.Equal(warns, gate.Warning is not null);
    }

    [Fact]
    public void Synthesis_UnresolvedClaim_DoesNotPass()
    {
        var report = new ArchitectReport("SUCCESS", 0.9, Document(), "Summary, Root Cause", "P2", [], []);

        Assert.Equal(GateDecision.Pass, QualityGates.Synthesis(report, 0).Decision);
        Assert.Equal(GateDecision.Retry, QualityGates.Synthesis(report, 1).Decision);
    }

    [Fact]
    public void Synthesis_MissingContentFailureOrBadSeverity_DoesNotPass()
    {
        Assert.Equal(GateDecision.Retry, QualityGates.Synthesis(new("SUCCESS", 0.9, null, "", "P2", [], []), 0).Decision);
        Assert.Equal(GateDecision.Fail, QualityGates.Synthesis(new("FAILURE", 0.9, Document(), "", "P2", [], []), 0).Decision);
        Assert.Equal(GateDecision.Fail, QualityGates.Synthesis(new("SUCCESS", 0.9, Document(), "", "P9", [], []), 0).Decision);
        Assert.NotNull(QualityGates.Synthesis(new("SUCCESS", 0.9, Document(), "text", "P2", [], []), 0).Warning);
    }

    internal static SreReport Sre(string status, double? confidence, string? signature, string? stack, string[]? blockers = null,
        RankedCause[]? hypotheses = null) => new(
        status, confidence, new(null, signature, stack, null, [], [], [], null), false, null, null,
        blockers ?? [], [], [], hypotheses ?? []);

    internal static RcaDocument Document(params RankedCause[] causes) => new(
        new("t", "d"), new("INC-1", "shop", "User request", "v", "Pending Human Review", "P2"), new("summary"),
        new(["orders"], 0, 0, [], 0), new([]),
        new("a", "b", "c", "d", "e"), new([], [], null, []), new([], new([], [], [])), new(90, []), new(null, null, null, null, null))
    {
        RootCauses = causes,
    };

    internal static RankedCause Cause(string service, params EvidenceRef[] evidence) => new(
        service, "exception", new FaultLocation("code", "X#1"), 0.9, evidence);
}
