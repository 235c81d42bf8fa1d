using MatsObservability.Benchmarks.Load;
using Npgsql;

namespace MatsObservability.Benchmarks.Recover;

/// <summary>
/// Holds an investigation at a chosen event: a trigger on the orchestrator's event log waits on an advisory lock before it stores an event
/// that matches. So a process can be killed at an exact point of its work, whatever the speed of the machine.
/// </summary>
internal sealed class EventGate(SystemUnderTest system) : IAsyncDisposable
{
    private const int LockKey = 727_274;
    private static readonly TimeSpan s_limit = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan s_look = TimeSpan.FromMilliseconds(20);

    private NpgsqlConnection? _closed;

    /// <summary>Puts the trigger in place; the orchestrator must have made its tables before.</summary>
    public Task InstallAsync(CancellationToken cancellationToken) => system.ExecuteAsync(
        $"""
         create schema recover;
         create table recover.held (pattern text not null);
         create function recover.wait() returns trigger language plpgsql as $$
         begin
           if exists (select 1 from recover.held where new.message like pattern) then
             perform pg_advisory_xact_lock_shared({LockKey});
           end if;
           return new;
         end $$;
         create trigger wait before insert on mats.events for each row execute function recover.wait();
         """, cancellationToken);

    /// <summary>From now on an event like <paramref name="pattern"/> (SQL LIKE) waits.</summary>
    public async Task CloseAsync(string pattern, CancellationToken cancellationToken)
    {
        _closed = new NpgsqlConnection(new NpgsqlConnectionStringBuilder(system.ConnectionString) { Pooling = false }.ConnectionString);
        await _closed.OpenAsync(cancellationToken);
        await using var command = new NpgsqlCommand($"select pg_advisory_lock({LockKey})", _closed);
        await command.ExecuteNonQueryAsync(cancellationToken);
        await system.ExecuteAsync($"delete from recover.held; insert into recover.held values ('{pattern}')", cancellationToken);
    }

    /// <summary>Waits until an event waits.</summary>
    /// <exception cref="TimeoutException">None came.</exception>
    public async Task ReachedAsync(CancellationToken cancellationToken)
    {
        var started = TimeProvider.System.GetTimestamp();
        while (await WaitingAsync(cancellationToken) == 0)
        {
            if (TimeProvider.System.GetElapsedTime(started) > s_limit)
            {
                throw new TimeoutException("The investigation did not come to the event that was to hold it.");
            }

            await Task.Delay(s_look, cancellationToken);
        }
    }

    /// <summary>Lets what waits go on.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        await system.ExecuteAsync("delete from recover.held", cancellationToken);
        if (_closed is not null)
        {
            await _closed.DisposeAsync();
            _closed = null;
        }
    }

    /// <summary>Ends the sessions that wait, as PostgreSQL does once it sees that their client is gone, and opens the gate.</summary>
    public async Task OpenAfterKillAsync(CancellationToken cancellationToken)
    {
        await system.ExecuteAsync("delete from recover.held", cancellationToken);
        await system.ScalarAsync<long>(
            $"select count(pg_terminate_backend(pid)) from pg_locks where locktype = 'advisory' and objid = {LockKey} and not granted",
            cancellationToken);
        while (await WaitingAsync(cancellationToken) > 0)
        {
            await Task.Delay(s_look, cancellationToken);
        }

        await OpenAsync(cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (_closed is not null)
        {
            await _closed.DisposeAsync();
        }
    }

    private Task<long> WaitingAsync(CancellationToken cancellationToken) => system.ScalarAsync<long>(
        $"select count(*) from pg_locks where locktype = 'advisory' and objid = {LockKey} and not granted", cancellationToken);
}
