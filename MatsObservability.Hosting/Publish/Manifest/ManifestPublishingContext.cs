using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Publish.Manifest;

namespace Aspire.Hosting.Publishing;

/// <summary>Writes the manifest of one model.</summary>
public sealed class ManifestPublishingContext(
    DistributedApplicationExecutionContext executionContext, string manifestPath, Utf8JsonWriter writer,
    CancellationToken cancellationToken = default)
{
    private readonly ManifestEndpoints _endpoints = new();
    private readonly ManifestDependents _dependents = new();

    public DistributedApplicationExecutionContext ExecutionContext { get; } = executionContext;

    /// <summary>The file that is written; paths in it are relative to its directory.</summary>
    public string ManifestPath { get; } = manifestPath;

    public Utf8JsonWriter Writer { get; } = writer;

    public CancellationToken CancellationToken { get; } = cancellationToken;

    /// <summary>The path as the manifest writes it: relative to the manifest's directory, with forward slashes.</summary>
    public string? GetManifestRelativePath(string? path)
    {
        if (path is null)
        {
            return null;
        }

        var directory = Path.GetDirectoryName(Path.GetFullPath(ManifestPath))!;
        return Path.GetRelativePath(directory, path).Replace('\\', '/');
    }

    /// <summary>Writes a container: its image or build, mounts, environment and endpoints.</summary>
    public async Task WriteContainerAsync(ContainerResource container)
    {
        ArgumentNullException.ThrowIfNull(container);
        if (container.TryGetLastAnnotation<DockerfileBuildAnnotation>(out var build))
        {
            Writer.WriteString("type", "container.v1");
            WriteConnectionString(container);
            ManifestContainers.WriteBuild(this, build);
        }
        else
        {
            Writer.WriteString("type", "container.v0");
            WriteConnectionString(container);
            Writer.WriteString(
                "image",
                container.TryGetContainerImageName(out var image)
                    ? image
                    : throw new DistributedApplicationException($"The container '{container.Name}' has no image."));
        }

        if (container.Entrypoint is { } entrypoint)
        {
            Writer.WriteString("entrypoint", entrypoint);
        }

        await WriteCommandLineArgumentsAsync(container);
        ManifestContainers.WriteMounts(this, container);
        await WriteEnvironmentVariablesAsync(container);
        WriteBindings(container);
    }

    /// <summary>Writes <c>env</c>, unless it is empty.</summary>
    public async Task WriteEnvironmentVariablesAsync(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var variables = await ResolvedValues.CollectEnvironmentAsync(resource, ExecutionContext, logger: null, CancellationToken);
        if (variables.Count == 0)
        {
            return;
        }

        Writer.WriteStartObject("env");
        foreach (var (name, value) in variables)
        {
            Writer.WriteString(name, Expression(value));
        }

        Writer.WriteEndObject();
    }

    /// <summary>Writes <c>args</c>, unless it is empty.</summary>
    public async Task WriteCommandLineArgumentsAsync(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        var arguments = await ResolvedValues.CollectArgumentsAsync(resource, ExecutionContext, logger: null, CancellationToken);
        if (arguments.Count == 0)
        {
            return;
        }

        Writer.WriteStartArray("args");
        foreach (var argument in arguments)
        {
            Writer.WriteStringValue(Expression(argument));
        }

        Writer.WriteEndArray();
    }

    /// <summary>Writes <c>connectionString</c>, if the resource has one.</summary>
    public void WriteConnectionString(IResource resource)
    {
        if (resource is IResourceWithConnectionString connection)
        {
            Writer.WriteString("connectionString", Expression(connection.ConnectionStringExpression));
        }
    }

    /// <summary>Writes <c>bindings</c>, the endpoints of the resource, unless it has none.</summary>
    public void WriteBindings(IResource resource)
    {
        ArgumentNullException.ThrowIfNull(resource);
        _endpoints.Write(Writer, resource);
    }

    /// <summary>Remembers a value's resources that are outside the model (generated passwords), which are written after it.</summary>
    public void TryAddDependentResources(object? value) => _dependents.Add(value);

    /// <summary>The text of a value with placeholders; what it refers to is remembered.</summary>
    internal string Expression(object? value)
    {
        var unwrapped = ResolvedValues.Unwrap(value);
        TryAddDependentResources(unwrapped);
        return _dependents.Expression(unwrapped);
    }

    /// <summary>Writes the resources that the model's refer to but that are not in it.</summary>
    internal void WriteDependents(IResourceCollection model) => _dependents.Write(this, model);
}
