using System.Collections.Concurrent;
using System.Globalization;
using Npgsql;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Wakes whoever waits for a channel's next event, whichever replica wrote it. One connection listens for all waiters; while it is down,
/// waiters still look again at their own heartbeat, so nothing is lost, only later.
/// </summary>
internal sealed partial class EventSignal(NpgsqlDataSource database, TimeProvider time, ILogger<EventSignal> logger) : BackgroundService
{
    private readonly ConcurrentDictionary<long, TaskCompletionSource> _waiting = new();

    /// <summary>Completes at the next event of the channel. Take it before reading the log, or an event in between goes unseen.</summary>
    public Task NextAsync(long channelId) =>
        _waiting.GetOrAdd(channelId, _ => new(TaskCreationOptions.RunContinuationsAsynchronously)).Task;

    /// <summary>Waits for a signal taken before, at most <paramref name="timeout"/>; false when it did not come.</summary>
    public async Task<bool> WaitAsync(Task signal, TimeSpan timeout, CancellationToken cancellationToken)
    {
        try
        {
            await signal.WaitAsync(timeout, time, cancellationToken);
            return true;
        }
        catch (TimeoutException)
        {
            return false;
        }
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (!stoppingToken.IsCancellationRequested)
        {
            try
            {
                await using var connection = await database.OpenConnectionAsync(stoppingToken);
                connection.Notification += (_, notice) => Wake(notice.Payload);
                await using (var listen = new NpgsqlCommand($"listen {EventLog.Notification}", connection))
                {
                    await listen.ExecuteNonQueryAsync(stoppingToken);
                }

                WakeAll();
                while (true)
                {
                    await connection.WaitAsync(stoppingToken);
                }
            }
            catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
            {
                break;
            }
            catch (Exception e)
            {
                Log.ListenerLost(logger, e.Message);
                await Task.Delay(TimeSpan.FromSeconds(1), time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
        }

        WakeAll();
    }

    private void Wake(string payload)
    {
        if (long.TryParse(payload, CultureInfo.InvariantCulture, out var channelId) && _waiting.TryRemove(channelId, out var waiter))
        {
            waiter.TrySetResult();
        }
    }

    private void WakeAll()
    {
        foreach (var channelId in _waiting.Keys)
        {
            if (_waiting.TryRemove(channelId, out var waiter))
            {
                waiter.TrySetResult();
            }
        }
    }
}
