using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Endpoints;

/// <summary>A relay that must listen before the processes behind it start.</summary>
internal sealed record PlannedRelay(int Port, IReadOnlyList<int> Targets);

/// <summary>Gives every declared endpoint its address, and each instance of a resource the ports it listens on itself.</summary>
/// <remarks>
/// A proxyless endpoint listens on its port. A proxied one without a port listens on a free one itself; with a port, or with several
/// instances, a relay listens there and passes connections on to a free port for each instance.
/// </remarks>
internal sealed class EndpointAllocator(RunOptions options)
{
    private const string TokenStart = "{{port-of-instance:";

    private readonly HashSet<int> _taken = [];
    private readonly List<PlannedRelay> _relays = [];
    private readonly List<(int Port, string Owner)> _fixedPorts = [];
    private readonly Dictionary<(string Resource, string Endpoint), int[]> _targets = [];

    /// <summary>The relays that the allocated endpoints need.</summary>
    public IReadOnlyList<PlannedRelay> Relays => _relays;

    /// <summary>Allocates the endpoints of a resource.</summary>
    /// <param name="resource">The resource.</param>
    /// <param name="listens">False for one that cannot run here: its fixed ports are not checked.</param>
    public void Allocate(IResource resource, bool listens)
    {
        var instances = RunContext.InstancesOf(resource).Count;
        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>().Where(endpoint => endpoint.AllocatedEndpoint is null))
        {
            var isContainer = resource.IsContainer();
            var port = options.RandomizePorts && endpoint.IsProxied ? null : endpoint.Port;
            if (port is { } fixedPort && listens)
            {
                _fixedPorts.Add((fixedPort, $"{resource.Name}, endpoint {endpoint.Name}"));
                _taken.Add(fixedPort);
            }

            var needsRelay = !isContainer && endpoint.IsProxied && (port is not null || instances > 1);
            var targets = isContainer || !endpoint.IsProxied ? [port ?? Next()]
                : Enumerable.Range(0, instances).Select(_ => endpoint.TargetPort ?? Next()).ToArray();
            var publicPort = needsRelay ? port ?? Next() : targets[0];
            if (needsRelay)
            {
                _relays.Add(new PlannedRelay(publicPort, targets));
            }

            _targets[(resource.Name, endpoint.Name)] = targets;
            var targetExpression = instances > 1
                ? Token(endpoint)
                : (isContainer ? endpoint.TargetPort ?? publicPort : targets[0]).ToString(CultureInfo.InvariantCulture);
            endpoint.AllocatedEndpoint = new AllocatedEndpoint(endpoint, AddressOf(endpoint), publicPort, targetExpression);
        }
    }

    /// <summary>Makes sure that every fixed port is free.</summary>
    /// <param name="more">Ports needed by something that is no resource, with its name.</param>
    /// <param name="cancellationToken">Ends the search for the holders.</param>
    /// <exception cref="DistributedApplicationException">One line for each busy port, with who holds it.</exception>
    public async Task CheckFixedPortsAsync(IEnumerable<(int Port, string Owner)> more, CancellationToken cancellationToken)
    {
        var faults = new List<string>();
        var seen = new Dictionary<int, string>();
        foreach (var (port, owner) in _fixedPorts.Concat(more))
        {
            if (!seen.TryAdd(port, owner))
            {
                faults.Add($"Port {Text(port)} is wanted twice: by {seen[port]} and by {owner}.");
            }
            else if (!FreePort.IsFree(port))
            {
                faults.Add($"Port {Text(port)} ({owner}) is in use by {await PortHolder.DescribeAsync(port, cancellationToken)}. Stop that process or choose another port.");
            }
        }

        if (faults.Count > 0)
        {
            throw new DistributedApplicationException(string.Join(Environment.NewLine, faults));
        }
    }

    /// <summary>Puts the ports of one instance in place of the tokens that stand for them in a value.</summary>
    public string ForInstance(IResource resource, int instance, string value)
    {
        if (!value.Contains(TokenStart, StringComparison.Ordinal))
        {
            return value;
        }

        foreach (var endpoint in resource.Annotations.OfType<EndpointAnnotation>())
        {
            if (_targets.TryGetValue((resource.Name, endpoint.Name), out var targets))
            {
                value = value.Replace(Token(endpoint), Text(targets[instance]), StringComparison.Ordinal);
            }
        }

        return value;
    }

    private static string Token(EndpointAnnotation endpoint) => $"{TokenStart}{endpoint.Name}}}}}";

    private static string Text(int port) => port.ToString(CultureInfo.InvariantCulture);

    /// <summary>The host name others use: a wildcard is no address to connect to.</summary>
    private static string AddressOf(EndpointAnnotation endpoint) =>
        endpoint.TargetHost is "0.0.0.0" or "*" or "+" or "::" or "[::]" ? "localhost" : endpoint.TargetHost;

    private int Next()
    {
        int port;
        do
        {
            port = FreePort.Next();
        }
        while (!_taken.Add(port));
        return port;
    }
}
