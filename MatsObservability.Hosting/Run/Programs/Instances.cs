using System.Security.Cryptography;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Programs;

/// <summary>Names of instances.</summary>
internal static class Instances
{
    private const string Letters = "abcdefghijklmnopqrstuvwxyz";
    private const int SuffixLength = 8;

    /// <summary>Gives a resource that runs code its instances, each called <c>name-suffix</c>; any other keeps its own name.</summary>
    public static void Assign(IResource resource)
    {
        if (resource is IComputeResource && !resource.HasAnnotationOfType<ResourceInstancesAnnotation>())
        {
            var ids = Enumerable.Range(0, resource.GetReplicaCount())
                .Select(_ => $"{resource.Name}-{RandomNumberGenerator.GetString(Letters, SuffixLength)}");
            resource.Annotations.Add(new ResourceInstancesAnnotation([.. ids]));
        }
    }

    /// <summary>The part of an id that tells instances of one resource apart.</summary>
    public static string SuffixOf(string id) => id[(id.LastIndexOf('-') + 1)..];
}
