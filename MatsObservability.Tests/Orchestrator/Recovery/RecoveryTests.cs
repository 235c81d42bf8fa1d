using MatsObservability.Benchmarks.Recover;

namespace MatsObservability.Tests.Orchestrator.Recovery;

/// <summary>The system as processes, shared by a class.</summary>
public sealed class RecoveryFixture : IAsyncLifetime
{
    internal RecoverySystem System { get; private set; } = null!;

    public async Task InitializeAsync() => System = await RecoverySystem.StartAsync(TimeSpan.FromSeconds(120), CancellationToken.None);

    public async Task DisposeAsync() => await System.DisposeAsync();
}

/// <summary>Investigations in real processes that are killed, stopped, or left without Phoenix.Service.</summary>
[Trait("Req", "M02")]
public sealed class RecoveryTests(RecoveryFixture fixture) : IClassFixture<RecoveryFixture>
{
    [Theory]
    [InlineData(nameof(Moment.BeforeTheFirstAgent))]
    [InlineData(nameof(Moment.BetweenTwoAgents))]
    [InlineData(nameof(Moment.InTheVerifier))]
    [InlineData(nameof(Moment.AtTheEnd))]
    public async Task Kill_AtAnyMoment_TheRestartedProcessEndsTheJobOnce(string moment)
    {
        var outcome = await RecoveryTrial.RunAsync(fixture.System, Named(moment), Takeover.Restart, second: null, CancellationToken.None);

        Assert.Empty(outcome.Faults);
        Assert.True(outcome.Reconnects > 0);
    }

    [Fact]
    public async Task Kill_WhileASecondReplicaRuns_ItTakesTheJobUpAndEndsItOnce()
    {
        var second = await fixture.System.System.AddOrchestratorAsync(CancellationToken.None);
        await second.StopAsync();

        var outcome = await RecoveryTrial.RunAsync(fixture.System, Moment.RcaStored, Takeover.Replica, second, CancellationToken.None);

        Assert.Empty(outcome.Faults);
    }

    [Theory, Trait("Req", "M13")]
    [InlineData(nameof(Moment.InTheVerifier))]
    [InlineData(nameof(Moment.AtTheEnd))]
    public async Task Stop_AtAnyMoment_LosesNoSpanAndTheJobGoesOn(string moment)
    {
        var outcome = await RecoveryTrial.RunAsync(fixture.System, Named(moment), Takeover.Stop, second: null, CancellationToken.None);

        Assert.Empty(outcome.Faults);
    }

    [Fact, Trait("Req", "M13")]
    public async Task Running_ItsSpansAreStoredWhileItRuns()
    {
        var system = fixture.System;
        await system.Gate.CloseAsync(Moment.InTheVerifier.Event, CancellationToken.None);
        var job = await system.AskAsync($"live-{Guid.NewGuid():N}", CancellationToken.None);
        await system.Gate.ReachedAsync(CancellationToken.None);

        var early = await system.SpansAsync(
            await system.TraceAsync(job, CancellationToken.None),
            spans => spans.Exists(span => span["name"]!.ToString() == "delegate_sre"), TimeSpan.FromSeconds(60), CancellationToken.None);

        Assert.Superset(
            new HashSet<string> { "planning", "gate_planning", "read_telemetry", "sre_log_analysis" },
            early.Select(span => span["name"]!.ToString()).ToHashSet());
        Assert.DoesNotContain(early, span => span["name"]!.ToString() == "investigation_run");
        await system.Gate.OpenAsync(CancellationToken.None);
        await system.EndAsync([system.Orchestrator], job, CancellationToken.None);
    }

    [Fact]
    public async Task PhoenixKilled_ForAMoment_TheDiagnosisIsTheSame()
    {
        var outcome = await OutageTrial.RunAsync(fixture.System, Moment.InTheFirstAgent, TimeSpan.FromSeconds(1), CancellationToken.None);

        var result = outcome.Job["result"]!.AsObject();
        Assert.Equal("COMPLETED", outcome.Job["status"]!.ToString());
        Assert.Equal(RecoveryTrial.Causes(fixture.System.Undisturbed), RecoveryTrial.Causes(result));
        Assert.DoesNotContain("Not seen", result["limitations"]!.ToString());
    }

    private static Moment Named(string name) => (Moment)typeof(Moment).GetField(name)!.GetValue(null)!;
}

/// <summary>An orchestrator with little patience, and a Phoenix.Service that does not come back.</summary>
[Trait("Req", "M05")]
public sealed class LastingOutageTests
{
    [Fact]
    public async Task PhoenixKilled_ForGood_TheJobEndsAndSaysWhatItCouldNotSee()
    {
        await using var system = await RecoverySystem.StartAsync(TimeSpan.FromSeconds(2), CancellationToken.None);

        var outcome = await OutageTrial.RunAsync(system, Moment.InTheFirstAgent, length: null, CancellationToken.None);

        var result = outcome.Job["result"]!.AsObject();
        Assert.Equal("PARTIAL", outcome.Job["status"]!.ToString());
        Assert.Contains("Traces, logs and metrics of the window were not seen", result["limitations"]!.ToString());
        Assert.Contains("E006", result["limitations"]!.ToString());
        Assert.Empty(result["root_causes"]!.AsArray());
        Assert.NotEmpty(outcome.Spans);
    }
}
