using Aspire.Hosting.Eventing;
using Microsoft.Extensions.Logging;

namespace Aspire.Hosting.ApplicationModel
{
    /// <summary>Once, before anything else; also when publishing.</summary>
    public class BeforeStartEvent(IServiceProvider services, DistributedApplicationModel model) : IDistributedApplicationEvent
    {
        public IServiceProvider Services { get; } = services;

        public DistributedApplicationModel Model { get; } = model;
    }

    /// <summary>Once, when every resource has been created.</summary>
    public class AfterResourcesCreatedEvent(IServiceProvider services, DistributedApplicationModel model) : IDistributedApplicationEvent
    {
        public IServiceProvider Services { get; } = services;

        public DistributedApplicationModel Model { get; } = model;
    }

    /// <summary>The resource's turn to prepare itself; nothing waits for it.</summary>
    public class InitializeResourceEvent : IDistributedApplicationResourceEvent
    {
        internal InitializeResourceEvent(
            IResource resource, IDistributedApplicationEventing eventing, ResourceLoggerService loggers,
            ResourceNotificationService notifications, IServiceProvider services)
        {
            Resource = resource;
            Eventing = eventing;
            Logger = loggers.GetLogger(resource);
            Notifications = notifications;
            Services = services;
        }

        public IResource Resource { get; }

        public IDistributedApplicationEventing Eventing { get; }

        public ILogger Logger { get; }

        public ResourceNotificationService Notifications { get; }

        public IServiceProvider Services { get; }
    }

    /// <summary>Every statically known endpoint of the resource has its address.</summary>
    public class ResourceEndpointsAllocatedEvent(IResource resource, IServiceProvider services) : IDistributedApplicationResourceEvent
    {
        public IResource Resource { get; } = resource;

        public IServiceProvider Services { get; } = services;
    }

    /// <summary>The connection string can be resolved.</summary>
    public class ConnectionStringAvailableEvent(IResource resource, IServiceProvider services) : IDistributedApplicationResourceEvent
    {
        public IResource Resource { get; } = resource;

        public IServiceProvider Services { get; } = services;
    }

    /// <summary>The resource is about to start; the start waits for the subscribers.</summary>
    public class BeforeResourceStartedEvent(IResource resource, IServiceProvider services) : IDistributedApplicationResourceEvent
    {
        public IResource Resource { get; } = resource;

        public IServiceProvider Services { get; } = services;
    }

    /// <summary>The resource runs and was healthy for the first time since it started.</summary>
    public class ResourceReadyEvent(IResource resource, IServiceProvider services) : IDistributedApplicationResourceEvent
    {
        public IResource Resource { get; } = resource;

        public IServiceProvider Services { get; } = services;
    }

    /// <summary>The resource has ended.</summary>
    public class ResourceStoppedEvent(IResource resource, IServiceProvider services,
        ResourceEvent resourceEvent) : IDistributedApplicationResourceEvent
    {
        public IResource Resource { get; } = resource;

        public IServiceProvider Services { get; } = services;

        /// <summary>The last state.</summary>
        public ResourceEvent ResourceEvent { get; } = resourceEvent;
    }
}

namespace Aspire.Hosting.Publishing
{
    using Aspire.Hosting.ApplicationModel;

    /// <summary>Once, before the model is published.</summary>
    public sealed class BeforePublishEvent(IServiceProvider services, DistributedApplicationModel model) : IDistributedApplicationEvent
    {
        public IServiceProvider Services { get; } = services;

        public DistributedApplicationModel Model { get; } = model;
    }

    /// <summary>Once, after the model was published.</summary>
    public sealed class AfterPublishEvent(IServiceProvider services, DistributedApplicationModel model) : IDistributedApplicationEvent
    {
        public IServiceProvider Services { get; } = services;

        public DistributedApplicationModel Model { get; } = model;
    }
}
