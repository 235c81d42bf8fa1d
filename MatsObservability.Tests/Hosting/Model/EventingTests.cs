using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Eventing;
using Aspire.Hosting.Lifecycle;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class EventingTests
{
    [Fact]
    public async Task Publish_ToSeveral_CallsThemInOrderUntilTheyUnsubscribe()
    {
        var eventing = new DistributedApplicationEventing();
        var calls = new List<int>();
        var first = eventing.Subscribe<TestEvent>((_, _) => Add(1));
        eventing.Subscribe<TestEvent>((_, _) => Add(2));

        await eventing.PublishAsync(new TestEvent());
        eventing.Unsubscribe(first);
        await eventing.PublishAsync(new TestEvent());

        Assert.Equal([1, 2, 2], calls);

        Task Add(int call)
        {
            calls.Add(call);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Publish_OfOneResource_ReachesItsSubscribersOnly()
    {
        var builder = TestModel.Create();
        var seen = new List<string>();
        var a = builder.AddContainer("a", "repo/c").OnResourceReady((resource, _, _) => Add(resource.Name));
        builder.AddContainer("b", "repo/c").OnResourceReady((resource, _, _) => Add(resource.Name));

        await builder.Eventing.PublishAsync(new ResourceReadyEvent(a.Resource, new ServiceCollection().BuildServiceProvider()));

        Assert.Equal(["a"], seen);

        Task Add(string name)
        {
            seen.Add(name);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public void Subscribe_ToAnInterfaceOrAbstractType_IsRefused()
    {
        var eventing = new DistributedApplicationEventing();

        Assert.Throws<ArgumentException>(() => eventing.Subscribe<IDistributedApplicationEvent>((_, _) => Task.CompletedTask));
        Assert.Throws<ArgumentException>(() => eventing.Subscribe<AbstractEvent>((_, _) => Task.CompletedTask));
    }

    [Fact]
    public async Task Publish_Blocking_WaitsAndThrowsWhatASubscriberThrows()
    {
        var eventing = new DistributedApplicationEventing();
        eventing.Subscribe<TestEvent>(async (_, cancellationToken) =>
        {
            await Task.Yield();
            cancellationToken.ThrowIfCancellationRequested();
            throw new InvalidOperationException("refused");
        });

        await Assert.ThrowsAsync<InvalidOperationException>(() => eventing.PublishAsync(new TestEvent()));
        await Assert.ThrowsAsync<InvalidOperationException>(
            () => eventing.PublishAsync(new TestEvent(), EventDispatchBehavior.BlockingConcurrent));
    }

    [Theory]
    [InlineData(EventDispatchBehavior.NonBlockingSequential)]
    [InlineData(EventDispatchBehavior.NonBlockingConcurrent)]
    public async Task Publish_NonBlocking_ReturnsBeforeTheSubscribersEnd(EventDispatchBehavior behavior)
    {
        var eventing = new DistributedApplicationEventing();
        var release = new TaskCompletionSource();
        var done = new TaskCompletionSource();
        eventing.Subscribe<TestEvent>(async (_, _) =>
        {
            await release.Task;
            done.SetResult();
        });

        await eventing.PublishAsync(new TestEvent(), behavior);
        Assert.False(done.Task.IsCompleted);
        release.SetResult();

        await done.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task Publish_NonBlockingSubscriberFails_IsLogged()
    {
        var builder = TestModel.CreateForPublishing();
        var log = new ErrorLog();
        builder.Services.AddSingleton<ILoggerProvider>(log);
        using var application = builder.Build();
        builder.Eventing.Subscribe<TestEvent>((_, _) => throw new InvalidOperationException("refused"));

        await builder.Eventing.PublishAsync(new TestEvent(), EventDispatchBehavior.NonBlockingSequential);

        Assert.Equal("refused", (await log.First.WaitAsync(TimeSpan.FromSeconds(30))).Message);
    }

    [Fact]
    public async Task Start_WhenPublishing_PublishesBeforeStartThenThePublishEventsAndEndsByItself()
    {
        using var folder = new Support.TemporaryFolder();
        var seen = new List<string>();
        var builder = TestModel.Create("--publisher", "manifest", "--output-path", folder.File("m.json"));
        builder.Services.AddSingleton(seen);
        builder.Services.TryAddEventingSubscriber<Subscriber>();
        builder.Services.TryAddEventingSubscriber<Subscriber>();
        builder.OnBeforeStart((_, _) => Add("start")).OnBeforePublish((_, _) => Add("before")).OnAfterPublish((_, _) => Add("after"));

        await builder.Build().RunAsync().WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal(["start", "subscriber", "before", "after"], seen);
        Assert.True(File.Exists(folder.File("m.json")));

        Task Add(string name)
        {
            seen.Add(name);
            return Task.CompletedTask;
        }
    }

    [Fact]
    public async Task Run_PublishingWithoutOutputPathOrWithUnknownStep_SaysWhatIsMissing()
    {
        var withoutPath = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => TestModel.Create("--publisher", "manifest").Build().RunAsync());
        var unknownStep = await Assert.ThrowsAsync<DistributedApplicationException>(
            () => TestModel.Create("--operation", "publish", "--step", "sail").Build().RunAsync());

        Assert.Equal("The '--output-path [path]' option was not specified even though manifest publishing was requested.",
            withoutPath.Message);
        Assert.StartsWith("Step 'sail' not found. Available steps: ", unknownStep.Message, StringComparison.Ordinal);
    }

    private sealed class TestEvent : IDistributedApplicationEvent;

    /// <summary>The first exception that anything logs.</summary>
    private sealed class ErrorLog : ILoggerProvider, ILogger
    {
        private readonly TaskCompletionSource<Exception> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Task<Exception> First => _first.Task;

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception,
            Func<TState, Exception?, string> formatter)
        {
            if (exception is not null)
            {
                _first.TrySetResult(exception);
            }
        }

        public void Dispose()
        {
        }
    }

    private abstract class AbstractEvent : IDistributedApplicationEvent;

    private sealed class Subscriber(List<string> seen) : IDistributedApplicationEventingSubscriber
    {
        public Task SubscribeAsync(IDistributedApplicationEventing eventing, DistributedApplicationExecutionContext executionContext,
            CancellationToken cancellationToken)
        {
            eventing.Subscribe<BeforeStartEvent>((_, _) =>
            {
                seen.Add("subscriber");
                return Task.CompletedTask;
            });
            return Task.CompletedTask;
        }
    }
}
