using Microsoft.Extensions.Options;
using Npgsql;

namespace Orchestrator.Agent.Jobs;

/// <summary>
/// Removes what is older than <see cref="MatsOptions.RetentionDays"/>: jobs that ended, or wait for an answer, with their events, documents
/// and keys; events without a job; sessions; proposals; and channels that nothing is left of. The audit log stays, and says what was removed.
/// Every replica runs one; a step is a statement of its own, so replicas may work side by side and stop anywhere.
/// </summary>
internal sealed partial class JobRetention(
    NpgsqlDataSource database, IOptions<MatsOptions> options, TimeProvider time, ILogger<JobRetention> logger) : BackgroundService
{
    private const int StepJobs = 100;
    private const int StepRows = 1000;
    private static readonly TimeSpan s_interval = TimeSpan.FromHours(1);

    /// <summary>What belongs to no job, and when it is too old.</summary>
    private static readonly (string Table, string Condition)[] s_others =
    [
        ("mats.events", "job_id is null and time < $1"),
        ("mats.sessions", "updated_at < $1"),
        ("mats.proposals", "expires_at < $1"),
        ("mats.channels c",
            """
            used_at < $1 and not exists (select from mats.jobs where channel_id = c.id)
            and not exists (select from mats.events where channel_id = c.id)
            """),
    ];

    /// <summary>Removes what is too old by now; how many jobs that were. Can be stopped and repeated at any time.</summary>
    internal async Task<int> RunAsync(CancellationToken cancellationToken)
    {
        var before = time.GetUtcNow() - TimeSpan.FromDays(options.Value.RetentionDays);
        var jobs = 0;
        for (int removed; (removed = await RemoveJobsAsync(before, cancellationToken)) > 0;)
        {
            jobs += removed;
        }

        foreach (var (table, condition) in s_others)
        {
            // By the place of the row: one that is written meanwhile lies elsewhere, and stays.
            await using var command = database.CreateCommand(
                $"delete from {table} where ctid = any(array(select ctid from {table} where {condition} limit {StepRows}))");
            command.Parameters.AddWithValue(before);
            while (await command.ExecuteNonQueryAsync(cancellationToken) > 0)
            {
            }
        }

        return jobs;
    }

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        while (options.Value.RetentionDays > 0 && !stoppingToken.IsCancellationRequested)
        {
            try
            {
                if (await RunAsync(stoppingToken) is > 0 and var jobs)
                {
                    Log.Removed(logger, jobs, options.Value.RetentionDays);
                }
            }
            catch (Exception e) when (!stoppingToken.IsCancellationRequested)
            {
                Log.Failed(logger, e.Message);
            }
            catch (OperationCanceledException)
            {
                return;
            }

            await Task.Delay(s_interval, time, stoppingToken).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    private async Task<int> RemoveJobsAsync(DateTimeOffset before, CancellationToken cancellationToken)
    {
        await using var command = database.CreateCommand(
            $"""
             with gone as (delete from mats.jobs where id = any(array(
                               select id from mats.jobs where status <> 'RUNNING' and updated_at < $1
                               order by updated_at limit {StepJobs} for update skip locked)) returning id),
                  events as (delete from mats.events where job_id in (select id from gone)),
                  objects as (delete from mats.objects where job_id in (select id from gone)),
                  noted as (insert into mats.audit (time, actor, action, detail)
                            select $2, 'retention', 'jobs removed', jsonb_build_object('jobs', count(*), 'before', $1)
                            from gone having count(*) > 0)
             select count(*)::integer from gone
             """);
        command.Parameters.AddWithValue(before);
        command.Parameters.AddWithValue(time.GetUtcNow());
        return (int)(await command.ExecuteScalarAsync(cancellationToken))!;
    }

    private static partial class Log
    {
        [LoggerMessage(4036, LogLevel.Information, "Removed {Jobs} jobs of which nothing was heard for {Days} days")]
        public static partial void Removed(ILogger logger, int jobs, int days);

        [LoggerMessage(4037, LogLevel.Warning, "Old jobs could not be removed; trying again in an hour: {Reason}")]
        public static partial void Failed(ILogger logger, string reason);
    }
}
