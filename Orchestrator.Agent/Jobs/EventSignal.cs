using System.Globalization;
using Npgsql;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Wakes whoever waits for a channel's next event, whichever replica wrote it. One connection listens for all waiters; while it is down,
/// waiters still look again at their own heartbeat, so nothing is lost, only later.
/// </summary>
internal sealed partial class EventSignal(NpgsqlDataSource database, TimeProvider time, ILogger<EventSignal> logger) : BackgroundService
{
    private readonly Dictionary<long, HashSet<Watch>> _watches = [];

    private TimeProvider Time => time;

    /// <summary>Channels that somebody watches now.</summary>
    internal int WatchedChannels
    {
        get
        {
            lock (_watches)
            {
                return _watches.Count;
            }
        }
    }

    /// <summary>
    /// Watches the channel from now on. Begin before reading the log, or an event in between goes unseen; dispose it in any case: many a
    /// channel never has another event.
    /// </summary>
    public Watch Begin(long channelId)
    {
        var watch = new Watch(this, channelId);
        lock (_watches)
        {
            if (!_watches.TryGetValue(channelId, out var watches))
            {
                _watches[channelId] = watches = [];
            }

            watches.Add(watch);
        }

        return watch;
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
        if (!long.TryParse(payload, CultureInfo.InvariantCulture, out var channelId))
        {
            return;
        }

        lock (_watches)
        {
            foreach (var watch in _watches.GetValueOrDefault(channelId, []))
            {
                watch.Signal();
            }
        }
    }

    private void WakeAll()
    {
        lock (_watches)
        {
            foreach (var watch in _watches.Values.SelectMany(static watches => watches))
            {
                watch.Signal();
            }
        }
    }

    private void End(Watch watch)
    {
        lock (_watches)
        {
            if (_watches.TryGetValue(watch.ChannelId, out var watches) && watches.Remove(watch) && watches.Count == 0)
            {
                _watches.Remove(watch.ChannelId);
            }
        }
    }

    /// <summary>Sees the next event of a channel, until it is disposed.</summary>
    internal sealed class Watch(EventSignal owner, long channelId) : IDisposable
    {
        private readonly TaskCompletionSource _signalled = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public long ChannelId => channelId;

        /// <summary>Waits for an event since the watch began, at most <paramref name="timeout"/>; false when none came.</summary>
        public async Task<bool> WaitAsync(TimeSpan timeout, CancellationToken cancellationToken)
        {
            try
            {
                await _signalled.Task.WaitAsync(timeout, owner.Time, cancellationToken);
                return true;
            }
            catch (TimeoutException)
            {
                return false;
            }
        }

        /// <summary>Notes an event.</summary>
        public void Signal() => _signalled.TrySetResult();

        /// <inheritdoc/>
        public void Dispose() => owner.End(this);
    }
}
