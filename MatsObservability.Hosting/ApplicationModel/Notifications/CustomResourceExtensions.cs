using Aspire.Hosting.ApplicationModel;

namespace Aspire.Hosting;

/// <summary>Resources of one's own types.</summary>
public static class CustomResourceExtensions
{
    /// <summary>The state the resource is first shown in.</summary>
    public static IResourceBuilder<TResource> WithInitialState<TResource>(
        this IResourceBuilder<TResource> builder, CustomResourceSnapshot initialSnapshot)
        where TResource : IResource =>
        builder.WithAnnotation(new InitialSnapshotAnnotation(initialSnapshot), ResourceAnnotationMutationBehavior.Replace);
}
