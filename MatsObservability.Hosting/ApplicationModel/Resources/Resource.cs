using System.Collections.ObjectModel;
using System.Diagnostics;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>A part of the system: a service, a server, a database, a setting.</summary>
public interface IResource
{
    /// <summary>Unique in the model ignoring case; 1-64 ASCII letters, digits and single hyphens, first a letter.</summary>
    public string Name { get; }

    /// <summary>Everything that was said about the resource, in the order it was said.</summary>
    public ResourceAnnotationCollection Annotations { get; }
}

/// <summary>Something said about a resource.</summary>
public interface IResourceAnnotation;

/// <summary>The annotations of one resource, in the order they were added.</summary>
public sealed class ResourceAnnotationCollection : Collection<IResourceAnnotation>;

/// <summary>
/// What <see cref="IResourceBuilder{T}.WithAnnotation{TAnnotation}(TAnnotation, ResourceAnnotationMutationBehavior)"/> does with
/// annotations of the same type.
/// </summary>
public enum ResourceAnnotationMutationBehavior
{
    Append = 0,
    Replace = 1,
}

/// <summary>Base of every resource.</summary>
[DebuggerDisplay("{GetType().Name,nq}: {Name}")]
public abstract class Resource : IResource
{
    /// <exception cref="ArgumentException">The name breaks the naming rules.</exception>
    protected Resource(string name)
    {
        ModelName.Validate("Resource", name);
        Name = name;
    }

    public string Name { get; }

    public ResourceAnnotationCollection Annotations { get; } = [];
}

/// <summary>A resource whose process gets environment variables.</summary>
public interface IResourceWithEnvironment : IResource;

/// <summary>A resource whose process gets command-line arguments.</summary>
public interface IResourceWithArgs : IResource;

/// <summary>A resource that listens on endpoints.</summary>
public interface IResourceWithEndpoints : IResource;

/// <summary>A resource whose start can be held back until others are ready.</summary>
public interface IResourceWithWaitSupport : IResource;

/// <summary>A resource that never starts or stops, so nothing waits for it.</summary>
public interface IResourceWithoutLifetime : IResource;

/// <summary>A resource that runs code: a project, a container, an executable.</summary>
public interface IComputeResource : IResource;

/// <summary>A resource that belongs to another one, as a database belongs to its server.</summary>
public interface IResourceWithParent : IResource
{
    public IResource Parent { get; }
}

/// <summary>A resource that belongs to a <typeparamref name="T"/>.</summary>
public interface IResourceWithParent<out T> : IResourceWithParent
    where T : IResource
{
    public new T Parent { get; }

    IResource IResourceWithParent.Parent => Parent;
}
