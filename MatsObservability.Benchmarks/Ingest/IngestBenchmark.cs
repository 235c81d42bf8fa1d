using System.Globalization;
using System.Text.Json;
using MatsObservability.Benchmarks.Load;
using Spectre.Console;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>
/// <c>ingest [--seconds 20] [--connections 4] [--spans 2000] [--rate 20000] [--stored N] [--minutes N] [--paced] [--fresh] [--postgres NAME=VALUE]… [--writers
/// 1,2,4] [--batches 512,2048,2048/5s] [--json FILE]</c>: durable spans a second over gRPC and HTTP beside raw COPY of the same rows in the
/// same run, the acknowledgement's latency at a given rate, beside that of raw commits, and at the peak, and what it costs. With <c>--stored</c> it goes on at full load
/// until that many spans are stored, watching the server's memory, and measures the rate once more. With <c>--writers 1,2,4</c> only the
/// rate over gRPC is measured, once for each of these numbers of writers, on a fresh server each time; with <c>--batches 512,2048/5s</c>
/// likewise for each largest transaction, in records, and linger, and then the acknowledgement's latency at the given rate. With
/// <c>--minutes</c> there is only full load over gRPC for that long, and what the server's memory does meanwhile; with <c>--paced</c> only
/// the latencies at the given rate. With <c>--fresh</c> the free memory is left as it is.
/// </summary>
internal static class IngestBenchmark
{
    public const string Purpose =
        "durable spans a second against raw COPY: [--seconds 20] [--connections 4] [--spans 2000] [--rate 20000] [--stored N] [--minutes N] [--paced] [--fresh] [--postgres NAME=VALUE]… [--writers 1,2,4] [--batches 512,2048,2048/5s] [--json FILE]";

    // Below this the JIT is still compiling the hot path.
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(8);

    /// <summary>Spans of a request, and rows of a commit, at the given rate.</summary>
    private const int PacedSpans = 500;

    /// <summary>Spans that a long run may leave on the disk.</summary>
    private const long MostKeptSpans = 15_000_000;

    /// <summary>Runs the command.</summary>
    public static async Task<int> RunAsync(string[] args, CancellationToken cancellationToken)
    {
        var duration = TimeSpan.FromSeconds(Number(args, "--seconds", 20));
        var connections = (int)Number(args, "--connections", 4);
        var spansPerRequest = (int)Number(args, "--spans", 2000);
        var rate = Number(args, "--rate", 20_000);
        if (Array.IndexOf(args, "--writers") is var at and >= 0)
        {
            var variants = args[at + 1].Split(',')
                .Select(static writers => ($"writers_{writers}", Phoenix(("PHOENIX_MAX_WORKERS", writers))));
            Report(args, await CompareAsync(variants, args, duration, connections, spansPerRequest, rate: null, cancellationToken));
            return 0;
        }

        if (Array.IndexOf(args, "--batches") is var batches and >= 0)
        {
            Report(args,
                await CompareAsync(args[batches + 1].Split(',').Select(Batch), args, duration, connections,
                    spansPerRequest, rate, cancellationToken));
            return 0;
        }

        if (Number(args, "--minutes", 0) is var minutes and > 0)
        {
            Report(args, await WatchMemoryAsync(TimeSpan.FromMinutes(minutes), args, connections, spansPerRequest, cancellationToken));
            return 0;
        }

        if (Array.IndexOf(args, "--paced") >= 0)
        {
            Report(args, await PaceOnlyAsync(args, connections, rate, duration, cancellationToken));
            return 0;
        }

        return await CompareWithRawAsync(args, duration, connections, spansPerRequest, rate, cancellationToken);
    }

    private static async Task<int> CompareWithRawAsync(
        string[] args, TimeSpan duration, int connections, int spansPerRequest, double rate, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions { Postgres = Settings(args) }, cancellationToken);
        var grpc = new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, spansPerRequest);
        var http = new LoadRun(system.Phoenix.OtlpHttpUrl, grpc: false, connections, spansPerRequest);
        var raw = new RawCopy(system.ConnectionString, rowsPerBatch: 8000);

        var freshPage = FreshPages.Microseconds();
        await RunInAsync(system, args, cancellationToken);
        await raw.PrepareAsync(cancellationToken);
        await raw.RunAsync(2, s_warmUp / 2, null, cancellationToken);
        var rawOne = await raw.RunAsync(1, duration, null, cancellationToken);
        var acknowledged = (await grpc.RunAsync(s_warmUp, null, cancellationToken)).Spans
            + (await http.RunAsync(s_warmUp, null, cancellationToken)).Spans;

        var rounds = new Rounds(system, raw, grpc, http);
        await rounds.RunAsync(duration, cancellationToken);
        var (grpcResult, httpResult) = (rounds.Grpc, rounds.Http);
        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        var (rawPaced, paced, pacedSpans) = await PaceAsync(system, connections, rate, duration, cancellationToken);
        await raw.DropAsync(cancellationToken);

        acknowledged += grpcResult.Load.Spans + httpResult.Load.Spans + pacedSpans;
        var full = await FillAsync(system, grpc, acknowledged, (long)Number(args, "--stored", 0), duration, cancellationToken);
        acknowledged += full.Spans;
        var stored = await system.ScalarAsync<long>("SELECT count(*) FROM spans", cancellationToken);
        Compare(acknowledged, stored);

        var bytes = await system.ScalarAsync<decimal>(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits WHERE inhparent = 'spans'::regclass", cancellationToken);
        var figures = new Dictionary<string, double>(StringComparer.Ordinal)
        {
            ["cores"] = Environment.ProcessorCount,
            ["raw_copy_rows_per_s"] = rawOne.SpansPerSecond,
            ["raw_copy2_rows_per_s"] = rounds.RawRowsPerSecond,
            ["otlp_grpc_spans_per_s"] = grpcResult.Load.SpansPerSecond,
            ["otlp_http_spans_per_s"] = httpResult.Load.SpansPerSecond,
            ["ratio"] = grpcResult.Load.SpansPerSecond / rounds.RawRowsPerSecond,
            ["spans_per_s_per_core"] = grpcResult.Load.SpansPerSecond / Environment.ProcessorCount,
            ["peak_p50_ack_ms"] = grpcResult.Load.P50Milliseconds,
            ["peak_p99_ack_ms"] = grpcResult.Load.P99Milliseconds,
            ["server_cpu_us_per_span"] = grpcResult.ServerMicrosecondsPerSpan,
            ["http_server_cpu_us_per_span"] = httpResult.ServerMicrosecondsPerSpan,
            ["postgres_cpu_us_per_span"] = grpcResult.PostgresMicrosecondsPerSpan,
            ["server_peak_rss_mb"] = Megabytes(system.Phoenix.PeakResidentBytes),
            ["wire_bytes_per_span"] = (double)grpc.RequestBytes / spansPerRequest,
            ["stored_bytes_per_span"] = (double)(bytes / stored),
            ["spans_stored"] = stored,
            ["fresh_page_us"] = freshPage,
            ["refused_requests"] = grpcResult.Load.Refused + httpResult.Load.Refused + paced.Refused,
        };
        AddPaced(figures, rawPaced, paced);
        if (full.Spans > 0)
        {
            figures["stored_grpc_spans_per_s"] = full.SpansPerSecond;
            figures["stored_ratio"] = full.SpansPerSecond / grpcResult.Load.SpansPerSecond;
            figures["server_rss_first_mb"] = Megabytes(full.FirstResidentBytes);
            figures["server_rss_last_mb"] = Megabytes(full.LastResidentBytes);
            figures["full_load_seconds"] = full.Elapsed.TotalSeconds;
        }

        Report(args, figures);
        return 0;
    }

    private static async Task<Dictionary<string, double>> PaceOnlyAsync(
        string[] args, int connections, double rate, TimeSpan duration, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions { Postgres = Settings(args) }, cancellationToken);
        await RunInAsync(system, args, cancellationToken);
        await new RawCopy(system.ConnectionString, PacedSpans).PrepareAsync(cancellationToken);
        await new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, PacedSpans).RunAsync(s_warmUp, rate, cancellationToken);
        var (raw, paced, _) = await PaceAsync(system, connections, rate, duration, cancellationToken);
        var figures = new Dictionary<string, double>(StringComparer.Ordinal) { ["cores"] = Environment.ProcessorCount };
        AddPaced(figures, raw, paced);
        return figures;
    }

    private static Task<(LoadResult Raw, LoadResult Grpc, long Spans)> PaceAsync(
        SystemUnderTest system, int connections, double rate, TimeSpan duration, CancellationToken cancellationToken) =>
        Rounds.PaceAsync(
            new RawCopy(system.ConnectionString, PacedSpans), new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, PacedSpans),
            connections, rate, duration, cancellationToken);

    private static void AddPaced(Dictionary<string, double> figures, LoadResult raw, LoadResult paced)
    {
        figures["raw_p50_commit_ms"] = raw.P50Milliseconds;
        figures["raw_p99_commit_ms"] = raw.P99Milliseconds;
        figures["p50_ack_ms"] = paced.P50Milliseconds;
        figures["p99_ack_ms"] = paced.P99Milliseconds;
        figures["paced_spans_per_s"] = paced.SpansPerSecond;
    }

    /// <summary>
    /// <c>NAME_spans_per_s</c> of each variant at full load, on a server of its own, and with a <paramref name="rate"/>
    /// <c>NAME_p50_ack_ms</c> and <c>NAME_p99_ack_ms</c> at that many spans a second.
    /// </summary>
    private static async Task<Dictionary<string, double>> CompareAsync(
        IEnumerable<(string Name, Dictionary<string, string?> Phoenix)> variants, string[] args, TimeSpan duration, int connections,
        int spansPerRequest, double? rate,
        CancellationToken cancellationToken)
    {
        var figures = new Dictionary<string, double>(StringComparer.Ordinal) { ["cores"] = Environment.ProcessorCount };
        foreach (var (name, phoenix) in variants)
        {
            await using var system = await SystemUnderTest.StartAsync(
                new SystemOptions { Postgres = Settings(args), Phoenix = phoenix }, cancellationToken);
            var load = new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, spansPerRequest);
            await RunInAsync(system, args, cancellationToken);
            await load.RunAsync(s_warmUp, null, cancellationToken);
            await system.ExecuteAsync("CHECKPOINT", cancellationToken);
            figures[$"{name}_spans_per_s"] = (await load.RunAsync(duration, null, cancellationToken)).SpansPerSecond;
            if (rate is not null)
            {
                var paced = await load.RunAsync(duration, rate, cancellationToken);
                (figures[$"{name}_p50_ack_ms"], figures[$"{name}_p99_ack_ms"]) = (paced.P50Milliseconds, paced.P99Milliseconds);
            }
        }

        return figures;
    }

    /// <summary>
    /// A variant of <c>--batches</c>: the most records of a transaction and, behind a slash, how long a writer waits for company.
    /// </summary>
    private static (string Name, Dictionary<string, string?> Phoenix) Batch(string text)
    {
        var (most, linger) = text.Split('/') is [var records, var wait] ? (records, wait) : (text, "0");
        var enough = Math.Min(int.Parse(most, CultureInfo.InvariantCulture), 1024).ToString(CultureInfo.InvariantCulture);
        return ($"batch_{text}",
            Phoenix(("Phoenix__Storage__MaxBatchRecords", most), ("Phoenix__Storage__BatchRecords", enough),
                ("Phoenix__Storage__Linger", linger)));
    }

    private static Dictionary<string, string?> Phoenix(params (string Name, string Value)[] variables) =>
        variables.ToDictionary(static variable => variable.Name, static variable => (string?)variable.Value, StringComparer.Ordinal);

    /// <summary>
    /// Full load for so long, after a first minute in which memory settles. Spans are counted and removed on the way, because no disk would
    /// hold them.
    /// </summary>
    private static async Task<Dictionary<string, double>> WatchMemoryAsync(
        TimeSpan length, string[] args, int connections, int spansPerRequest, CancellationToken cancellationToken)
    {
        await using var system = await SystemUnderTest.StartAsync(new SystemOptions { Postgres = Settings(args) }, cancellationToken);
        var load = new LoadRun(system.Phoenix.GrpcUrl, grpc: true, connections, spansPerRequest);
        await RunInAsync(system, args, cancellationToken);
        var (acknowledged, removed, elapsed) = ((await load.RunAsync(TimeSpan.FromMinutes(1), null, cancellationToken)).Spans, 0L,
            TimeSpan.Zero);
        var (before, memory) = (acknowledged, new List<double> { Megabytes(system.Phoenix.ResidentBytes) });
        while (elapsed < length)
        {
            var phase = await load.RunAsync(TimeSpan.FromSeconds(Math.Min(s_warmUp.TotalSeconds, (length - elapsed).TotalSeconds)), null,
                cancellationToken);
            (acknowledged, elapsed) = (acknowledged + phase.Spans, elapsed + phase.Elapsed);
            memory.Add(Megabytes(system.Phoenix.ResidentBytes));
            if (acknowledged - removed > MostKeptSpans || elapsed >= length)
            {
                removed += await system.ScalarAsync<long>("SELECT count(*) FROM spans", cancellationToken);
                await system.ExecuteAsync("TRUNCATE spans, traces, sessions", cancellationToken);
            }
        }

        Compare(acknowledged, removed);
        return new(StringComparer.Ordinal)
        {
            ["cores"] = Environment.ProcessorCount,
            ["full_load_seconds"] = elapsed.TotalSeconds,
            ["otlp_grpc_spans_per_s"] = (acknowledged - before) / elapsed.TotalSeconds,
            ["spans_stored"] = acknowledged,
            ["server_rss_first_mb"] = memory[0],
            ["server_rss_lowest_mb"] = memory.Min(),
            ["server_rss_highest_mb"] = memory.Max(),
            ["server_rss_last_mb"] = memory[^1],
            ["server_peak_rss_mb"] = Megabytes(system.Phoenix.PeakResidentBytes),
        };
    }

    private static void Compare(long acknowledged, long stored)
    {
        if (stored != acknowledged)
        {
            throw new InvalidOperationException($"{acknowledged} spans were acknowledged, {stored} are stored.");
        }
    }

    private static double Megabytes(long bytes) => bytes / 1048576.0;

    /// <summary>
    /// Makes the machine and the server ones that have run for a while: no memory is fresh, and PostgreSQL has made every file of its
    /// write-ahead log, and writes into files that are there. Making them costs a third of the rate.
    /// </summary>
    private static async Task RunInAsync(SystemUnderTest system, string[] args, CancellationToken cancellationToken)
    {
        if (Array.IndexOf(args, "--fresh") < 0)
        {
            await FreshPages.UseUpAsync(system.Folder, cancellationToken);
        }

        await system.ExecuteAsync("""
            SELECT pg_logical_emit_message(false, 'fill', repeat(' ', 64 * 1024 * 1024))
            FROM generate_series(1, (SELECT setting::int / 64 FROM pg_settings WHERE name = 'max_wal_size'))
            """, cancellationToken);
        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
    }

    /// <summary>
    /// Full load until <paramref name="wanted"/> spans are stored, then one measured phase of <paramref name="duration"/>.
    /// </summary>
    private static async Task<FullLoad> FillAsync(
        SystemUnderTest system, LoadRun load, long stored, long wanted, TimeSpan duration, CancellationToken cancellationToken)
    {
        var full = new FullLoad(0, 0, system.Phoenix.ResidentBytes, 0, TimeSpan.Zero);
        while (stored + full.Spans < wanted)
        {
            var phase = await load.RunAsync(s_warmUp, null, cancellationToken);
            full = full with { Spans = full.Spans + phase.Spans, Elapsed = full.Elapsed + phase.Elapsed };
        }

        if (full.Spans == 0)
        {
            return full;
        }

        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        var measured = await load.RunAsync(duration, null, cancellationToken);
        return full with
        {
            Spans = full.Spans + measured.Spans, SpansPerSecond = measured.SpansPerSecond, LastResidentBytes = system.Phoenix.ResidentBytes,
            Elapsed = full.Elapsed + measured.Elapsed,
        };
    }

    /// <summary>Prints the figures as a table, and writes them to the file that <c>--json</c> names.</summary>
    internal static void Report(string[] args, Dictionary<string, double> figures)
    {
        var table = new Table().AddColumns("figure", "value");
        foreach (var (name, value) in figures)
        {
            table.AddRow(name, value.ToString(value < 1000 ? "0.##" : "N0", CultureInfo.InvariantCulture));
        }

        AnsiConsole.Write(table);
        if (Array.IndexOf(args, "--json") is var at and >= 0)
        {
            File.WriteAllText(args[at + 1], JsonSerializer.Serialize(figures));
        }
    }

    /// <summary>The number behind option <paramref name="name"/>.</summary>
    internal static double Number(string[] args, string name, double otherwise) =>
        Array.IndexOf(args, name) is var at and >= 0 ? double.Parse(args[at + 1], CultureInfo.InvariantCulture) : otherwise;

    /// <summary>PostgreSQL settings of every <c>--postgres name=value</c>, to try what one is worth.</summary>
    private static Dictionary<string, string> Settings(string[] args) => args.Zip(args.Skip(1)).Where(pair => pair.First == "--postgres")
        .Select(pair => pair.Second.Split('=', 2)).ToDictionary(setting => setting[0], setting => setting[1], StringComparer.Ordinal);

    /// <summary>
    /// A long stretch of full load: spans acknowledged in it, the rate of its last phase, the server's memory before and after, its length.
    /// </summary>
    private sealed record FullLoad(long Spans, double SpansPerSecond, long FirstResidentBytes, long LastResidentBytes, TimeSpan Elapsed);
}
