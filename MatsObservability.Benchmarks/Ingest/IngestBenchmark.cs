using System.CommandLine;
using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>
/// <c>ingest</c>: durable spans a second over gRPC and HTTP beside raw COPY of the same rows in the same run, the acknowledgement's latency
/// at a given rate, beside that of raw commits, and at the peak, and what it costs. With <c>--stored</c> it goes on at full load until that
/// many spans are stored, watching the server's memory, and measures the rate once more. With <c>--writers 1,2,4</c> only the rate over
/// gRPC is measured, once for each of these numbers of writers, on a fresh server each time; with <c>--batches 512,2048/5s</c> likewise for
/// each largest transaction, in records, and linger, and then the acknowledgement's latency at the given rate. With <c>--minutes</c> there
/// is only full load over gRPC for that long, and what the server's memory does meanwhile; with <c>--paced</c> only the latencies at the
/// given rate. With <c>--fresh</c> the free memory is left as it is.
/// </summary>
internal static class IngestBenchmark
{
    // Below this the JIT is still compiling the hot path.
    private static readonly TimeSpan s_warmUp = TimeSpan.FromSeconds(8);

    /// <summary>Spans of a request, and rows of a commit, at the given rate.</summary>
    private const int PacedSpans = 500;

    /// <summary>Spans that a long run may leave on the disk.</summary>
    private const long MostKeptSpans = 15_000_000;

    /// <summary>The command.</summary>
    public static Command Create()
    {
        var command = new Command("ingest", "durable spans a second against raw COPY");
        var read = IngestSettings.AddTo(command);
        var json = Arguments.Json();
        command.Add(json);
        command.SetAction(async (given, cancellationToken) =>
        {
            await Figures.ReportAsync(given.GetValue(json), await MeasureAsync(read(given), cancellationToken), cancellationToken);
            return 0;
        });
        return command;
    }

    private static Task<Dictionary<string, double>> MeasureAsync(IngestSettings settings, CancellationToken cancellationToken) =>
        settings switch
        {
            { Writers.Count: > 0 } => CompareAsync(settings.Writers, settings, rate: null, cancellationToken),
            { Batches.Count: > 0 } => CompareAsync(settings.Batches, settings, settings.Rate, cancellationToken),
            { Watch.Ticks: > 0 } => WatchMemoryAsync(settings, cancellationToken),
            { IsPaced: true } => PaceOnlyAsync(settings, cancellationToken),
            _ => CompareWithRawAsync(settings, cancellationToken),
        };

    private static async Task<Dictionary<string, double>> CompareWithRawAsync(IngestSettings settings, CancellationToken cancellationToken)
    {
        var duration = settings.Duration;
        await using var system = await StartAsync(settings, [], cancellationToken);
        var grpc = FullLoad(system, settings);
        var http = new LoadRun(system.Phoenix.OtlpHttpUrl, grpc: false, settings.Connections, settings.SpansPerRequest);
        var raw = new RawCopy(system.ConnectionString, rowsPerBatch: 8000);

        var freshPage = FreshPages.Microseconds();
        await RunInAsync(system, settings, cancellationToken);
        await raw.PrepareAsync(cancellationToken);
        await raw.RunAsync(2, s_warmUp / 2, null, cancellationToken);
        var rawOne = await raw.RunAsync(1, duration, null, cancellationToken);
        var acknowledged = (await grpc.RunAsync(s_warmUp, null, cancellationToken)).Spans
            + (await http.RunAsync(s_warmUp, null, cancellationToken)).Spans;

        var rounds = new Rounds(system, raw, grpc, http);
        await rounds.RunAsync(duration, cancellationToken);
        var (grpcResult, httpResult) = (rounds.Grpc, rounds.Http);
        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        var (rawPaced, paced, pacedSpans) = await PaceAsync(system, settings, cancellationToken);
        await raw.DropAsync(cancellationToken);

        acknowledged += grpcResult.Load.Spans + httpResult.Load.Spans + pacedSpans;
        var full = await FillAsync(system, grpc, acknowledged, settings, cancellationToken);
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
            ["wire_bytes_per_span"] = (double)grpc.RequestBytes / settings.SpansPerRequest,
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

        return figures;
    }

    private static async Task<Dictionary<string, double>> PaceOnlyAsync(IngestSettings settings, CancellationToken cancellationToken)
    {
        await using var system = await StartAsync(settings, [], cancellationToken);
        await RunInAsync(system, settings, cancellationToken);
        await new RawCopy(system.ConnectionString, PacedSpans).PrepareAsync(cancellationToken);
        await PacedLoad(system, settings).RunAsync(s_warmUp, settings.Rate, cancellationToken);
        var (raw, paced, _) = await PaceAsync(system, settings, cancellationToken);
        var figures = new Dictionary<string, double>(StringComparer.Ordinal) { ["cores"] = Environment.ProcessorCount };
        AddPaced(figures, raw, paced);
        return figures;
    }

    private static Task<(LoadResult Raw, LoadResult Grpc, long Spans)> PaceAsync(
        SystemUnderTest system, IngestSettings settings, CancellationToken cancellationToken) =>
        Rounds.PaceAsync(
            new RawCopy(system.ConnectionString, PacedSpans), PacedLoad(system, settings), settings.Connections, settings.Rate,
            settings.Duration, cancellationToken);

    private static LoadRun PacedLoad(SystemUnderTest system, IngestSettings settings) =>
        new(system.Phoenix.GrpcUrl, grpc: true, settings.Connections, PacedSpans);

    private static LoadRun FullLoad(SystemUnderTest system, IngestSettings settings) =>
        new(system.Phoenix.GrpcUrl, grpc: true, settings.Connections, settings.SpansPerRequest);

    private static Task<SystemUnderTest> StartAsync(
        IngestSettings settings, Dictionary<string, string?> phoenix, CancellationToken cancellationToken) =>
        SystemUnderTest.StartAsync(new SystemOptions { Postgres = settings.Postgres, Phoenix = phoenix }, cancellationToken);

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
        IReadOnlyList<IngestVariant> variants, IngestSettings settings, double? rate, CancellationToken cancellationToken)
    {
        var figures = new Dictionary<string, double>(StringComparer.Ordinal) { ["cores"] = Environment.ProcessorCount };
        foreach (var (name, phoenix) in variants)
        {
            await using var system = await StartAsync(settings, phoenix, cancellationToken);
            var load = FullLoad(system, settings);
            await RunInAsync(system, settings, cancellationToken);
            await load.RunAsync(s_warmUp, null, cancellationToken);
            await system.ExecuteAsync("CHECKPOINT", cancellationToken);
            figures[$"{name}_spans_per_s"] = (await load.RunAsync(settings.Duration, null, cancellationToken)).SpansPerSecond;
            if (rate is not null)
            {
                var paced = await load.RunAsync(settings.Duration, rate, cancellationToken);
                (figures[$"{name}_p50_ack_ms"], figures[$"{name}_p99_ack_ms"]) = (paced.P50Milliseconds, paced.P99Milliseconds);
            }
        }

        return figures;
    }

    /// <summary>
    /// Full load for so long, after a first minute in which memory settles. Spans are counted and removed on the way, because no disk would
    /// hold them.
    /// </summary>
    private static async Task<Dictionary<string, double>> WatchMemoryAsync(
        IngestSettings settings, CancellationToken cancellationToken)
    {
        var length = settings.Watch;
        await using var system = await StartAsync(settings, [], cancellationToken);
        var load = FullLoad(system, settings);
        await RunInAsync(system, settings, cancellationToken);
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
    private static async Task RunInAsync(SystemUnderTest system, IngestSettings settings, CancellationToken cancellationToken)
    {
        if (!settings.LeavesMemoryFresh)
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
    /// Full load until as many spans are stored as the settings want, then one measured phase of their duration.
    /// </summary>
    private static async Task<Filling> FillAsync(
        SystemUnderTest system, LoadRun load, long stored, IngestSettings settings, CancellationToken cancellationToken)
    {
        var full = new Filling(0, 0, system.Phoenix.ResidentBytes, 0, TimeSpan.Zero);
        while (stored + full.Spans < settings.Stored)
        {
            var phase = await load.RunAsync(s_warmUp, null, cancellationToken);
            full = full with { Spans = full.Spans + phase.Spans, Elapsed = full.Elapsed + phase.Elapsed };
        }

        if (full.Spans == 0)
        {
            return full;
        }

        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        var measured = await load.RunAsync(settings.Duration, null, cancellationToken);
        return full with
        {
            Spans = full.Spans + measured.Spans,
            SpansPerSecond = measured.SpansPerSecond,
            LastResidentBytes = system.Phoenix.ResidentBytes,
            Elapsed = full.Elapsed + measured.Elapsed,
        };
    }

    /// <summary>
    /// A long stretch of full load: spans acknowledged in it, the rate of its last phase, the server's memory before and after, its length.
    /// </summary>
    private sealed record Filling(long Spans, double SpansPerSecond, long FirstResidentBytes, long LastResidentBytes, TimeSpan Elapsed);
}
