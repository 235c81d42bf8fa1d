namespace Orchestrator.Agent.Jobs;

/// <summary>A limit of the investigation was reached: the run ends with what it knows.</summary>
internal sealed class BudgetSpentException(string limit) : Exception(limit);

/// <summary>
/// What one investigation may still use: working time, tool calls, retries per agent. Counts go on across pauses and restarts. Each call
/// gets the smaller of its own limit and what is left.
/// </summary>
internal sealed class Budget : IDisposable
{
    private readonly MatsOptions _limits;
    private readonly TimeProvider _time;
    private readonly InvestigationState _state;
    private readonly double _before;
    private readonly long _started;
    private readonly CancellationTokenSource _deadline;

    public Budget(MatsOptions limits, TimeProvider time, InvestigationState state)
    {
        _limits = limits;
        _time = time;
        _state = state;
        _before = state.ActiveSeconds;
        _started = time.GetTimestamp();
        var left = limits.ActiveTime - TimeSpan.FromSeconds(_before);
        _deadline = new CancellationTokenSource(left > TimeSpan.Zero ? left : TimeSpan.Zero, time);
    }

    /// <summary>Cancelled when the working time is used up.</summary>
    public CancellationToken Deadline => _deadline.Token;

    /// <summary>Working seconds so far, over all runs of the job.</summary>
    public double ActiveSeconds => _before + _time.GetElapsedTime(_started).TotalSeconds;

    /// <summary>Working time left; never negative.</summary>
    public TimeSpan Remaining => TimeSpan.FromSeconds(Math.Max(0, _limits.ActiveTime.TotalSeconds - ActiveSeconds));

    /// <summary>Tool calls left; never negative.</summary>
    public int ToolCallsLeft => Math.Max(0, _limits.ToolCalls - _state.TotalToolCalls);

    /// <summary>
    /// The time for a step that others follow: its own limit, or half of the working time that is left where that is less.
    /// </summary>
    public TimeSpan Share(TimeSpan own) => Remaining / 2 is var half && half < own ? half : own;

    /// <summary>Counts one tool call.</summary>
    /// <exception cref="BudgetSpentException">When the calls or the time are used up; the call must not be made.</exception>
    public void TakeToolCall(string tool)
    {
        if (Lack(1) is { } lack)
        {
            throw new BudgetSpentException($"{lack}; {tool} was refused.");
        }

        _state.TotalToolCalls++;
    }

    /// <summary>Why so many tool calls cannot be made any more; null when they can.</summary>
    public string? Lack(int calls) =>
        ToolCallsLeft == 0 ? $"The budget of {_limits.ToolCalls} tool calls is spent"
        : ToolCallsLeft < calls ? $"The budget of {_limits.ToolCalls} tool calls has only {ToolCallsLeft} left, and {calls} are needed"
        : Remaining == TimeSpan.Zero ? TimeSpent
        : null;

    /// <summary>The limit whose end this exception tells of; null when it tells of something else.</summary>
    public string? Limit(Exception exception) => exception switch
    {
        BudgetSpentException => exception.Message,
        OperationCanceledException when _deadline.IsCancellationRequested => $"{TimeSpent}.",
        _ => null,
    };

    /// <summary>Counts one more attempt of an agent; false when it has had all its retries.</summary>
    public bool TryRetry(string agent, int most)
    {
        var taken = _state.RetryAttempts.GetValueOrDefault(agent);
        if (taken >= Math.Min(most, _limits.RetriesPerAgent))
        {
            return false;
        }

        _state.RetryAttempts[agent] = taken + 1;
        return true;
    }

    /// <summary>Writes the time used so far into the state, for the next run.</summary>
    public void Save() => _state.ActiveSeconds = ActiveSeconds;

    public void Dispose() => _deadline.Dispose();

    private string TimeSpent => $"The budget of {_limits.ActiveTime.TotalSeconds:0} s of working time is spent";
}
