using System.CommandLine;
using System.Diagnostics;
using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Overload;

/// <summary>
/// <c>overload</c>: far more requests than the server can store. Senders repeat what is
/// refused, as OTLP exporters do; everything acknowledged must be stored exactly once, memory must stay bounded, and the server must be
/// itself again soon.
/// </summary>
internal static class OverloadBenchmark
{
    private const int SpansPerRequest = 1000;

    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(8);
    private static readonly TimeSpan s_usual = TimeSpan.FromMilliseconds(250);

    /// <summary>The command; its exit code is 1 when acknowledged and stored spans differ.</summary>
    public static Command Create()
    {
        var seconds = Arguments.Number("--seconds", 60.0, "length of the overload");
        var connections = Arguments.Number("--connections", 160, "connections, each with one request of 1,000 spans under way");
        var json = Arguments.Json();
        var command = new Command("overload", "more load than can be stored, and the recovery from it") { seconds, connections, json };
        command.SetAction((given, cancellationToken) => RunAsync(
            TimeSpan.FromSeconds(given.GetValue(seconds)), given.GetValue(connections), given.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(TimeSpan duration, int connections, FileInfo? json, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions(), cancellationToken);
        var usual = new LoadRun(system.Phoenix.GrpcUrl, grpc: true, 4, SpansPerRequest);

        var warm = await usual.RunAsync(s_warmUp, null, cancellationToken);
        var sustainable = await usual.RunAsync(s_warmUp, null, cancellationToken);
        var overload = await new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, SpansPerRequest).RunAsync(
            duration, null, cancellationToken);
        var (recovery, after) = await RecoverAsync(system, cancellationToken);

        var acknowledged = warm.Spans + sustainable.Spans + overload.Spans + after;
        var stored = await system.ScalarAsync<long>("SELECT count(*) FROM spans", cancellationToken);
        var distinct = await system.ScalarAsync<long>("SELECT count(DISTINCT (trace_id, span_id)) FROM spans", cancellationToken);
        await Figures.ReportAsync(json, new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["sustainable_spans_per_s"] = sustainable.SpansPerSecond,
            ["offered_spans_per_s"] = (overload.Spans + (overload.Refused * SpansPerRequest)) / overload.Elapsed.TotalSeconds,
            ["acked_spans_per_s"] = overload.SpansPerSecond,
            ["refused_requests"] = overload.Refused,
            ["acked"] = acknowledged,
            ["lost"] = acknowledged - distinct,
            ["duplicates"] = stored - distinct,
            ["p99_ack_ms"] = overload.P99Milliseconds,
            ["recovery_ms"] = recovery.TotalMilliseconds,
            ["server_peak_rss_mb"] = system.Phoenix.PeakResidentBytes / 1048576.0,
        }, cancellationToken);
        return acknowledged == stored && stored == distinct ? 0 : 1;
    }

    /// <summary>How long after the load a request is again acknowledged in the usual time; and the spans that asking took.</summary>
    private static async Task<(TimeSpan Recovery, long Spans)> RecoverAsync(SystemUnderTest system, CancellationToken cancellationToken)
    {
        var request = new SpanLoad(7).Next(SpansPerRequest);
        await using var connection = await OtlpConnection.ConnectAsync(system.Phoenix.GrpcUrl, grpc: true, cancellationToken);
        var clock = Stopwatch.StartNew();
        for (var serial = ulong.MaxValue / 2; ; serial++)
        {
            request.Stamp(serial, LoadRun.NowNanos());
            var sent = clock.Elapsed;
            var answer = await connection.ExportAsync(request.Bytes, cancellationToken);
            if (answer == ExportAnswer.Failed)
            {
                throw new InvalidOperationException("The server refused a valid request after the load had ended.");
            }

            if (answer == ExportAnswer.Retry)
            {
                serial--;
            }
            else if (clock.Elapsed - sent < s_usual)
            {
                return (clock.Elapsed, (long)(serial - (ulong.MaxValue / 2) + 1) * SpansPerRequest);
            }
        }
    }
}
