using System.Collections.Concurrent;
using Microsoft.Extensions.Configuration;

namespace MatsObservability.ServiceDefaults;

/// <summary>
/// Resolves logical service addresses from configuration keys <c>services:&lt;name&gt;:&lt;scheme or endpoint&gt;:&lt;n&gt;</c> (as the
/// AppHost injects them): <c>http://phoenix</c> by scheme, <c>https+http://phoenix</c> by the first scheme that has an address,
/// <c>http://_otlp-http.phoenix</c> by endpoint name. Several addresses take turns. Names not configured stay as they are.
/// </summary>
internal sealed class ServiceEndpoints(IConfiguration configuration)
{
    private readonly ConcurrentDictionary<string, Turn> _turns = new(StringComparer.OrdinalIgnoreCase);

    /// <summary>The address to send to; <paramref name="uri"/> itself when its host is no configured service.</summary>
    public Uri Resolve(Uri uri)
    {
        var schemes = uri.Scheme.Split('+');
        var (endpointName, service) = SplitHost(uri.Host);
        var section = configuration.GetSection("services").GetSection(service);
        var names = endpointName is null ? [.. schemes, "default"] : new[] { endpointName };
        foreach (var name in names)
        {
            if (Addresses(section, name) is { Count: > 0 } addresses)
            {
                var turn = _turns.GetOrAdd($"{service}:{name}", static _ => new Turn());
                return Combine(addresses[turn.Next(addresses.Count)], uri, schemes[0]);
            }
        }

        return schemes.Length == 1 ? uri : new UriBuilder(uri) { Scheme = schemes[0], Port = uri.IsDefaultPort ? -1 : uri.Port }.Uri;
    }

    private static (string? EndpointName, string Service) SplitHost(string host)
    {
        var dot = host.IndexOf('.');
        return host.StartsWith('_') && dot > 1 ? (host[1..dot], host[(dot + 1)..]) : (null, host);
    }

    // An address may be indexed (…:http:0) or a single value (…:http).
    private static List<string> Addresses(IConfigurationSection service, string name)
    {
        var section = service.GetSection(name);
        var addresses = section.GetChildren().Select(child => child.Value).OfType<string>().Where(value => value.Length > 0).ToList();
        if (addresses.Count == 0 && !string.IsNullOrEmpty(section.Value))
        {
            addresses.Add(section.Value);
        }

        return addresses;
    }

    private static Uri Combine(string address, Uri request, string scheme)
    {
        var target = new UriBuilder(address.Contains("://", StringComparison.Ordinal) ? address : $"{scheme}://{address}");
        var builder = new UriBuilder(request)
        {
            Scheme = target.Scheme,
            Host = target.Host,
            Port = target.Port,
            Path = target.Path.TrimEnd('/') + request.AbsolutePath,
        };
        return builder.Uri;
    }

    private sealed class Turn
    {
        private uint _count = uint.MaxValue;

        public int Next(int count) => (int)(Interlocked.Increment(ref _count) % (uint)count);
    }
}

/// <summary>Sends to the resolved address and leaves the logical one on the request for retries and logs.</summary>
internal sealed class ServiceDiscoveryHandler(ServiceEndpoints endpoints) : DelegatingHandler
{
    protected override HttpResponseMessage Send(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var logical = Redirect(request);
        try
        {
            return base.Send(request, cancellationToken);
        }
        finally
        {
            request.RequestUri = logical;
        }
    }

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var logical = Redirect(request);
        try
        {
            return await base.SendAsync(request, cancellationToken);
        }
        finally
        {
            request.RequestUri = logical;
        }
    }

    private Uri? Redirect(HttpRequestMessage request)
    {
        var logical = request.RequestUri;
        if (logical is not null)
        {
            request.RequestUri = endpoints.Resolve(logical);
        }

        return logical;
    }
}
