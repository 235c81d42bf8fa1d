using MatsObservability.Hosting.Run.Programs;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>How an instance of a resource is started.</summary>
internal interface IProgram
{
    /// <summary>Starts it; a failure is an exception whose message is shown as the reason.</summary>
    public Task<IRunningProgram> StartAsync(CancellationToken cancellationToken);
}

/// <summary>A started instance.</summary>
internal interface IRunningProgram : IAsyncDisposable
{
    public int ProcessId { get; }

    /// <summary>What people see of it beside its state.</summary>
    public IReadOnlyList<InstanceVariable> Environment { get; }

    /// <summary>Completes with the exit code when it has ended by itself or was stopped.</summary>
    public Task<int> Exited { get; }

    /// <summary>
    /// Whether it may end by itself with exit code 0, its work done; what serves for as long as the application runs may not.
    /// </summary>
    public bool CanFinish { get; }

    /// <summary>Asks it to end, and kills it after the grace period. Returns when it has ended.</summary>
    public Task StopAsync(TimeSpan grace);
}
