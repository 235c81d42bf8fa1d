using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Aspire.Hosting.Eventing;

/// <summary>Keeps the subscriptions and calls them. What a subscriber throws reaches the publisher if it waits, else the log.</summary>
internal sealed partial class DistributedApplicationEventing : IDistributedApplicationEventing
{
    private readonly Lock _lock = new();
    private readonly Dictionary<Type, List<DistributedApplicationEventSubscription>> _subscriptions = [];
    private ILogger _logger = NullLogger.Instance;

    /// <summary>Where failures of subscribers that nobody waits for go, once there is a log.</summary>
    public void LogTo(ILogger logger) => _logger = logger;

    public DistributedApplicationEventSubscription Subscribe<T>(Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationEvent
    {
        ArgumentNullException.ThrowIfNull(callback);
        if (typeof(T).IsInterface || typeof(T).IsAbstract)
        {
            throw new ArgumentException($"Subscribe to a concrete event type: '{typeof(T)}' is an interface or abstract.",
                nameof(callback));
        }

        var subscription = new DistributedApplicationEventSubscription(
            (@event, cancellationToken) => callback((T)@event, cancellationToken));
        lock (_lock)
        {
            if (!_subscriptions.TryGetValue(typeof(T), out var list))
            {
                _subscriptions[typeof(T)] = list = [];
            }

            list.Add(subscription);
        }

        return subscription;
    }

    public DistributedApplicationEventSubscription Subscribe<T>(IResource resource, Func<T, CancellationToken, Task> callback)
        where T : IDistributedApplicationResourceEvent
    {
        ArgumentNullException.ThrowIfNull(resource);
        ArgumentNullException.ThrowIfNull(callback);
        return Subscribe<T>(
            (@event, cancellationToken) => ReferenceEquals(@event.Resource, resource)
                ? callback(@event, cancellationToken)
                : Task.CompletedTask);
    }

    public void Unsubscribe(DistributedApplicationEventSubscription subscription)
    {
        ArgumentNullException.ThrowIfNull(subscription);
        lock (_lock)
        {
            foreach (var list in _subscriptions.Values)
            {
                list.Remove(subscription);
            }
        }
    }

    public Task PublishAsync<T>(T @event, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent => PublishAsync(@event, EventDispatchBehavior.BlockingSequential, cancellationToken);

    public Task PublishAsync<T>(T @event, EventDispatchBehavior dispatchBehavior, CancellationToken cancellationToken = default)
        where T : IDistributedApplicationEvent
    {
        ArgumentNullException.ThrowIfNull(@event);
        DistributedApplicationEventSubscription[] subscribers;
        lock (_lock)
        {
            subscribers = _subscriptions.TryGetValue(@event.GetType(), out var list) ? [.. list] : [];
        }

        switch (dispatchBehavior)
        {
            case EventDispatchBehavior.BlockingSequential:
                return SequentiallyAsync();
            case EventDispatchBehavior.BlockingConcurrent:
                return ConcurrentlyAsync();
            case EventDispatchBehavior.NonBlockingSequential:
                _ = ObserveAsync(SequentiallyAsync);
                return Task.CompletedTask;
            case EventDispatchBehavior.NonBlockingConcurrent:
                _ = ObserveAsync(ConcurrentlyAsync);
                return Task.CompletedTask;
            default:
                throw new ArgumentOutOfRangeException(nameof(dispatchBehavior), dispatchBehavior, message: null);
        }

        async Task SequentiallyAsync()
        {
            foreach (var subscriber in subscribers)
            {
                await subscriber.Callback(@event, cancellationToken);
            }
        }

        async Task ObserveAsync(Func<Task> dispatch)
        {
            try
            {
                await Task.Run(dispatch, cancellationToken);
            }
            catch (OperationCanceledException) when (cancellationToken.IsCancellationRequested)
            {
                // The application is stopping; what was still to be told is of no use any more.
            }
            catch (Exception failure)
            {
                // A subscriber is foreign code, and its publisher has gone on: the log is the only place left.
                Log.SubscriberFailed(_logger, failure, @event.GetType().Name);
            }
        }

        Task ConcurrentlyAsync() => Task.WhenAll(subscribers.Select(subscriber => subscriber.Callback(@event, cancellationToken)));
    }

    private static partial class Log
    {
        [LoggerMessage(120, LogLevel.Error, "A subscriber of {Event} failed; the application goes on.")]
        public static partial void SubscriberFailed(ILogger logger, Exception failure, string @event);
    }
}
