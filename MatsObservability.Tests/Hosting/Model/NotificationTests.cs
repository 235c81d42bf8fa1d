using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Diagnostics.HealthChecks;

namespace MatsObservability.Tests.Hosting.Model;

/// <summary>The states of resources, published by hand as the run publishes them.</summary>
[Trait("Req", "B018")]
public sealed class NotificationTests : IDisposable
{
    private static readonly TimeSpan s_deadline = TimeSpan.FromSeconds(30);

    private readonly DistributedApplicationBuilder _builder = TestModel.CreateForPublishing();
    private readonly IResourceBuilder<ContainerResource> _server;
    private readonly IResourceBuilder<ContainerResource> _waiter;
    private readonly Lazy<DistributedApplication> _application;

    public NotificationTests()
    {
        _server = _builder.AddContainer("server", "repo/c");
        _waiter = _builder.AddContainer("waiter", "repo/c");
        _application = new Lazy<DistributedApplication>(_builder.Build);
    }

    private ResourceNotificationService Notifications => _application.Value.ResourceNotifications;

    public void Dispose() => _application.Value.Dispose();

    [Fact]
    public async Task Watch_StartedLate_ReplaysThePresentStatesThenChanges()
    {
        await PublishAsync(_server.Resource, KnownResourceStates.Starting);
        await PublishAsync(_server.Resource, KnownResourceStates.Running);
        await using var events = Notifications.WatchAsync().GetAsyncEnumerator();

        await events.MoveNextAsync().AsTask().WaitAsync(s_deadline);
        var replayed = events.Current;
        await PublishAsync(_server.Resource, KnownResourceStates.Stopping);
        await events.MoveNextAsync().AsTask().WaitAsync(s_deadline);

        Assert.Equal(("server", KnownResourceStates.Running), (replayed.ResourceId, replayed.Snapshot.State?.Text));
        Assert.Equal(KnownResourceStates.Stopping, events.Current.Snapshot.State?.Text);
    }

    [Fact]
    public async Task WaitForResource_StateReachedBeforeOrAfter_IsSeen()
    {
        var after = Notifications.WaitForResourceAsync("SERVER");
        Assert.False(after.IsCompleted);
        await PublishAsync(_server.Resource, KnownResourceStates.Running);

        await after.WaitAsync(s_deadline);
        Assert.Equal(
            KnownResourceStates.Running,
            await Notifications.WaitForResourceAsync("server", [KnownResourceStates.Exited, KnownResourceStates.Running])
                .WaitAsync(s_deadline));
    }

    [Fact]
    public async Task WaitForResource_Cancelled_Throws()
    {
        using var cancel = new CancellationTokenSource();
        var waiting = Notifications.WaitForResourceAsync("server", cancellationToken: cancel.Token);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => waiting.WaitAsync(s_deadline));
    }

    [Fact]
    public async Task CurrentState_ByIdOrByNameOfOneInstance_IsFound()
    {
        await Notifications.PublishUpdateAsync(_server.Resource, "server-abcdefgh", Running);
        Assert.True(Notifications.TryGetCurrentState("server", out var single));
        await Notifications.PublishUpdateAsync(_server.Resource, "server-ijklmnop", Running);

        Assert.Equal("server-abcdefgh", single.ResourceId);
        Assert.True(Notifications.TryGetCurrentState("server-ijklmnop", out _));
        Assert.False(Notifications.TryGetCurrentState("server", out _));
        Assert.False(Notifications.TryGetCurrentState("none", out _));
    }

    [Fact]
    public async Task Update_OfAResource_ReachesEveryInstance()
    {
        _server.Resource.Annotations.Add(new ResourceInstancesAnnotation(["server-a", "server-b"]));

        await PublishAsync(_server.Resource, KnownResourceStates.Running);

        Assert.True(Notifications.TryGetCurrentState("server-a", out _));
        Assert.True(Notifications.TryGetCurrentState("server-b", out _));
        Assert.False(Notifications.TryGetCurrentState("server", out _));
    }

    [Fact]
    public void HealthStatus_ByStateAndReports_IsTheWorst()
    {
        HealthReportSnapshot healthy = new("a", HealthStatus.Healthy, null, null), degraded = new("b", HealthStatus.Degraded, null, null),
            notRun = new("c", null, null, null);

        Assert.Null(Snapshot(KnownResourceStates.Starting, healthy).HealthStatus);
        Assert.Equal(HealthStatus.Healthy, Snapshot(KnownResourceStates.Running).HealthStatus);
        Assert.Equal(HealthStatus.Healthy, Snapshot(KnownResourceStates.Running, healthy).HealthStatus);
        Assert.Equal(HealthStatus.Degraded, Snapshot(KnownResourceStates.Running, healthy, degraded).HealthStatus);
        Assert.Equal(HealthStatus.Unhealthy, Snapshot(KnownResourceStates.Running, healthy, degraded, notRun).HealthStatus);

        static CustomResourceSnapshot Snapshot(string state, params HealthReportSnapshot[] reports) =>
            new() { ResourceType = "Test", Properties = [], State = state, HealthReports = [.. reports] };
    }

    [Fact]
    public async Task WaitForHealthy_OfACheckedResource_WaitsForTheReportAndTheReadyHandlers()
    {
        _server.WithHealthCheck("key");
        _builder.Services.AddHealthChecks().AddCheck("key", () => HealthCheckResult.Healthy());
        var ready = new TaskCompletionSource();
        var waiting = Notifications.WaitForResourceHealthyAsync("server");

        await Notifications.PublishUpdateAsync(_server.Resource, Running);
        Assert.True(Notifications.TryGetCurrentState("server", out var running));
        Assert.Equal(HealthStatus.Unhealthy, running.Snapshot.HealthStatus);
        var seen = Notifications.WaitForResourceAsync("server", current => current.Snapshot.HealthStatus == HealthStatus.Healthy);
        await Notifications.PublishUpdateAsync(_server.Resource, snapshot => snapshot with
        {
            HealthReports = [new HealthReportSnapshot("key", HealthStatus.Healthy, null, null)],
            Ready = ready.Task,
        });
        await seen.WaitAsync(s_deadline);
        Assert.False(waiting.IsCompleted);
        ready.SetResult();

        Assert.Equal(HealthStatus.Healthy, (await waiting.WaitAsync(s_deadline)).Snapshot.HealthStatus);
    }

    [Fact]
    public async Task WaitForHealthy_ResourceEndsOrIsUnknown_StopsWithoutADashboard()
    {
        var waiting = Notifications.WaitForResourceHealthyAsync("server");
        await PublishAsync(_server.Resource, KnownResourceStates.FailedToStart);

        Assert.Contains(
            "'FailedToStart'", (await Assert.ThrowsAsync<DistributedApplicationException>(() => waiting.WaitAsync(s_deadline))).Message,
            StringComparison.Ordinal);
        Assert.Equal(
            "Resource 'none' not found.",
            (await Assert.ThrowsAsync<DistributedApplicationException>(
                () => Notifications.WaitForResourceHealthyAsync("none").WaitAsync(s_deadline))).Message);
    }

    [Fact]
    public async Task WaitForDependencies_UntilHealthy_IsWaitingUntilTheyAre()
    {
        _waiter.WaitFor(_server);
        var waiting = Notifications.WaitForDependenciesAsync(_waiter.Resource, CancellationToken.None);

        Assert.True(Notifications.TryGetCurrentState("waiter", out var state));
        Assert.Equal(KnownResourceStates.Waiting, state.Snapshot.State?.Text);
        var seen = Notifications.WaitForResourceAsync("server");
        await Notifications.PublishUpdateAsync(_server.Resource, Running);
        await seen.WaitAsync(s_deadline);
        Assert.False(waiting.IsCompleted);
        await Notifications.PublishUpdateAsync(_server.Resource, snapshot => snapshot with { Ready = Task.CompletedTask });

        await waiting.WaitAsync(s_deadline);
    }

    [Fact]
    public async Task WaitForDependencies_ReadyHandlerFails_FailsTheWaiter()
    {
        _waiter.WaitFor(_server);
        await Notifications.PublishUpdateAsync(_server.Resource,
            snapshot => Running(snapshot) with { Ready = Task.FromException(new InvalidOperationException("seed failed")) });

        var failure = await Assert.ThrowsAsync<InvalidOperationException>(
            () => Notifications.WaitForDependenciesAsync(_waiter.Resource, CancellationToken.None).WaitAsync(s_deadline));

        Assert.Equal("seed failed", failure.Message);
    }

    [Fact]
    public async Task WaitForDependencies_WaitBehavior_DecidesWhatAFailureMeans()
    {
        _waiter.WaitForStart(_server, WaitBehavior.WaitOnResourceUnavailable);
        var patient = Notifications.WaitForDependenciesAsync(_waiter.Resource, CancellationToken.None);
        var seen = Notifications.WaitForResourceAsync("server", KnownResourceStates.Exited);
        await PublishAsync(_server.Resource, KnownResourceStates.Exited);
        await seen.WaitAsync(s_deadline);
        Assert.False(patient.IsCompleted);
        await PublishAsync(_server.Resource, KnownResourceStates.Running);
        await patient.WaitAsync(s_deadline);

        var impatientWaiter = _builder.CreateResourceBuilder(new ContainerResource("impatient"))
            .WaitForStart(_server, WaitBehavior.StopOnResourceUnavailable);
        await PublishAsync(_server.Resource, KnownResourceStates.Exited);
        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => Notifications.WaitForDependenciesAsync(impatientWaiter.Resource, CancellationToken.None).WaitAsync(s_deadline));

        Assert.Equal("Resource 'impatient' cannot start: dependency resource 'server' is 'Exited'.", failure.Message);
    }

    [Theory]
    [InlineData(3, null)]
    [InlineData(0, "ended with exit code 0, expected 3.")]
    public async Task WaitForCompletion_ExitCode_MustBeTheExpectedOne(int exitCode, string? fault)
    {
        _waiter.WaitForCompletion(_server, exitCode: 3);
        var waiting = Notifications.WaitForDependenciesAsync(_waiter.Resource, CancellationToken.None);
        await Notifications.PublishUpdateAsync(
            _server.Resource, snapshot => snapshot with { State = KnownResourceStates.Finished, ExitCode = exitCode });

        var failure = await Record.ExceptionAsync(() => waiting.WaitAsync(s_deadline));

        Assert.Equal(fault is null, failure is null);
        Assert.EndsWith(fault ?? "", failure?.Message ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public async Task Commands_OfAResource_RunByIdOrNameAndReportFailuresAsResults()
    {
        _server.WithCommand("greet", "Greet", context => Task.FromResult(CommandResults.Success("hello " + context.ResourceName)))
            .WithCommand("break", "Break", _ => throw new InvalidOperationException("broken"))
            .WithCommand("greet", "Greet again",
                context => Task.FromResult(CommandResults.Success("again " + context.ResourceName)), new CommandOptions
                {
                    UpdateState = context => context.ResourceSnapshot.State?.Text == KnownResourceStates.Running
                        ? ResourceCommandState.Enabled
                        : ResourceCommandState.Disabled,
                });
        await PublishAsync(_server.Resource, KnownResourceStates.Starting);
        var commands = _application.Value.ResourceCommands;

        Assert.Equal("again server", (await commands.ExecuteCommandAsync("server", "greet")).Message);
        Assert.Equal((false, "broken"), Outcome(await commands.ExecuteCommandAsync(_server.Resource, "break")));
        Assert.Equal((false, "Resource 'none' not found."), Outcome(await commands.ExecuteCommandAsync("none", "greet")));
        Assert.Equal((false, "Command 'none' not available for resource 'server'."),
            Outcome(await commands.ExecuteCommandAsync("server", "none")));
        Assert.Equal(ResourceCommandState.Disabled, StateOf("greet"));
        await PublishAsync(_server.Resource, KnownResourceStates.Running);
        Assert.Equal(ResourceCommandState.Enabled, StateOf("greet"));

        static (bool, string?) Outcome(ExecuteCommandResult result) => (result.Success, result.Message);

        ResourceCommandState StateOf(string command) =>
            Notifications.TryGetCurrentState("server", out var state)
                ? state.Snapshot.Commands.Single(snapshot => snapshot.Name == command).State
                : throw new InvalidOperationException();
    }

    [Fact]
    public async Task Logs_WrittenAndAppended_AreKeptNumberedAndWatched()
    {
        var logs = _application.Value.Services.GetRequiredService<ResourceLoggerService>();
        logs.Append("server", "from the process", isErrorMessage: true);
        await using var watched = logs.WatchAsync(_server.Resource).GetAsyncEnumerator();
        await watched.MoveNextAsync().AsTask().WaitAsync(s_deadline);
        Assert.Equal([new LogLine(1, "from the process", IsErrorMessage: true)], watched.Current);

        logs.Append("server", "second", isErrorMessage: false);
        await watched.MoveNextAsync().AsTask().WaitAsync(s_deadline);
        Assert.Equal([new LogLine(2, "second", IsErrorMessage: false)], watched.Current);

        logs.Complete("server");
        Assert.False(await watched.MoveNextAsync().AsTask().WaitAsync(s_deadline));
        Assert.Equal(2, await CountAsync());
        logs.ClearBacklog("server");
        Assert.Equal(0, await CountAsync());

        async Task<int> CountAsync()
        {
            var count = 0;
            await foreach (var batch in logs.GetAllAsync("server"))
            {
                count += batch.Count;
            }

            return count;
        }
    }

    [Fact]
    public async Task HealthCheckKey_WithoutRegistration_StopsTheStart()
    {
        var builder = TestModel.Create();
        builder.AddContainer("c", "repo/c").WithHealthCheck("missing");
        using var application = builder.Build();

        var failure = await Assert.ThrowsAsync<Microsoft.Extensions.Options.OptionsValidationException>(() => application.StartAsync());

        Assert.Contains("'missing' of resource 'c'", failure.Message, StringComparison.Ordinal);
    }

    private static CustomResourceSnapshot Running(CustomResourceSnapshot snapshot) => snapshot with { State = KnownResourceStates.Running };

    private Task PublishAsync(IResource resource, string state) =>
        Notifications.PublishUpdateAsync(resource, snapshot => snapshot with { State = state });
}
