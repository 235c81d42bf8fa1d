using System.Reflection;
using Npgsql;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Brings the schema <c>mats</c> up to this program's version before any request is served. Forward only; safe with many replicas
/// starting at once, because one advisory lock is held for the whole run. A schema that a newer release has migrated is refused.
/// </summary>
internal sealed partial class SchemaMigrator(NpgsqlDataSource database, TimeProvider time, ILogger<SchemaMigrator> logger) : IHostedService
{
    private const long AdvisoryLock = 0x6D617473;
    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    /// <summary>Waits up to a minute for the database, then applies what is missing; the host does not start without it.</summary>
    public async Task StartAsync(CancellationToken cancellationToken)
    {
        var started = time.GetTimestamp();
        for (var delay = TimeSpan.FromMilliseconds(250); ; delay = TimeSpan.FromSeconds(Math.Min(5, delay.TotalSeconds * 2)))
        {
            try
            {
                await MigrateAsync(cancellationToken);
                return;
            }
            catch (NpgsqlException e) when (e is not PostgresException { IsTransient: false } && time.GetElapsedTime(started) < s_patience)
            {
                Log.DatabaseNotReady(logger, delay.TotalSeconds, e.Message);
                await Task.Delay(delay, time, cancellationToken);
            }
        }
    }

    /// <summary>Nothing to stop.</summary>
    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    private async Task MigrateAsync(CancellationToken cancellationToken)
    {
        await using var connection = await database.OpenConnectionAsync(cancellationToken);
        await using var transaction = await connection.BeginTransactionAsync(cancellationToken);
        await ExecuteAsync($"select pg_advisory_xact_lock({AdvisoryLock})");
        await ExecuteAsync("create schema if not exists mats");
        await ExecuteAsync(
            "create table if not exists mats.schema_migrations (name text primary key, applied_at timestamptz not null default now())");

        var known = Migrations().ToList();
        await using var applied = new NpgsqlCommand(
            "select coalesce(array_agg(name), '{}') from mats.schema_migrations", connection, transaction);
        var seen = (string[])(await applied.ExecuteScalarAsync(cancellationToken))!;
        if (seen.Except(known.Select(migration => migration.Name)).Order(StringComparer.Ordinal).LastOrDefault() is { } newer)
        {
            throw new InvalidOperationException(
                $"schema mats has {newer}, which this release does not know: run the newer release, or restore a backup");
        }

        foreach (var (name, sql) in known.Where(migration => !seen.Contains(migration.Name)))
        {
            await ExecuteAsync(sql);
            await using var record = new NpgsqlCommand("insert into mats.schema_migrations (name) values ($1)", connection, transaction)
            {
                Parameters = { new() { Value = name } },
            };
            await record.ExecuteNonQueryAsync(cancellationToken);
            Log.Applied(logger, name);
        }

        await transaction.CommitAsync(cancellationToken);

        async Task ExecuteAsync(string sql)
        {
            await using var command = new NpgsqlCommand(sql, connection, transaction);
            await command.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    private static IEnumerable<(string Name, string Sql)> Migrations()
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var resource in assembly.GetManifestResourceNames().Where(n => n.EndsWith(".sql", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal))
        {
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            yield return (resource, reader.ReadToEnd());
        }
    }
}
