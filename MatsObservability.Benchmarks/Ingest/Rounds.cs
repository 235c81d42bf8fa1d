using MatsObservability.Benchmarks.Load;

namespace MatsObservability.Benchmarks.Ingest;

/// <summary>
/// Raw COPY over two connections, gRPC and HTTP by turns of a few seconds, every other round backwards: the machine's speed drifts and
/// tables grow, and both must touch all three alike.
/// </summary>
internal sealed class Rounds(SystemUnderTest system, RawCopy raw, LoadRun grpc, LoadRun http)
{
    private static readonly TimeSpan s_turn = TimeSpan.FromSeconds(2.5);

    private readonly List<double> _raw = [];
    private readonly List<Turn> _grpc = [];
    private readonly List<Turn> _http = [];

    /// <summary>Rows a second of raw COPY over two connections.</summary>
    public double RawRowsPerSecond => _raw.Average();

    /// <summary>OTLP over gRPC.</summary>
    public Turn Grpc => Turn.Sum(_grpc);

    /// <summary>OTLP over HTTP.</summary>
    public Turn Http => Turn.Sum(_http);

    /// <summary>Gives each of the three turns of <paramref name="duration"/> together, at least one.</summary>
    public async Task RunAsync(TimeSpan duration, CancellationToken cancellationToken)
    {
        var count = Math.Max(1, (int)Math.Round(duration / s_turn));
        Func<TimeSpan, Task>[] turns =
        [
            async length => _raw.Add(await raw.RunAsync(2, length, cancellationToken)),
            async length => _grpc.Add(await LoadAsync(grpc, length, cancellationToken)),
            async length => _http.Add(await LoadAsync(http, length, cancellationToken)),
        ];
        await system.ExecuteAsync("CHECKPOINT", cancellationToken);
        for (var round = 0; round < count; round++)
        {
            foreach (var turn in round % 2 == 0 ? turns : turns.Reverse())
            {
                await turn(duration / count);
            }
        }
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
