using System.Reflection;
using Aspire.Hosting;
using Aspire.Hosting.Testing;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Hosting.Testing;

/// <summary>The entry point of an AppHost, on a thread of its own, held inside <c>Build()</c> until the test has had its say.</summary>
/// <remarks>
/// 1 the thread calls the entry point with <see cref="BuilderHooks"/> in its execution context; 2 the builder it makes gets the defaults of
/// a test; 3 its <c>Build()</c> hands the builder to the test and waits; 4 <see cref="BuildAsync"/> lets it build; 5 the built application
/// goes to the test, and the entry point is unwound, because the test runs the application itself.
/// </remarks>
internal sealed class EntryPointRun
{
    private static readonly TimeSpan s_entryPointLimit = TimeSpan.FromMinutes(5);

    private readonly TaskCompletionSource<DistributedApplicationBuilder> _building = new(
        TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<DistributedApplication> _built = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _mayBuild = new();
    private volatile bool _abandoned;

    private EntryPointRun()
    {
    }

    /// <summary>Runs the entry point up to its <c>Build()</c>.</summary>
    /// <exception cref="InvalidOperationException">The assembly has no entry point, or that one ended without building an
    /// application.</exception>
    /// <exception cref="TimeoutException">It did not get there within five minutes.</exception>
    public static async Task<IDistributedApplicationTestingBuilder> StartAsync(
        Assembly appHost, string[] args, Action<DistributedApplicationOptions, HostApplicationBuilderSettings> configureBuilder,
        CancellationToken cancellationToken)
    {
        var entryPoint = appHost.EntryPoint
            ?? throw new InvalidOperationException($"The assembly '{appHost.GetName().Name}' has no entry point.");
        var run = new EntryPointRun();
        var hooks = new BuilderHooks
        {
            Constructing = (options, settings) => TestDefaults.Apply(appHost, options, settings, configureBuilder),
            Building = run.HoldUntilBuild,
            Built = run.HandOver,
        };
        new Thread(() => run.Invoke(entryPoint, args, hooks)) { IsBackground = true, Name = "AppHost entry point" }.Start();
        var builder = await run._building.Task.WaitAsync(s_entryPointLimit, cancellationToken);
        return new EntryPointTestingBuilder(builder, run);
    }

    /// <summary>Lets the entry point build; its exceptions are thrown here.</summary>
    public Task<DistributedApplication> BuildAsync(CancellationToken cancellationToken)
    {
        _mayBuild.TrySetResult();
        return _built.Task.WaitAsync(s_entryPointLimit, cancellationToken);
    }

    /// <summary>Ends the entry point if it is still held, and disposes the application if there is one.</summary>
    public async ValueTask AbandonAsync()
    {
        _abandoned = true;
        _mayBuild.TrySetResult();
        await _ended.Task;
        if (_built.Task.IsCompletedSuccessfully)
        {
            await (await _built.Task).DisposeAsync();
        }
    }

    private void Invoke(MethodInfo entryPoint, string[] args, BuilderHooks hooks)
    {
        BuilderHooks.Current = hooks;
        try
        {
            // An asynchronous Main is compiled to a synchronous entry point.
            entryPoint.Invoke(null, entryPoint.GetParameters().Length == 0 ? [] : [args]);
            Fail(new InvalidOperationException("The entry point of the AppHost ended without building an application."));
        }
        catch (TargetInvocationException failure)
        {
            Fail(failure.InnerException ?? failure);
        }
        finally
        {
            _ended.SetResult();
        }
    }

    private void HoldUntilBuild(DistributedApplicationBuilder builder)
    {
        _building.TrySetResult(builder);
        _mayBuild.Task.GetAwaiter().GetResult();
        if (_abandoned)
        {
            throw new HostAbortedException();
        }
    }

    private void HandOver(DistributedApplication application)
    {
        _built.TrySetResult(application);
        throw new HostAbortedException();
    }

    private void Fail(Exception failure)
    {
        _building.TrySetException(failure);
        if (_built.TrySetException(failure))
        {
            // Whoever awaited Create saw the failure; nobody may ever ask for the application.
            _ = _built.Task.Exception;
        }
    }
}
