using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Orchestrator.Agent;
using Orchestrator.Agent.Agents.Remediation;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace MatsObservability.Tests.Orchestrator;

[Trait("Req", "M18")]
public sealed class RemediationRulesTests
{
    private static readonly RemediationOptions s_options = new()
    {
        Commands =
        {
            new() { Program = "/usr/bin/setting", Arguments = { "set", "orders|front", "[A-Z_]+=[a-z0-9.:-]+" },
                Rollback = { "unset", "{1}" } },
        },
    };

    [Theory]
    [InlineData("/usr/bin/setting set orders DB=db:5432")]
    [InlineData("setting set front 'DB=db:5432'")]
    public void Permit_ListedCommand_IsAVectorWithItsRollback(string text)
    {
        var command = CommandLine.Permit(text, s_options);

        Assert.NotNull(command);
        Assert.Equal("/usr/bin/setting", command.Vector[0]);
        Assert.Equal(["/usr/bin/setting", "unset", command.Vector[2]], command.Rollback);
        Assert.Equal(64, command.Hash.Length);
    }

    [Theory]
    [InlineData("")]
    [InlineData("rm -rf /")]
    [InlineData("setting set billing DB=db:5432")]
    [InlineData("setting set orders DB=db:5432 extra")]
    [InlineData("setting set orders 'DB=db; rm -rf /'")]
    [InlineData("setting set orders DB=db:5432 && rm x")]
    [InlineData("setting set orders \"DB=$(id)\"")]
    [InlineData("setting set orders 'DB=db:5432\n'")]
    [InlineData("/tmp/setting set orders DB=db:5432")]
    [InlineData("setting set orders 'DB=open")]
    public void Permit_AnythingElse_IsRefused(string text) => Assert.Null(CommandLine.Permit(text, s_options));

    [Theory]
    [InlineData(0.005, "< 0.01", true)]
    [InlineData(0.01, "< 0.01", false)]
    [InlineData(0.01, "<= 0.01", true)]
    [InlineData(5, "> 3", true)]
    [InlineData(3, ">= 3", true)]
    [InlineData(3, "== 3", true)]
    [InlineData(3, "about 3", null)]
    [InlineData(3, "< lots", null)]
    public void Holds_Threshold_IsReallyCompared(double value, string threshold, bool? holds) => Assert.Equal(
        holds, Validation.Holds(value, threshold));

    [Theory]
    [InlineData("checkout", "http.response.status_code", "403", 0.5)]
    [InlineData("checkout", "rpc.grpc.status_code", "14", 0.5)]
    [InlineData("Checkout Service (EU)", "error", "true", 0.5)]
    [InlineData("Checkout Service (EU)", "http.response.status_code", "200", 0)]
    public async Task Evaluate_ErrorRate_CountsWhatTheDiagnosisCallsAFailure(string service, string attribute, string value, double rate)
    {
        using var http = new HttpClient();
        var validation = new Validation(
            (project, _, start, end, _) => Task.FromResult(new TelemetryWindow(
                project, start, end, [Span(service), Span(service, attribute, value), Span("another", "error", "true")], [], [], [])),
            new PhoenixClient(http, Options.Create(new MatsOptions()), TimeProvider.System, NullLogger<PhoenixClient>.Instance));
        var now = TimeProvider.System.GetUtcNow();
        var window = new TimeWindow(now.AddMinutes(-5), now);

        Assert.Equal(rate, await validation.EvaluateAsync("shop", $"error_rate({service})", window, default));
    }

    [Theory]
    [InlineData(0, 100, 20, 100, "error_rate(orders)", "< 0.01")]
    [InlineData(4, 100, 50, 100, "error_rate(orders)", "< 0.06")]
    [InlineData(4, 100, 4, 500, "p95_ms(orders)", "< 152")]
    [InlineData(0, 100, 2, 5000, "p95_ms(orders)", "< 152")]
    public void Recovery_IncidentAtTheCause_IsTheNumberThatRoseMost(
        int usualErrors, double usualMs, int errors, double ms, string query, string threshold)
    {
        var baseline = Hundred("orders", usualErrors, usualMs);
        var incident = Hundred("orders", errors, ms);

        var recovery = RecoveryMeasure.Of(
            "orders", RecoveryMeasure.Risen([.. incident, .. Hundred("front", 90, 9000)], [.. baseline, .. Hundred("front", 0, 100)]));

        Assert.Equal(new(query, threshold), recovery);
        Assert.False(Holds(recovery!, incident));
        Assert.True(Holds(recovery!, baseline));
    }

    [Fact]
    public void Recovery_IncidentOnlyAtCallers_IsTheOneOfTheService_WhereItShowsMost()
    {
        var recovery = RecoveryMeasure.Of("orders", RecoveryMeasure.Risen(
            [.. Hundred("orders", 0, 100), .. Hundred("front", 5, 300), .. Hundred("edge", 2, 110)],
            [.. Hundred("orders", 0, 100), .. Hundred("front", 0, 120), .. Hundred("edge", 0, 110)]));

        Assert.Equal(new("error_rate(front)", "< 0.01"), recovery);
    }

    [Fact]
    public void Recovery_NothingRose_IsNone() => Assert.Null(RecoveryMeasure.Of(
        "orders", RecoveryMeasure.Risen([.. Hundred("orders", 2, 130), .. Hundred("new", 0, 9000)], Hundred("orders", 2, 100))));

    private static bool? Holds(RecoveryMeasure recovery, List<SpanRecord> spans) => Validation.Holds(
        recovery.Query.StartsWith("error_rate", StringComparison.Ordinal) ? Validation.ErrorRate(spans) : Validation.P95Ms(spans),
        recovery.Threshold);

    private static List<SpanRecord> Hundred(string service, int errors, double ms) =>
    [
        .. Enumerable.Range(0, 100).Select(i => Span(service, i < errors ? "error" : null, "true") with { EndNanos = (long)(ms * 1e6) }),
    ];

    private static SpanRecord Span(string service, string? attribute = null, string? value = null) => new(
        "t", "s", null, service, null, "GET /", 2, 0, null, 0, 1_000_000,
        attribute is null ? new Dictionary<string, object>() : new Dictionary<string, object> { [attribute] = value! }, []);

    [Fact]
    public void Parse_Lines_GiveTheSpecification()
    {
        var spec = RemediationText.Parse("TARGET_URL: http://x/\nREMEDIATION_COMMAND: setting set orders A=b\nVALIDATION_THRESHOLD: < 1");

        Assert.Equal("setting set orders A=b", spec?.RemediationCommand);
        Assert.Equal("< 1", spec?.ValidationThreshold);
        Assert.Null(RemediationText.Parse("please apply the fix"));
    }

    [Fact]
    public void Parse_LineTwice_TheFirstCounts() =>
        Assert.Equal("first", RemediationText.Parse("REMEDIATION_COMMAND: first\nREMEDIATION_COMMAND: second")?.RemediationCommand);
}
