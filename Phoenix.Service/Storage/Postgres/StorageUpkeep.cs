using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Keeps what the writer knows current: projects that other replicas changed, and partitions ahead of the clock. Ends what a removal of a
/// project that was killed left, a step a round; while there is more, rounds follow each other at once.
/// </summary>
internal sealed partial class StorageUpkeep(
    Partitions partitions, ProjectDirectory projects, TelemetryRemover remover, DatabaseState state, TimeProvider time,
    ILogger<StorageUpkeep> logger) : DatabaseLoop(state, time, Every(s_interval, time), s_interval)
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(15);
    private static readonly TimeSpan s_partitionInterval = TimeSpan.FromMinutes(10);

    private long _madeAhead = time.GetTimestamp();

    /// <inheritdoc/>
    protected override async Task<TimeSpan> StepAsync(CancellationToken cancellationToken)
    {
        await projects.RefreshAsync(cancellationToken);
        if (Time.GetElapsedTime(_madeAhead) >= s_partitionInterval)
        {
            await partitions.EnsureAheadAsync(cancellationToken);
            _madeAhead = Time.GetTimestamp();
        }

        await partitions.MakePostponedAsync(cancellationToken);
        return await remover.FinishAsync(cancellationToken) ? TimeSpan.Zero : s_interval;
    }

    /// <inheritdoc/>
    protected override void Failed(string reason) => Log.Failed(logger, reason);

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Warning, "Upkeep of projects and partitions failed and runs again soon: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
