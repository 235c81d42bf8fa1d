using System.Text.Json;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Publishing;

namespace MatsObservability.Hosting.Publish.Manifest;

/// <summary>Writes the model as an Aspire manifest.</summary>
/// <remarks>The bytes depend on the model and the manifest's place alone: same model, same file. Nothing is started, no value of a
/// parameter is asked for.</remarks>
internal static class ManifestWriter
{
    private const string FileName = "aspire-manifest.json";

    /// <summary>Where an output path leads: the file itself if it ends in <c>.json</c>, else the usual file in that directory.</summary>
    public static string FilePath(string outputPath)
    {
        var full = Path.GetFullPath(outputPath);
        return full.EndsWith(".json", StringComparison.OrdinalIgnoreCase) ? full : Path.Combine(full, FileName);
    }

    /// <exception cref="DistributedApplicationException">The file cannot be written.</exception>
    public static async Task WriteFileAsync(
        DistributedApplicationModel model, DistributedApplicationExecutionContext executionContext, string path,
        CancellationToken cancellationToken)
    {
        using var content = new MemoryStream();
        await WriteAsync(model, executionContext, path, content, cancellationToken);
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            await File.WriteAllBytesAsync(path, content.ToArray(), cancellationToken);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            throw new DistributedApplicationException($"The manifest cannot be written: {failure.Message}", failure);
        }
    }

    /// <summary>Writes to a stream what would stand in the file at the path.</summary>
    public static async Task WriteAsync(
        DistributedApplicationModel model, DistributedApplicationExecutionContext executionContext, string path, Stream output,
        CancellationToken cancellationToken)
    {
        await using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Indented = true, NewLine = "\n" });
        var context = new ManifestPublishingContext(executionContext, path, writer, cancellationToken);
        writer.WriteStartObject();
        writer.WriteStartObject("resources");
        foreach (var resource in model.Resources)
        {
            await WriteResourceAsync(context, resource);
        }

        context.WriteDependents(model.Resources);
        writer.WriteEndObject();
        writer.WriteEndObject();
        await writer.FlushAsync(cancellationToken);
    }

    private static Task WriteResourceAsync(ManifestPublishingContext context, IResource resource)
    {
        if (resource.TryGetLastAnnotation<ManifestPublishingCallbackAnnotation>(out var annotation))
        {
            return annotation.Callback is { } callback ? WriteObjectAsync(context, resource, () => callback(context)) : Task.CompletedTask;
        }

        switch (resource)
        {
            case ContainerResource container:
                return WriteObjectAsync(context, resource, () => context.WriteContainerAsync(container));
            case ProjectResource project:
                return WriteObjectAsync(context, resource, () => WriteProjectAsync(context, project));
            case ExecutableResource executable:
                return WriteObjectAsync(context, resource, () => WriteExecutableAsync(context, executable));
            case ParameterResource parameter:
                ManifestParameters.Write(context, parameter);
                return Task.CompletedTask;
            case IResourceWithConnectionString:
                return WriteObjectAsync(context, resource, () =>
                {
                    context.Writer.WriteString("type", "value.v0");
                    context.WriteConnectionString(resource);
                    return Task.CompletedTask;
                });
            default:
                return WriteObjectAsync(context, resource, () =>
                {
                    context.Writer.WriteString("error", "This resource does not support generation in the manifest.");
                    return Task.CompletedTask;
                });
        }
    }

    private static async Task WriteObjectAsync(ManifestPublishingContext context, IResource resource, Func<Task> write)
    {
        context.Writer.WriteStartObject(resource.Name);
        await write();
        context.Writer.WriteEndObject();
    }

    private static async Task WriteProjectAsync(ManifestPublishingContext context, ProjectResource project)
    {
        context.Writer.WriteString("type", "project.v0");
        context.Writer.WriteString("path", context.GetManifestRelativePath(project.GetProjectMetadata().ProjectPath));
        await context.WriteCommandLineArgumentsAsync(project);
        await context.WriteEnvironmentVariablesAsync(project);
        context.WriteBindings(project);
    }

    private static async Task WriteExecutableAsync(ManifestPublishingContext context, ExecutableResource executable)
    {
        context.Writer.WriteString("type", "executable.v0");
        context.Writer.WriteString("workingDirectory", context.GetManifestRelativePath(executable.WorkingDirectory));
        context.Writer.WriteString("command", executable.Command);
        await context.WriteCommandLineArgumentsAsync(executable);
        await context.WriteEnvironmentVariablesAsync(executable);
        context.WriteBindings(executable);
    }
}
