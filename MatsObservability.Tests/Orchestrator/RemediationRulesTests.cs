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
}
