using System.Text.Json;
using System.Text.Json.Nodes;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Publish.Manifest;

namespace MatsObservability.Tests.Hosting;

/// <summary>Models as the AppHost project would make them, without starting anything.</summary>
internal static class TestModel
{
    public static string AppHostDirectory => Projects.MatsObservability_AppHost.ProjectPath;

    public static DistributedApplicationBuilder Create(params string[] args) =>
        new(new DistributedApplicationOptions { Args = args, AssemblyName = "MatsObservability.AppHost", DisableDashboard = true });

    public static DistributedApplicationBuilder CreateForPublishing(params string[] args) =>
        Create(["--publisher", "manifest", "--output-path", "aspire-manifest.json", .. args]);

    /// <summary>The manifest as if it were written into the AppHost's directory.</summary>
    public static async Task<byte[]> ManifestBytesAsync(IDistributedApplicationBuilder builder)
    {
        using var output = new MemoryStream();
        await ManifestWriter.WriteAsync(
            new DistributedApplicationModel(builder.Resources), builder.ExecutionContext,
            Path.Combine(AppHostDirectory, "aspire-manifest.json"), output, CancellationToken.None);
        return output.ToArray();
    }

    /// <summary>The part of the manifest under <c>resources</c>.</summary>
    public static async Task<JsonObject> ManifestAsync(IDistributedApplicationBuilder builder) =>
        JsonNode.Parse(await ManifestBytesAsync(builder))!["resources"]!.AsObject();

    /// <summary>One resource of the manifest as compact JSON, so that the order of properties counts.</summary>
    public static async Task<string> ManifestOfAsync(IDistributedApplicationBuilder builder, string name) =>
        (await ManifestAsync(builder))[name]!.ToJsonString(
            new JsonSerializerOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });

    public static Task<List<KeyValuePair<string, string>>> EnvironmentAsync(IDistributedApplicationBuilder builder, IResource resource) =>
        ResolvedValues.ResolveEnvironmentAsync(
            resource, builder.ExecutionContext, logger: null, new CancellationTokenSource(TimeSpan.FromSeconds(30)).Token);

    /// <summary>Gives every endpoint an address, as a run does: its own port, or the given one.</summary>
    public static void Allocate(IResourceWithEndpoints resource, int firstPort, string? targetPort = null)
    {
        foreach (var endpoint in resource.GetEndpoints().Select(reference => reference.EndpointAnnotation))
        {
            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, "localhost", endpoint.Port ?? firstPort++, targetPort);
        }
    }
}
