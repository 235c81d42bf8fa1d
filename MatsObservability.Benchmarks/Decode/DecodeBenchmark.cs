using System.CommandLine;
using System.Diagnostics;
using MatsObservability.Benchmarks.Load;
using Phoenix.Service.Ingest.Decode;

namespace MatsObservability.Benchmarks.Decode;

/// <summary>
/// <c>decode</c>: protobuf bytes to normalised COPY rows on one thread, no I/O. Rates are per second of processor time of the whole
/// process while it decodes, collector included, so that neither other work on the machine nor the new ids of each request count; the
/// median of five rounds.
/// </summary>
internal static class DecodeBenchmark
{
    private const int Requests = 64;
    private const int Rounds = 5;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var seconds = Arguments.Number("--seconds", 3.0, "length of a round");
        var spans = Arguments.Number("--spans", 500, "spans of a request");
        var json = Arguments.Json();
        var command = new Command("decode", "protobuf bytes to normalised rows, spans a second on one core") { seconds, spans, json };
        command.SetAction((given, cancellationToken) => RunAsync(
            TimeSpan.FromSeconds(given.GetValue(seconds)), given.GetValue(spans), given.GetValue(json), cancellationToken));
        return command;
    }

    private static async Task<int> RunAsync(TimeSpan length, int spans, FileInfo? json, CancellationToken cancellationToken)
    {
        var load = new SpanLoad(seed: 1);
        var requests = Enumerable.Range(0, Requests).Select(_ => load.Next(spans)).ToArray();
        var decoder = LoadDecoder.Create();

        // The JIT finishes in processor time, not by the clock: other work on the machine must not shorten the warm-up.
        var warm = Environment.CpuUsage.TotalTime + TimeSpan.FromSeconds(10);
        while (Environment.CpuUsage.TotalTime < warm)
        {
            Measure(decoder, requests, TimeSpan.FromSeconds(1), cancellationToken);
        }

        var rounds = Enumerable.Range(0, Rounds)
            .Select(_ => Measure(decoder, requests, length, cancellationToken))
            .OrderBy(round => round.SpansPerSecond)
            .ToArray();
        var median = rounds[Rounds / 2];
        var wireBytes = requests.Sum(request => (double)request.Bytes.Length) / requests.Sum(request => request.SpanCount);

        await Figures.ReportAsync(json, new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["spans_per_s_per_core"] = median.SpansPerSecond,
            ["lowest_spans_per_s_per_core"] = rounds[0].SpansPerSecond,
            ["highest_spans_per_s_per_core"] = rounds[^1].SpansPerSecond,
            ["allocated_bytes_per_span"] = median.AllocatedBytes,
            ["wire_bytes_per_span"] = wireBytes,
        }, cancellationToken);
        return 0;
    }

    private static (double SpansPerSecond, double AllocatedBytes) Measure(
        SpanDecoder decoder, LoadRequest[] requests, TimeSpan duration, CancellationToken cancellationToken)
    {
        ulong serial = 0;
        long decoded = 0;
        var allocated = GC.GetAllocatedBytesForCurrentThread();
        var busy = TimeSpan.Zero;
        var clock = Stopwatch.StartNew();
        while (clock.Elapsed < duration)
        {
            cancellationToken.ThrowIfCancellationRequested();
            foreach (var request in requests)
            {
                request.Stamp(++serial, 1_750_000_000_000_000_000);
                var processor = Environment.CpuUsage.TotalTime;
                using (var batch = decoder.Decode(request.Bytes.Span, projectOverride: null).Batch!)
                {
                    decoded += batch.RecordCount;
                }

                busy += Environment.CpuUsage.TotalTime - processor;
            }
        }

        return (decoded / busy.TotalSeconds, (GC.GetAllocatedBytesForCurrentThread() - allocated) / (double)decoded);
    }
}
