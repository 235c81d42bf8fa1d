using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Retention;

/// <summary>
/// Prunes unremarkable traces after they have gone quiet. Errors, expensive and slow traces stay; of the rest a share, chosen by trace id
/// so that every replica and a straggling span decide alike. Every replica runs one; an advisory lock lets one work at a time.
/// </summary>
internal sealed partial class TailSampler(
    NpgsqlDataSource dataSource, DatabaseState state, TelemetryRemover remover, TailSamplingMetrics metrics,
    IOptions<TailSamplingOptions> options, TimeProvider time,
    ILogger<TailSampler> logger) : DatabaseLoop(state, time, new WriteBackoff(time))
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    private readonly TailSamplingOptions _options = options.Value;

    /// <summary>Whether the rules keep <paramref name="trace"/>.</summary>
    public static bool Keeps(in QuietTrace trace, TailSamplingOptions options)
    {
        if (trace.Errors > 0 || trace.CostPicoUsd > options.CostAboveUsd * 1e12
            || trace.EndNanos - trace.StartNanos > options.LongerThan.TotalNanoseconds)
        {
            return true;
        }

        Span<byte> id = stackalloc byte[16];
        trace.TraceId.TryWriteBytes(id, bigEndian: true, out _);
        return options.Ratio >= 1 || HeadSampler.Keeps(id, HeadSampler.Limit(options.Ratio));
    }

    /// <inheritdoc/>
    protected override bool IsOn => _options.Enabled;

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    /// <summary>Takes up new traces and decides quiet ones, at most a step of each.</summary>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        await using var connection = await dataSource.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        if (!await TailDecisions.TryOwnAsync(connection, cancellationToken))
        {
            return s_interval;
        }

        var now = Time.GetUtcNow();
        var taken = await TailDecisions.TakeNewAsync(connection, _options.StepTraces, now, cancellationToken);
        var quiet = await TailDecisions.FindQuietAsync(
            connection, _options.StepTraces, now - _options.DecisionWindow, now, cancellationToken);
        var dropped = quiet.Where(trace => !Keeps(trace, _options)).ToList();
        foreach (var project in dropped.GroupBy(static trace => trace.ProjectId))
        {
            var spans = await remover.PruneTracesAsync(project.Key, [.. project.Select(static trace => trace.TraceId)], cancellationToken);
            metrics.CountDropped(project.Count(), spans);
        }

        metrics.CountKept(quiet.Count - dropped.Count);
        await TailDecisions.ForgetAsync(connection, quiet.Select(static trace => (trace.ProjectId, trace.TraceId)), cancellationToken);
        await transaction.CommitAsync(cancellationToken);
        return taken == _options.StepTraces || quiet.Count == _options.StepTraces ? TimeSpan.Zero : s_interval;
    }

    private static partial class Log
    {
        [LoggerMessage(1501, LogLevel.Warning, "Tail sampling waits: {Reason}. Every trace is kept until it goes on.")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
