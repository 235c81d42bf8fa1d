using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>The reverse of the start order: whoever waits for or refers to others ends before them.</summary>
internal static class StopOrder
{
    /// <summary>Groups of resources that may end together, first group first.</summary>
    public static IEnumerable<IReadOnlyList<IResource>> Of(IEnumerable<IResource> resources)
    {
        var levels = new Dictionary<IResource, int>();
        var all = resources.ToArray();
        foreach (var resource in all)
        {
            LevelOf(resource, levels, []);
        }

        return all.Reverse().GroupBy(resource => levels[resource]).OrderByDescending(group => group.Key)
            .Select(IReadOnlyList<IResource> (group) => [.. group]);
    }

    private static int LevelOf(IResource resource, Dictionary<IResource, int> levels, HashSet<IResource> path)
    {
        if (levels.TryGetValue(resource, out var known))
        {
            return known;
        }

        if (!path.Add(resource))
        {
            return 0; // Two resources that refer to each other have no order.
        }

        var below = resource.Annotations.OfType<WaitAnnotation>().Select(wait => wait.Resource)
            .Concat(resource.Annotations.OfType<ResourceRelationshipAnnotation>().Select(relationship => relationship.Resource))
            .Concat(resource is IResourceWithParent child ? [child.Parent] : [])
            .Where(other => !ReferenceEquals(other, resource))
            .Select(other => LevelOf(other, levels, path) + 1)
            .DefaultIfEmpty(0)
            .Max();
        path.Remove(resource);
        return levels[resource] = below;
    }
}
