namespace Aspire.Hosting.ApplicationModel;

/// <summary>The rule of an external service's URL: absolute, path <c>/</c>, no query, no fragment.</summary>
internal static class ExternalServiceUrl
{
    public static bool IsValid(Uri uri) => uri.IsAbsoluteUri && uri.AbsolutePath == "/" && uri.Query.Length == 0
        && uri.Fragment.Length == 0;

    /// <exception cref="DistributedApplicationException">Not such a URL.</exception>
    public static Uri Parse(string serviceName, string? text) =>
        Uri.TryCreate(text, UriKind.Absolute, out var uri) && IsValid(uri)
            ? uri
            : throw new DistributedApplicationException(
                $"The URL of the external service '{serviceName}' must be absolute, with the path '/' and no query or fragment, got '{text}'.");
}
