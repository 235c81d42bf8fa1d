namespace Phoenix.Service.Storage.Postgres;

/// <summary>Whether the database may be used: from the moment its schema is current, and whether it takes writes. Thread-safe.</summary>
internal sealed class DatabaseState(TimeProvider time)
{
    private readonly TaskCompletionSource _ready = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile WriteRefusal? _refusal;

    /// <summary>True once every migration is applied.</summary>
    public bool IsReady => _ready.Task.IsCompleted;

    /// <summary>Why it is not ready yet, for people.</summary>
    public string Waiting { get; set; } = "waiting for the database";

    /// <summary>Completes when the schema is current.</summary>
    public Task WaitReadyAsync(CancellationToken cancellationToken) => _ready.Task.WaitAsync(cancellationToken);

    /// <summary>Declares the schema current.</summary>
    public void SetReady() => _ready.TrySetResult();

    /// <summary>Why the database refused the last write (no space, read-only), for people; null when it took it.</summary>
    public string? Refusal => _refusal?.Reason;

    /// <summary>
    /// Why a request must not even be read now; null when it may be tried. While writes are refused, one is tried after every pause.
    /// </summary>
    public string? RefusedNow => _refusal is { } refusal && time.GetTimestamp() < refusal.Until ? refusal.Reason : null;

    /// <summary>Notes that the database refuses writes; the next one is tried after <paramref name="pause"/>.</summary>
    public void SetRefusing(string reason, TimeSpan pause) =>
        _refusal = new WriteRefusal(reason, time.GetTimestamp() + (long)(pause.TotalSeconds * time.TimestampFrequency));

    /// <summary>Notes that the database took a write.</summary>
    public void SetWriting()
    {
        if (_refusal is not null)
        {
            _refusal = null;
        }
    }

    private sealed record WriteRefusal(string Reason, long Until);
}
