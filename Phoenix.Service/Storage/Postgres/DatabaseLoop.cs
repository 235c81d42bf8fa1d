namespace Phoenix.Service.Storage.Postgres;

/// <summary>
/// Work on the database that never ends: it begins when the database is ready, does a step, pauses, and does the next until the service
/// stops. A step that fails because of the database is told, and the next one comes after a pause of <paramref name="backoff"/>; any other
/// exception is a bug and ends the service.
/// </summary>
/// <param name="state">Says when the database is ready.</param>
/// <param name="time">The clock of the pauses.</param>
/// <param name="backoff">Pauses after failures in a row.</param>
/// <param name="firstPause">Time from the ready database to the first step.</param>
internal abstract class DatabaseLoop(DatabaseState state, TimeProvider time, WriteBackoff backoff, TimeSpan firstPause = default)
    : BackgroundService
{
    /// <summary>The clock of the pauses.</summary>
    protected TimeProvider Time => time;

    /// <summary>Whether there is work at all; asked before each step, first when the database is ready.</summary>
    protected virtual bool IsOn => true;

    /// <summary>Pauses between failures that do not grow: the work is too heavy to be tried more often than it is done.</summary>
    protected static WriteBackoff Every(TimeSpan interval, TimeProvider time) => new(interval, interval, time, Random.Shared);

    /// <summary>Does one step; the pause before the next one, none = at once.</summary>
    protected abstract Task<TimeSpan> StepAsync(CancellationToken cancellationToken);

    /// <summary>Tells that a step failed and is done again later; <paramref name="reason"/> is for people.</summary>
    protected abstract void Failed(string reason);

    /// <inheritdoc/>
    protected sealed override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        try
        {
            await state.WaitReadyAsync(stoppingToken);
            for (var pause = firstPause; IsOn; pause = await TryStepAsync(stoppingToken))
            {
                await Task.Delay(pause, time, stoppingToken);
            }
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
        }
    }

    private async Task<TimeSpan> TryStepAsync(CancellationToken stoppingToken)
    {
        try
        {
            var pause = await StepAsync(stoppingToken);
            backoff.Succeeded();
            return pause;
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && !stoppingToken.IsCancellationRequested)
        {
            Failed(PostgresErrors.Describe(exception));
            return backoff.Failed();
        }
    }
}
