using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using MatsObservability.Benchmarks.Load;
using Phoenix.Service.Ingest.Decode;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Decode;

/// <summary>
/// <c>decode [--seconds 3] [--spans 500] [--json FILE]</c>: protobuf bytes to normalised COPY rows on one thread, no I/O. Rates are per
/// second of processor time of the whole process while it decodes, collector included, so that neither other work on the machine nor the
/// new ids of each request count; the median of five rounds.
/// </summary>
internal static class DecodeBenchmark
{
    private const int Requests = 64;
    private const int Rounds = 5;

    /// <summary>Runs the command.</summary>
    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        var seconds = double.Parse(Argument(args, "--seconds") ?? "3", CultureInfo.InvariantCulture);
        var spans = int.Parse(Argument(args, "--spans") ?? "500", CultureInfo.InvariantCulture);
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
            .Select(_ => Measure(decoder, requests, TimeSpan.FromSeconds(seconds), cancellationToken))
            .OrderBy(round => round.SpansPerSecond)
            .ToArray();
        var median = rounds[Rounds / 2];
        var wireBytes = requests.Sum(request => (double)request.Bytes.Length) / requests.Sum(request => request.SpanCount);

        var table = new Table().AddColumns("figure", "value");
        table.AddRow("spans/s a core (median of five)", median.SpansPerSecond.ToString("N0", CultureInfo.InvariantCulture));
        table.AddRow("lowest and highest round", $"{rounds[0].SpansPerSecond:N0} … {rounds[^1].SpansPerSecond:N0}");
        table.AddRow("bytes allocated a span", median.AllocatedBytes.ToString("N1", CultureInfo.InvariantCulture));
        table.AddRow("wire bytes a span", wireBytes.ToString("N0", CultureInfo.InvariantCulture));
        AnsiConsole.Write(table);
        if (Argument(args, "--json") is { } file)
        {
            var figures = new Dictionary<string, double>(StringComparer.Ordinal)
            {
                ["spans_per_s_per_core"] = median.SpansPerSecond,
                ["allocated_bytes_per_span"] = median.AllocatedBytes,
                ["wire_bytes_per_span"] = wireBytes,
            };
            await File.WriteAllTextAsync(file, JsonSerializer.Serialize(figures), cancellationToken);
        }

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

    private static string? Argument(string[] args, string name)
    {
        var index = Array.IndexOf(args, name);
        return index >= 0 && index + 1 < args.Length ? args[index + 1] : null;
    }
}
