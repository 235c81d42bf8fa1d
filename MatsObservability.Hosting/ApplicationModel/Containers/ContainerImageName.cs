namespace Aspire.Hosting.ApplicationModel;

/// <summary>An image reference taken apart: <c>[registry/]image[:tag][@sha256:digest]</c>.</summary>
internal readonly record struct ContainerImageName(string? Registry, string Image, string? Tag, string? Sha256)
{
    private const string DigestPrefix = "sha256:";

    /// <exception cref="ArgumentException">Empty, or with a digest other than sha256.</exception>
    public static ContainerImageName Parse(string reference)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(reference);
        string? digest = null, tag = null, registry = null;
        var rest = reference;
        if (rest.IndexOf('@', StringComparison.Ordinal) is >= 0 and var at)
        {
            digest = rest[(at + 1)..];
            rest = rest[..at];
            digest = digest.StartsWith(DigestPrefix, StringComparison.Ordinal)
                ? digest[DigestPrefix.Length..]
                : throw new ArgumentException($"The digest of the image '{reference}' must start with '{DigestPrefix}'.",
                    nameof(reference));
        }

        var lastSlash = rest.LastIndexOf('/');
        if (rest.IndexOf(':', lastSlash + 1) is >= 0 and var colon)
        {
            tag = rest[(colon + 1)..];
            rest = rest[..colon];
        }

        // The first part is a registry only if it looks like a host (the rule of the OCI distribution reference grammar as clients apply
        // it).
        if (rest.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash && rest[..slash] is var host
            && (host == "localhost" || host.AsSpan().ContainsAny('.', ':')))
        {
            registry = host;
            rest = rest[(slash + 1)..];
        }

        return new ContainerImageName(registry, rest, tag, digest);
    }
}
