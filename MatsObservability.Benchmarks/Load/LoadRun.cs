using System.Diagnostics;

namespace MatsObservability.Benchmarks.Load;

/// <summary>
/// What load showed. <paramref name="Milliseconds"/> holds the time of each request, from the moment it was due to its acknowledgement,
/// ascending.
/// </summary>
internal sealed record LoadResult(long Spans, TimeSpan Elapsed, IReadOnlyList<double> Milliseconds, long Refused)
{
    /// <summary>Acknowledged spans a second.</summary>
    public double SpansPerSecond => Spans / Elapsed.TotalSeconds;

    /// <summary>Median time to the acknowledgement.</summary>
    public double P50Milliseconds => At(.5);

    /// <summary>Time within which 99 of 100 requests are acknowledged.</summary>
    public double P99Milliseconds => At(.99);

    /// <summary>Requests of <paramref name="spans"/> spans with the times of each connection.</summary>
    public static LoadResult Of(IEnumerable<List<double>> times, int spans, TimeSpan elapsed, long refused)
    {
        var sorted = times.SelectMany(static one => one).Order().ToList();
        return new LoadResult((long)sorted.Count * spans, elapsed, sorted, refused);
    }

    /// <summary>Several phases as one.</summary>
    public static LoadResult Sum(IReadOnlyList<LoadResult> phases) => new(
        phases.Sum(phase => phase.Spans),
        TimeSpan.FromTicks(phases.Sum(phase => phase.Elapsed.Ticks)),
        [.. phases.SelectMany(phase => phase.Milliseconds).Order()],
        phases.Sum(phase => phase.Refused));

    private double At(double quantile) => Milliseconds.Count == 0
        ? double.NaN
        : Milliseconds[(int)Math.Min(Milliseconds.Count - 1, Milliseconds.Count * quantile)];
}

/// <summary>
/// When connection <paramref name="index"/> of <paramref name="connections"/> sends its next request of <paramref name="spans"/> spans: at
/// once, or at its share of <paramref name="spansPerSecond"/>, evenly spread, whether the one before has been answered or not.
/// </summary>
internal sealed class Pace(Stopwatch clock, int index, int connections, int spans, double? spansPerSecond)
{
    private readonly TimeSpan _interval = spansPerSecond is { } rate ? TimeSpan.FromSeconds(connections * spans / rate) : TimeSpan.Zero;
    private long _sent;

    /// <summary>Time since the start.</summary>
    public TimeSpan Elapsed => clock.Elapsed;

    /// <summary>Waits until the next request is due, and returns when that was: the moment its time counts from.</summary>
    public async Task<TimeSpan> NextAsync(CancellationToken cancellationToken)
    {
        if (_interval == TimeSpan.Zero)
        {
            return clock.Elapsed;
        }

        var due = (_interval * index / connections) + (_interval * _sent++);
        if (due - clock.Elapsed is { Ticks: > 0 } wait)
        {
            await Task.Delay(wait, cancellationToken);
        }

        return due;
    }
}

/// <summary>
/// Sends export requests on several connections and measures; every span sent is new, because each request is stamped with its own serial.
/// </summary>
internal sealed class LoadRun(string url, bool grpc, int connections, int spansPerRequest)
{
    private static long s_serial;
    private readonly List<LoadRequest> _requests = [.. Enumerable.Range(0, connections)
        .Select(index => new SpanLoad(index + 1).Next(spansPerRequest))];

    /// <summary>Bytes of one request.</summary>
    public int RequestBytes => _requests[0].Bytes.Length;

    /// <summary>
    /// Sends for <paramref name="duration"/> as fast as answers come, or <paramref name="spansPerSecond"/> over all connections.
    /// </summary>
    /// <exception cref="InvalidOperationException">The server answered what no client can do anything about.</exception>
    public async Task<LoadResult> RunAsync(TimeSpan duration, double? spansPerSecond, CancellationToken cancellationToken)
    {
        var latencies = new List<double>[connections];
        var refused = 0L;
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, connections).Select(index => Task.Run(async () =>
        {
            var times = latencies[index] = [];
            var pace = new Pace(clock, index, connections, spansPerRequest, spansPerSecond);
            await using var connection = await OtlpConnection.ConnectAsync(url, grpc, cancellationToken);
            while (clock.Elapsed < duration)
            {
                var due = await pace.NextAsync(cancellationToken);
                _requests[index].Stamp((ulong)Interlocked.Increment(ref s_serial), NowNanos());
                ExportAnswer answer;
                while ((answer = await connection.ExportAsync(_requests[index].Bytes, cancellationToken)) == ExportAnswer.Retry)
                {
                    Interlocked.Increment(ref refused);
                    await Task.Delay(100, cancellationToken);
                }

                if (answer == ExportAnswer.Failed)
                {
                    throw new InvalidOperationException("The server refused a valid request.");
                }

                times.Add((clock.Elapsed - due).TotalMilliseconds);
            }
        }, cancellationToken)));

        return LoadResult.Of(latencies, spansPerRequest, clock.Elapsed, refused);
    }

    /// <summary>Now, in Unix nanoseconds.</summary>
    public static long NowNanos() => (TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
}
