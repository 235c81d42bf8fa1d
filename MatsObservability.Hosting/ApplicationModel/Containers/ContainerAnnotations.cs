namespace Aspire.Hosting.ApplicationModel;

/// <summary>The image of a container.</summary>
public sealed class ContainerImageAnnotation : IResourceAnnotation
{
    public string? Registry { get; set; }

    public required string Image { get; set; }

    /// <summary>Null when <see cref="SHA256"/> names the image.</summary>
    public string? Tag { get; set; }

    public string? SHA256 { get; set; }
}

/// <summary>What is mounted.</summary>
public enum ContainerMountType
{
    BindMount = 0,
    Volume = 1,
}

/// <summary>A mount of a container.</summary>
public sealed class ContainerMountAnnotation : IResourceAnnotation
{
    /// <exception cref="ArgumentException">A bind mount without a source, or with a relative one; an anonymous volume that is
    /// read-only.</exception>
    public ContainerMountAnnotation(string? source, string target, ContainerMountType type, bool isReadOnly)
    {
        ArgumentNullException.ThrowIfNull(target);
        if (type == ContainerMountType.BindMount && (string.IsNullOrEmpty(source) || !Path.IsPathRooted(source)))
        {
            throw new ArgumentException($"The source of a bind mount must be an absolute path, got '{source}'.", nameof(source));
        }

        if (type == ContainerMountType.Volume && string.IsNullOrEmpty(source) && isReadOnly)
        {
            throw new ArgumentException("An anonymous volume cannot be read-only.", nameof(isReadOnly));
        }

        Source = source;
        Target = target;
        Type = type;
        IsReadOnly = isReadOnly;
    }

    /// <summary>A host path, or a volume's name (null = anonymous).</summary>
    public string? Source { get; }

    /// <summary>Path in the container.</summary>
    public string Target { get; }

    public ContainerMountType Type { get; }

    public bool IsReadOnly { get; }
}

/// <summary>A fixed name for the container.</summary>
public sealed class ContainerNameAnnotation : IResourceAnnotation
{
    public required string Name { get; set; }
}

/// <summary>Whether a container outlives the run.</summary>
public enum ContainerLifetime
{
    Session = 0,
    Persistent = 1,
}

/// <summary>The lifetime that was asked for; a session container ends with the run.</summary>
public sealed class ContainerLifetimeAnnotation : IResourceAnnotation
{
    public required ContainerLifetime Lifetime { get; set; }
}

/// <summary>When an image is pulled.</summary>
public enum ImagePullPolicy
{
    Default = 0,
    Always = 1,
    Missing = 2,
    Never = 3,
}

internal sealed class ContainerImagePullPolicyAnnotation(ImagePullPolicy policy) : IResourceAnnotation
{
    public ImagePullPolicy Policy { get; } = policy;
}

/// <summary>The image is built from a Dockerfile.</summary>
internal sealed class DockerfileBuildAnnotation(string contextPath, string dockerfilePath, string? stage) : IResourceAnnotation
{
    /// <summary>Absolute path.</summary>
    public string ContextPath { get; } = contextPath;

    /// <summary>Absolute path.</summary>
    public string DockerfilePath { get; } = dockerfilePath;

    public string? Stage { get; } = stage;

    /// <summary>Strings, parameters or null, in the order given.</summary>
    public Dictionary<string, object?> BuildArguments { get; } = [];

    public Dictionary<string, ParameterResource> BuildSecrets { get; } = [];
}
