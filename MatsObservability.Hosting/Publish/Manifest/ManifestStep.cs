using Aspire.Hosting;

namespace MatsObservability.Hosting.Publish.Manifest;

/// <summary>The step <c>publish-manifest</c>, which <c>--publisher manifest</c> implies.</summary>
internal static class ManifestStep
{
    public static PublishStep Step { get; } = new("publish-manifest", async (model, executionContext, outputPath, cancellationToken) =>
    {
        if (string.IsNullOrEmpty(outputPath))
        {
            throw new DistributedApplicationException(
                "The '--output-path [path]' option was not specified even though manifest publishing was requested.");
        }

        var path = ManifestWriter.FilePath(outputPath);
        await ManifestWriter.WriteFileAsync(model, executionContext, path, cancellationToken);
        return $"Published manifest to: {path}";
    });
}
