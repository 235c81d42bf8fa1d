using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>Keeps one instance of a resource in the state that is wanted: started, stopped, started again after a crash.</summary>
internal sealed partial class Supervisor(RunContext context, IResource resource, string id, IProgram program, StartGate gate) : IDisposable
{
    /// <summary>State between a crash and the next start; the other states are those of <see cref="KnownResourceStates"/>.</summary>
    public const string Restarting = "Restarting";

    /// <summary>Shown in place of a secret; snapshots never hold the value itself.</summary>
    public const string Masked = "●●●●●●●●";

    private const string ProcessIdProperty = "executable.pid";

    /// <summary>EX_CONFIG of sysexits.h: another start would end the same way.</summary>
    private const int WrongSettings = 78;

    private static readonly TimeSpan s_commandGrace = TimeSpan.FromSeconds(5);

    private readonly ILogger _logger = context.Loggers.GetLogger(resource);
    private readonly RestartPolicy _restarts = new(context.Time);
    private readonly SemaphoreSlim _startAsked = new(0);
    private readonly CancellationTokenSource _ending = new();
    private Attempt? _attempt;
    private CancellationTokenSource? _wait;
    private TimeSpan _grace = s_commandGrace;
    private Task _loop = Task.CompletedTask;

    private enum Outcome
    {
        Ended,
        Crashed,
    }

    public string Id => id;

    /// <summary>Begins: starts the instance, or waits for the command if it starts only by that.</summary>
    public void Begin()
    {
        var byCommandOnly = resource.HasAnnotationOfType<ExplicitStartupAnnotation>();
        _loop = LoopAsync(byCommandOnly);
    }

    /// <summary>The command <c>start</c>: also ends a wait for dependencies, and the pause after a crash.</summary>
    public async Task StartByCommandAsync()
    {
        if (_wait is { } wait)
        {
            await wait.CancelAsync();
            return;
        }

        _restarts.Forget();

        // Published here, so that whoever gave the command and then waits for a state never sees the old one.
        await PublishAsync(snapshot => snapshot with { State = KnownResourceStates.Starting });
        if (_startAsked.CurrentCount == 0)
        {
            _startAsked.Release();
        }
    }

    /// <summary>The command <c>stop</c>: returns when the instance has ended and its state says so.</summary>
    public async Task StopByCommandAsync()
    {
        if (_attempt is { } attempt)
        {
            await attempt.CancelAsync();
            await attempt.Done;
        }
    }

    /// <summary>Ends the instance and its supervision.</summary>
    public async Task EndAsync(TimeSpan grace)
    {
        _grace = grace;
        await _ending.CancelAsync();
        await _loop;
    }

    /// <summary>Only after <see cref="EndAsync"/>.</summary>
    public void Dispose()
    {
        _ending.Dispose();
        _startAsked.Dispose();
    }

    private async Task LoopAsync(bool byCommandOnly)
    {
        try
        {
            await PublishAsync(
                snapshot =>
                    snapshot with
                    {
                        State = byCommandOnly ? KnownResourceStates.NotStarted : KnownResourceStates.Starting,
                        CreationTimeStamp = context.Now,
                    });
            var startNow = !byCommandOnly;
            while (true)
            {
                if (!startNow)
                {
                    await _startAsked.WaitAsync(_ending.Token);
                }

                using var attempt = new Attempt(_ending.Token);
                _attempt = attempt;
                try
                {
                    startNow = await RunOnceAsync(attempt.Token) == Outcome.Crashed && await PauseAsync(attempt.Token);
                }
                finally
                {
                    _attempt = null;
                    attempt.Finish();
                }
            }
        }
        catch (OperationCanceledException) when (_ending.IsCancellationRequested)
        {
            // The run is over.
        }
    }

    private async Task<Outcome> RunOnceAsync(CancellationToken cancellationToken)
    {
        try
        {
            await PassGateAsync(cancellationToken);
            await PublishAsync(
                snapshot =>
                    snapshot with
                    {
                        State = KnownResourceStates.Starting,
                        Ready = null,
                        HealthReports = [],
                        ExitCode = null,
                        StopTimeStamp = null,
                    });
            _restarts.Started();
            await using var running = await program.StartAsync(cancellationToken);
            Log.Started(_logger, running.ProcessId);
            await PublishAsync(snapshot => snapshot with
            {
                State = KnownResourceStates.Running,
                StartTimeStamp = context.Now,
                EnvironmentVariables = [.. running.Environment.Select(
                    variable => new EnvironmentVariableSnapshot(
                        variable.Name, variable.IsSecret ? Masked : variable.Value, IsFromSpec: true))],
                Properties = [.. snapshot.Properties.Where(property => property.Name != ProcessIdProperty),
                    new ResourcePropertySnapshot(ProcessIdProperty, running.ProcessId)],
                Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = false })],
            });
            return await WatchAsync(running, cancellationToken);
        }
        catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
        {
            await PublishEndAsync(KnownResourceStates.Finished, exitCode: null);
            return Outcome.Ended;
        }
        catch (Exception failure)
        {
            // Model callbacks are foreign code and a start can fail in many ways: each is a state of the resource, never the end of the
            // run.
            Log.CannotStart(_logger, failure.Message);
            if (_restarts.Crashes > 0)
            {
                // What a crash left behind may stand in the way for a moment: the next try is part of the same back-off.
                await PublishAsync(snapshot => snapshot with { State = new ResourceStateSnapshot(Restarting, "warn"), Ready = null });
                return Outcome.Crashed;
            }

            await PublishEndAsync(KnownResourceStates.FailedToStart, exitCode: null);
            return Outcome.Ended;
        }
    }

    private async Task PassGateAsync(CancellationToken cancellationToken)
    {
        using var wait = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _wait = wait;
        try
        {
            await gate.PassAsync(wait.Token);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            Log.WaitReleased(_logger);
        }
        finally
        {
            _wait = null;
        }
    }

    private async Task<Outcome> WatchAsync(IRunningProgram running, CancellationToken cancellationToken)
    {
        await Task.WhenAny(running.Exited, Task.Delay(Timeout.Infinite, cancellationToken));
        var stopped = !running.Exited.IsCompleted;
        if (stopped)
        {
            await PublishAsync(snapshot => snapshot with { State = KnownResourceStates.Stopping });
            await running.StopAsync(_grace);
        }

        var code = await running.Exited;
        if (!stopped && (code != 0 || !running.CanFinish) && code != WrongSettings && gate.RestartsAfterCrash)
        {
            Log.Crashed(_logger, code);
            await PublishAsync(
                snapshot =>
                    snapshot with
                    {
                        State = new ResourceStateSnapshot(Restarting, "warn"),
                        ExitCode = code,
                        StopTimeStamp = context.Now,
                        Ready = null,
                    });
            return Outcome.Crashed;
        }

        if (code == WrongSettings && !stopped)
        {
            Log.WrongSettings(_logger, code);
        }
        else
        {
            Log.Ended(_logger, code);
        }

        await PublishEndAsync(KnownResourceStates.Finished, code);
        return Outcome.Ended;
    }

    /// <summary>Waits after a crash. False when it shall stay down.</summary>
    private async Task<bool> PauseAsync(CancellationToken cancellationToken)
    {
        if (_restarts.Crashed() is not { } delay)
        {
            Log.GaveUp(_logger, _restarts.Crashes);
            await PublishAsync(snapshot => snapshot with { State = KnownResourceStates.Finished });
            await PublishStoppedAsync();
            return false;
        }

        Log.RestartIn(_logger, delay.TotalSeconds, _restarts.Crashes);
        try
        {
            await _startAsked.WaitAsync(delay, cancellationToken);
            return true;
        }
        catch (OperationCanceledException)
        {
            await PublishEndAsync(KnownResourceStates.Finished, exitCode: null);
            return false;
        }
    }

    private async Task PublishEndAsync(string state, int? exitCode)
    {
        await PublishAsync(snapshot => snapshot with
        {
            State = state == KnownResourceStates.FailedToStart ? new ResourceStateSnapshot(state, "error") : state,
            ExitCode = exitCode ?? snapshot.ExitCode,
            StopTimeStamp = context.Now,
            Ready = null,
            Urls = [.. snapshot.Urls.Select(url => url with { IsInactive = true })],
        });
        await PublishStoppedAsync();
    }

    private Task PublishStoppedAsync() => context.Notifications.TryGetCurrentState(id, out var current)
        ? context.Eventing.PublishAsync(new ResourceStoppedEvent(resource, context.Services, current),
            Aspire.Hosting.Eventing.EventDispatchBehavior.NonBlockingConcurrent, CancellationToken.None)
        : Task.CompletedTask;

    private async Task PublishAsync(Func<CustomResourceSnapshot, CustomResourceSnapshot> change)
    {
        await context.Notifications.PublishUpdateAsync(resource, id, change);
        await gate.MirrorAsync(change);
    }

    /// <summary>One start, up to its end or its pause after a crash.</summary>
    private sealed class Attempt(CancellationToken ending) : IDisposable
    {
        private readonly CancellationTokenSource _stop = CancellationTokenSource.CreateLinkedTokenSource(ending);
        private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public CancellationToken Token => _stop.Token;

        public Task Done => _done.Task;

        public async Task CancelAsync()
        {
            try
            {
                await _stop.CancelAsync();
            }
            catch (ObjectDisposedException)
            {
                // It ended by itself in this moment.
            }
        }

        public void Finish() => _done.TrySetResult();

        public void Dispose() => _stop.Dispose();
    }
}
