namespace Phoenix.Service.Storage;

/// <summary>What became of one request's records; says whether a retry helps.</summary>
internal enum WriteStatus
{
    /// <summary>Committed, now or by an earlier delivery.</summary>
    Stored,

    /// <summary>The database could not be reached in time; nothing is known to be stored, a retry is safe and helps.</summary>
    Unavailable,

    /// <summary>The database has no space or is read-only; a retry helps once somebody mends it.</summary>
    StorageFull,

    /// <summary>A project of the records has been deleted since they were decoded; sent again they make it anew.</summary>
    ProjectGone,
}

/// <summary>Outcome of a write. <paramref name="Message"/> is for people: why records were rejected, or why nothing was stored.</summary>
/// <param name="Status">What became of the records.</param>
/// <param name="Duplicates">Records stored before, by an earlier delivery.</param>
/// <param name="Rejected">Records PostgreSQL refuses to hold.</param>
/// <param name="Message">Null when there is nothing to say.</param>
internal readonly record struct WriteResult(WriteStatus Status, int Duplicates = 0, int Rejected = 0, string? Message = null);

/// <summary>
/// One decoded request on its way to the database. Owned by the queue, then by one writer, which completes it exactly once; completing
/// disposes the batch, gives its memory reservation back and wakes the request.
/// </summary>
internal sealed class PendingBatch(TelemetryBatch batch, IDisposable reservation, long enqueuedTimestamp)
{
    private readonly TaskCompletionSource<WriteResult> _done = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile bool _abandoned;

    /// <summary>The rows; not to be touched after <see cref="Complete"/>.</summary>
    public TelemetryBatch Batch { get; } = batch;

    /// <summary>Records that are spans; readable at any time.</summary>
    public int SpanCount { get; } = batch.Signal == Signal.Spans ? batch.RecordCount : 0;

    /// <summary>When it was enqueued, in ticks of the time provider.</summary>
    public long EnqueuedTimestamp { get; } = enqueuedTimestamp;

    /// <summary>Completes when the records are durable or given up.</summary>
    public Task<WriteResult> Done => _done.Task;

    /// <summary>True when the sender was already told to try again: writing it is allowed but useless.</summary>
    public bool IsAbandoned => _abandoned;

    /// <summary>Nobody waits any more.</summary>
    public void Abandon() => _abandoned = true;

    /// <summary>Ends its life; call once.</summary>
    public void Complete(WriteResult result)
    {
        Batch.Dispose();
        reservation.Dispose();
        _done.TrySetResult(result);
    }
}
