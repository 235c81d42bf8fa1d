using MatsObservability.Tests.Support;
using Phoenix.Service.Retention;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Tests.Phoenix.Retention;

[Trait("Req", "B073")]
public sealed class TailSamplerTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const long Second = 1_000_000_000;

    [Theory]
    [InlineData(1, 0, 1, true)]
    [InlineData(0, 10_000_000_001, 1, true)]
    [InlineData(0, 10_000_000_000, 1, false)]
    [InlineData(0, 0, 6, true)]
    [InlineData(0, 0, 5, false)]
    public void Keeps_RatioZero_OnlyErrorsCostAndLatency(long errors, long costPicoUsd, long seconds, bool kept)
    {
        var trace = new QuietTrace(1, Guid.NewGuid(), 0, seconds * Second, errors, costPicoUsd);

        Assert.Equal(kept, TailSampler.Keeps(trace, new TailSamplingOptions { Ratio = 0 }));
    }

    [Fact]
    public void Keeps_UnremarkableTraces_AShareOfTheRatio()
    {
        var random = new Random(1);
        var options = new TailSamplingOptions { Ratio = 0.25 };
        var id = new byte[16];
        var kept = 0;
        for (var index = 0; index < 20_000; index++)
        {
            random.NextBytes(id);
            kept += TailSampler.Keeps(new QuietTrace(1, new Guid(id, bigEndian: true), 0, Second, 0, 0), options) ? 1 : 0;
        }

        Assert.InRange(kept / 20_000d, 0.24, 0.26);
    }

    [Fact]
    public void Check_OutOfRange_NamesEveryKey()
    {
        var faults = TailSamplingOptions.Check(new TailSamplingOptions { Ratio = 2, DecisionWindow = TimeSpan.Zero, StepTraces = 0 })
            .ToList();

        Assert.Equal(3, faults.Count);
        Assert.Contains(faults, fault => fault.Contains("Phoenix:TailSampling:Ratio", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Sampler_QuietTraces_KeepsErrorsAndSlowOnesAndPrunesTheRest()
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("Phoenix:TailSampling:Enabled", "true"), ("Phoenix:TailSampling:Ratio", "0"),
            ("Phoenix:TailSampling:DecisionWindow", "1s"));
        await Eventually.TrueAsync(async () => await server.ScalarAsync<bool>("SELECT position IS NOT NULL FROM tail_sampling"));
        var past = Otlp.NowNanos - (60 * (ulong)Second);
        var plain = Guid.NewGuid();
        var failed = Guid.NewGuid();
        var slow = Guid.NewGuid();
        var failing = Otlp.Spans(failed, 2, startNanos: past);
        failing.ResourceSpans[0].ScopeSpans[0].Spans[1].Status =
            new OpenTelemetry.Proto.Trace.V1.Status { Code = OpenTelemetry.Proto.Trace.V1.Status.Types.StatusCode.Error };
        var slower = Otlp.Spans(slow, 2, startNanos: past);
        slower.ResourceSpans[0].ScopeSpans[0].Spans[0].EndTimeUnixNano = past + (6 * (ulong)Second);

        foreach (var request in new[] { Otlp.Spans(plain, 3, startNanos: past), failing, slower })
        {
            using var answer = await server.Client.PostAsync(request);
            answer.EnsureSuccessStatusCode();
        }

        await Eventually.TrueAsync(async () =>
            await server.ScalarAsync<long>($"SELECT count(*) FROM traces WHERE trace_id IN ('{failed}', '{slow}')") == 2
            && await server.ScalarAsync<long>("SELECT count(*) FROM tail_undecided") == 0
            && await server.ScalarAsync<long>($"SELECT count(*) FROM traces WHERE trace_id = '{plain}'") == 0
            && await server.ScalarAsync<long>($"SELECT count(*) FROM spans WHERE trace_id = '{plain}'") == 0);
        Assert.Equal(4, await server.ScalarAsync<long>($"SELECT count(*) FROM spans WHERE trace_id IN ('{failed}', '{slow}')"));
        Assert.Equal(7, await server.ScalarAsync<long>("SELECT sum(span_count)::bigint FROM span_minutes"));
    }
}
