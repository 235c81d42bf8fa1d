using System.Net.Sockets;

namespace Aspire.Hosting.ApplicationModel;

/// <summary>An endpoint that a resource listens on.</summary>
public sealed class EndpointAnnotation : IResourceAnnotation
{
    private readonly TaskCompletionSource _allocated = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private string? _transport;
    private bool? _tlsEnabled;
    private int? _port;
    private int? _targetPort;
    private volatile AllocatedEndpoint? _allocatedEndpoint;

    /// <summary>
    /// Scheme, name and transport default from each other: scheme = protocol, name = scheme, transport = <c>http</c> for http(s), else the
    /// protocol.
    /// </summary>
    /// <exception cref="ArgumentException">The name breaks the naming rules.</exception>
    public EndpointAnnotation(
        ProtocolType protocol,
        string? uriScheme = null,
        string? transport = null,
        string? name = null,
        int? port = null,
        int? targetPort = null,
        bool? isExternal = null,
        bool? isProxied = null)
    {
        Protocol = protocol;
        UriScheme = uriScheme ?? ProtocolName;
        _transport = transport;
        Name = name ?? UriScheme;
        ModelName.Validate("Endpoint", Name);
        Port = port;
        TargetPort = targetPort;
        IsExternal = isExternal ?? false;
        IsExplicitlyProxied = isProxied;
    }

    public string Name { get; set; }

    public ProtocolType Protocol { get; set; }

    public string UriScheme { get; set; }

    /// <summary>The host part of the address the endpoint listens on.</summary>
    public string TargetHost { get; set; } = "localhost";

    /// <summary><c>http</c>, <c>http2</c>, <c>tcp</c> or <c>udp</c>.</summary>
    public string Transport
    {
        get => _transport ?? (IsHttpScheme ? "http" : ProtocolName);
        set => _transport = value;
    }

    /// <summary>The port others use; null = any. Setting 0 is the same as null.</summary>
    public int? Port
    {
        get => _port ?? (IsProxied ? null : _targetPort);
        set => _port = value == 0 ? null : value;
    }

    /// <summary>The port the process itself listens on; null = any. Setting 0 is the same as null.</summary>
    public int? TargetPort
    {
        get => _targetPort ?? (IsProxied ? null : _port);
        set => _targetPort = value == 0 ? null : value;
    }

    /// <summary>Reachable from outside the deployment.</summary>
    public bool IsExternal { get; set; }

    /// <summary>A proxy may stand between <see cref="Port"/> and <see cref="TargetPort"/>; true unless said otherwise.</summary>
    public bool IsProxied
    {
        get => IsExplicitlyProxied ?? true;
        set => IsExplicitlyProxied = value;
    }

    /// <summary>What was said about a proxy, null if nothing was.</summary>
    public bool? IsExplicitlyProxied { get; set; }

    /// <summary>Left out when the whole resource is referenced.</summary>
    public bool ExcludeReferenceEndpoint { get; set; }

    public bool TlsEnabled
    {
        get => _tlsEnabled ?? UriScheme == "https";
        set => _tlsEnabled = value;
    }

    /// <summary>Where the endpoint really is; null until the run has allocated it.</summary>
    public AllocatedEndpoint? AllocatedEndpoint
    {
        get => _allocatedEndpoint;
        set
        {
            _allocatedEndpoint = value;
            if (value is not null)
            {
                _allocated.TrySetResult();
            }
        }
    }

    internal bool IsHttpScheme => UriScheme is "http" or "https";

    private string ProtocolName => Protocol == ProtocolType.Udp ? "udp" : "tcp";

    /// <summary>Waits for the first allocation and returns the current one.</summary>
    internal async ValueTask<AllocatedEndpoint> WhenAllocatedAsync(CancellationToken cancellationToken)
    {
        if (_allocatedEndpoint is null)
        {
            await _allocated.Task.WaitAsync(cancellationToken);
        }

        return _allocatedEndpoint!;
    }
}

/// <summary>The address an endpoint got when the system was started.</summary>
public class AllocatedEndpoint
{
    /// <param name="endpoint">The endpoint that was allocated.</param>
    /// <param name="address">Host name or address that others use.</param>
    /// <param name="port">Port that others use.</param>
    /// <param name="targetPortExpression">The port (or a token that becomes it per replica) the process listens on; null =
    /// <paramref name="port"/>.</param>
    public AllocatedEndpoint(EndpointAnnotation endpoint, string address, int port, string? targetPortExpression = null)
    {
        ArgumentNullException.ThrowIfNull(endpoint);
        ArgumentException.ThrowIfNullOrEmpty(address);
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, 65535);
        Endpoint = endpoint;
        Address = address;
        Port = port;
        TargetPortExpression = targetPortExpression;
    }

    public EndpointAnnotation Endpoint { get; }

    public string Address { get; }

    public int Port { get; }

    public string UriScheme => Endpoint.UriScheme;

    /// <summary><c>address:port</c></summary>
    public string EndPointString => $"{Address}:{Port}";

    /// <summary><c>scheme://address:port</c></summary>
    public string UriString => $"{UriScheme}://{EndPointString}";

    public string? TargetPortExpression { get; }

    public override string ToString() => UriString;
}
