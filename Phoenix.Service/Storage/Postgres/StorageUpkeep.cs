using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Keeps what the writer knows current: projects that other replicas changed, and partitions ahead of the clock. Ends what a removal of a
/// project that was killed left.
/// </summary>
internal sealed partial class StorageUpkeep(
    Partitions partitions, ProjectDirectory projects, TelemetryRemover remover, DatabaseState state, TimeProvider time,
    ILogger<StorageUpkeep> logger) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(15);
    private const int RoundsBetweenPartitions = 40;

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await state.WaitReadyAsync(stoppingToken);
            using var timer = new PeriodicTimer(s_interval, time);
            for (var round = 1; await timer.WaitForNextTickAsync(stoppingToken); round++)
            {
                await RunAsync(round % RoundsBetweenPartitions == 0, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            Log.Stopped(logger);
        }
    }

    private async Task RunAsync(bool withPartitions, CancellationToken cancellationToken)
    {
        try
        {
            await projects.RefreshAsync(cancellationToken);
            await remover.FinishAsync(cancellationToken);
            if (withPartitions)
            {
                await partitions.EnsureAheadAsync(cancellationToken);
            }
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && !cancellationToken.IsCancellationRequested)
        {
            Log.Failed(logger, PostgresErrors.Describe(exception));
        }
    }

    private static partial class Log
    {
        [LoggerMessage(220, LogLevel.Warning, "Upkeep of projects and partitions failed and runs again soon: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);

        [LoggerMessage(221, LogLevel.Debug, "Upkeep stopped.")]
        public static partial void Stopped(ILogger logger);
    }
}
