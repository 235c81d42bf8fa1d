using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>
/// Raw COPY over two connections, gRPC and HTTP by turns of a few seconds: the machine's speed drifts, tables grow, and the roll-ups of one
/// turn's spans go on into the next, and all of it must touch all three alike.
/// </summary>
internal sealed class Rounds(SystemUnderTest system, RawCopy raw, LoadRun grpc, LoadRun http)
{
    private static readonly TimeSpan s_turn = TimeSpan.FromSeconds(2.5);

    // 0 raw, 1 gRPC, 2 HTTP, after a warm-up that ends with HTTP. Each comes twice after each of the three, itself too, and the positions
    // of each have the same mean and nearly the same spread: what a turn leaves behind and what changes with time weigh alike on all.
    private static readonly int[] s_order = [0, 1, 2, 2, 1, 1, 0, 0, 2, 0, 2, 2, 1, 1, 0, 0, 1, 2];

    private readonly List<LoadResult> _raw = [];
    private readonly List<Turn> _grpc = [];
    private readonly List<Turn> _http = [];

    /// <summary>Rows a second of raw COPY over two connections.</summary>
    public double RawRowsPerSecond => LoadResult.Sum(_raw).SpansPerSecond;

    /// <summary>OTLP over gRPC.</summary>
    public Turn Grpc => Turn.Sum(_grpc);

    /// <summary>OTLP over HTTP.</summary>
    public Turn Http => Turn.Sum(_http);

    /// <summary>Gives each of the three six turns, of <paramref name="duration"/> together.</summary>
    public async Task RunAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        Func<TimeSpan, Task>[] turns =
        [
            async length => _raw.Add(await raw.RunAsync(2, length, null, cancellationToken)),
            async length => _grpc.Add(await LoadAsync(grpc, length, cancellationToken)),
            async length => _http.Add(await LoadAsync(http, length, cancellationToken)),
        ];
        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        foreach (var turn in s_order)
        {
            await turns[turn](duration * turns.Length / s_order.Length);
        }
    }

    /// <summary>
    /// Both at <paramref name="rate"/> spans a second over <paramref name="connections"/> connections, by turns; the first turn of each
    /// does not count, because the disk still has the full load before it to write.
    /// </summary>
    public static async Task<(LoadResult Raw, LoadResult Grpc, long Spans)> PaceAsync(
        RawCopy raw, LoadRun grpc, int connections, double rate, TimeSpan duration, CancellationToken cancellationToken)
    {
        var count = Math.Max(1, (int)Math.Round(duration / s_turn));
        List<LoadResult> copied = [], sent = [];
        for (var turn = 0; turn <= count; turn++)
        {
            copied.Add(await raw.RunAsync(connections, duration / count, rate, cancellationToken));
            sent.Add(await grpc.RunAsync(duration / count, rate, cancellationToken));
        }

        return (LoadResult.Sum(copied[1..]), LoadResult.Sum(sent[1..]), sent.Sum(static turn => turn.Spans));
    }

    private async Task<Turn> LoadAsync(LoadRun load, TimeSpan length, CancellationToken cancellationToken)
    {
        var (server, postgres) = (system.Phoenix.ProcessorTime, system.PostgresProcessorTime());
        var result = await load.RunAsync(length, null, cancellationToken);
        return new Turn(result, system.Phoenix.ProcessorTime - server, system.PostgresProcessorTime() - postgres);
    }
}

/// <summary>Load and the processor time it took.</summary>
internal sealed record Turn(LoadResult Load, TimeSpan Server, TimeSpan Postgres)
{
    /// <summary>Processor time of Phoenix.Service a span.</summary>
    public double ServerMicrosecondsPerSpan => Server.TotalMicroseconds / Load.Spans;

    /// <summary>Processor time of PostgreSQL a span.</summary>
    public double PostgresMicrosecondsPerSpan => Postgres.TotalMicroseconds / Load.Spans;

    /// <summary>Several turns as one.</summary>
    public static Turn Sum(IReadOnlyList<Turn> turns) => new(
        LoadResult.Sum([.. turns.Select(turn => turn.Load)]),
        TimeSpan.FromTicks(turns.Sum(turn => turn.Server.Ticks)),
        TimeSpan.FromTicks(turns.Sum(turn => turn.Postgres.Ticks)));
}
