using System.Threading.Channels;
using Microsoft.Extensions.Options;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Storage;

/// <summary>
/// Group commit: each writer takes whatever requests are queued, stores them in one transaction and acknowledges them after its commit.
/// While one transaction runs, the next group gathers by itself; no request waits for a timer unless <see cref="StorageOptions.Linger"/>
/// says so.
/// </summary>
/// <remarks>
/// What a failure leads to (<see cref="WriteFault"/>): duplicates: the group is merged instead of copied. A value PostgreSQL refuses: the
/// group is halved until the request is alone, then the request's rows, until the row is alone and rejected. Connection lost or conflict:
/// again after a pause, as a merge, because the lost commit may have happened. No space: the group and what waits behind it are refused at
/// once. A loop ends only when the queue is completed and empty; nothing thrown by a write leaves <see cref="WriteAsync"/>, and every batch
/// taken is completed.
/// </remarks>
internal sealed partial class SpanBatchWriter(
    ChannelReader<PendingBatch> queue, Action completeQueue, BatchStore store, ProjectDirectory projects, DatabaseState database,
    IOptions<StorageOptions> options, IngestMetrics metrics, TraceMetrics traces,
    IHostApplicationLifetime lifetime, TimeProvider time, ILogger<SpanBatchWriter> logger) : IHostedService, IDisposable
{
    private readonly StorageOptions _options = options.Value;
    private readonly CancellationTokenSource _giveUp = new();
    private Task _writers = Task.CompletedTask;

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        lifetime.ApplicationStopping.Register(() => _giveUp.CancelAfter(_options.DrainTimeout));
        using (ExecutionContext.SuppressFlow())
        {
            _writers = Task.WhenAll(Enumerable.Range(0, _options.Writers).Select(_ => Task.Run(RunAsync, CancellationToken.None)));
        }

        return Task.CompletedTask;
    }

    /// <summary>
    /// Ends when the queue is empty; the server has stopped taking requests by now. The drain time-out runs since the stop began: what is
    /// not stored when it ends is answered 503.
    /// </summary>
    public Task StopAsync(CancellationToken cancellationToken)
    {
        completeQueue();
        return _writers;
    }

    /// <inheritdoc/>
    public void Dispose() => _giveUp.Dispose();

    private async Task RunAsync()
    {
        await using var session = store.OpenSession();
        var backoff = new WriteBackoff(time);
        var group = new WriteGroup(queue, _options, metrics, time);
        while (await group.GatherAsync())
        {
            await WriteAsync(session, group.Take(), backoff);
        }
    }

    /// <summary>Stores a group and completes every batch in it. Throws nothing.</summary>
    private async Task WriteAsync(WriterSession session, List<PendingBatch> group, WriteBackoff backoff)
    {
        var merge = false;
        for (var attempt = 1; group.Count > 0; attempt++)
        {
            var started = time.GetTimestamp();
            try
            {
                using var timeout = new CancellationTokenSource(_options.WriteTimeout, time);
                using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _giveUp.Token);
                var stored = await store.StoreAsync(session, group, merge, deadline.Token);
                Succeed(backoff, group.Sum(pending => pending.SpanCount), started);
                Acknowledge(group, stored);
                return;
            }
            catch (ProjectGoneException gone)
            {
                await session.ResetAsync(keepConnection: true);
                group = RefuseGone(group, gone);
            }
            catch (Exception exception)
            {
                var fault = PostgresErrors.Classify(exception);
                await session.ResetAsync(keepConnection: fault is WriteFault.Duplicate);
                if (fault == WriteFault.Duplicate && !merge)
                {
                    merge = true;
                    continue;
                }

                metrics.CountFailedWrite();
                if (fault == WriteFault.Partition && attempt < 5 && await TryAsync(store.ForgetPartitionsAsync))
                {
                    continue;
                }

                if (fault == WriteFault.Data)
                {
                    await IsolateAsync(session, group, exception, backoff);
                    return;
                }

                if (fault == WriteFault.Storage)
                {
                    await RefuseAsync(group, exception, backoff);
                    return;
                }

                Log.WillRetry(logger, attempt, PostgresErrors.Describe(exception), PostgresErrors.IsDatabase(exception) ? null : exception);
                merge = true;
                if (!await PauseAsync(backoff.Failed()))
                {
                    Fail(group,
                        new WriteResult(WriteStatus.Unavailable, Message: "the service is stopping and the database does not answer"));
                    return;
                }

                group = DropAbandoned(group);
            }
        }
    }

    /// <summary>Halves the group; a request alone is stored row by row as far as PostgreSQL takes it.</summary>
    private async Task IsolateAsync(WriterSession session, List<PendingBatch> group, Exception exception, WriteBackoff backoff)
    {
        if (group.Count > 1)
        {
            await WriteAsync(session, group.GetRange(0, group.Count / 2), backoff);
            await WriteAsync(session, group.GetRange(group.Count / 2, group.Count - (group.Count / 2)), backoff);
            return;
        }

        var reason = PostgresErrors.Describe(exception);
        var started = time.GetTimestamp();
        try
        {
            using var timeout = new CancellationTokenSource(_options.WriteTimeout * 4, time);
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, _giveUp.Token);
            var (rejected, duplicates, added) = await store.StoreRowsAsync(session, group[0].Batch, deadline.Token);
            Succeed(backoff, Math.Max(0, group[0].SpanCount - rejected), started);
            traces.Committed(added ?? []);
            Log.Rejected(logger, rejected, reason);
            group[0].Complete(new WriteResult(WriteStatus.Stored, duplicates, rejected, $"PostgreSQL refuses the record: {reason}"));
        }
        catch (ProjectGoneException gone)
        {
            await session.ResetAsync(keepConnection: true);
            RefuseGone(group, gone);
        }
        catch (Exception failure) when (PostgresErrors.IsDatabase(failure))
        {
            metrics.CountFailedWrite();
            await session.ResetAsync(keepConnection: false);
            if (PostgresErrors.Classify(failure) == WriteFault.Storage)
            {
                await RefuseAsync(group, failure, backoff);
            }
            else
            {
                Fail(group, new WriteResult(WriteStatus.Unavailable, Message: PostgresErrors.Explain(failure)));
            }
        }
    }

    /// <summary>
    /// Answers the requests whose projects have been deleted, by another replica or just now; the others, to be written again.
    /// </summary>
    private List<PendingBatch> RefuseGone(List<PendingBatch> group, ProjectGoneException gone)
    {
        projects.Forget(gone.Projects);
        Fail(group.FindAll(Belongs),
            new WriteResult(WriteStatus.ProjectGone, Message: "its project has been deleted meanwhile; sent again, it is made anew"));
        return group.FindAll(pending => !Belongs(pending));

        bool Belongs(PendingBatch pending) => pending.Batch.Projects.Exists(gone.Projects.Contains);
    }

    /// <summary>
    /// The database takes no writes: answers the group and all that is queued, and holds further requests off until the next try.
    /// </summary>
    private async Task RefuseAsync(List<PendingBatch> group, Exception exception, WriteBackoff backoff)
    {
        var pause = backoff.Failed();
        var refusal = new WriteResult(WriteStatus.StorageFull, Message: PostgresErrors.Explain(exception));
        database.SetRefusing(refusal.Message!, pause);
        Log.StorageFull(logger, PostgresErrors.Describe(exception));
        Fail(group, refusal);
        while (queue.TryRead(out var pending))
        {
            Fail([pending], refusal);
        }

        await PauseAsync(pause);
    }

    private void Succeed(WriteBackoff backoff, int spans, long started)
    {
        backoff.Succeeded();
        database.SetWriting();
        metrics.ObserveInsertion(spans, time.GetElapsedTime(started));
    }

    private void Acknowledge(List<PendingBatch> group, StoreResult stored)
    {
        traces.Committed(stored.Added ?? []);
        var records = 0;
        foreach (var pending in group)
        {
            records += pending.Batch.RecordCount;
            if (stored.Added is null && pending.Batch.Signal == Signal.Spans)
            {
                traces.Committed(pending.Batch);
            }
        }

        foreach (var pending in group)
        {
            // Which request of a group brought the duplicates is not known: each is given its share.
            var share = stored.Duplicates == 0 ? 0 : (int)((long)stored.Duplicates * pending.Batch.RecordCount / records);
            pending.Complete(new WriteResult(WriteStatus.Stored, share));
        }
    }

    private void Fail(List<PendingBatch> group, WriteResult result)
    {
        foreach (var pending in group)
        {
            metrics.CountFailedSpans(pending.SpanCount);
            pending.Complete(result);
        }
    }

    private List<PendingBatch> DropAbandoned(List<PendingBatch> group)
    {
        var kept = new List<PendingBatch>(group.Count);
        foreach (var pending in group)
        {
            if (pending.IsAbandoned)
            {
                Fail([pending], default);
            }
            else
            {
                kept.Add(pending);
            }
        }

        return kept;
    }

    /// <summary>Waits before the next try. False when the service stops: senders are told to come back rather than kept waiting.</summary>
    private async Task<bool> PauseAsync(TimeSpan pause)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(lifetime.ApplicationStopping, _giveUp.Token);
        try
        {
            await Task.Delay(pause, time, stop.Token);
            return true;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private async Task<bool> TryAsync(Func<CancellationToken, Task> action)
    {
        try
        {
            await action(_giveUp.Token);
            return true;
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception))
        {
            return false;
        }
    }
}
