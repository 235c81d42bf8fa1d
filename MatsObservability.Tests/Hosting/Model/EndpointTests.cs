using System.Net.Sockets;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class EndpointTests
{
    [Fact]
    public void Endpoint_WithoutArguments_DefaultsFromTheProtocol()
    {
        var tcp = new EndpointAnnotation(ProtocolType.Tcp);
        var udp = new EndpointAnnotation(ProtocolType.Udp, name: "dns");
        var https = new EndpointAnnotation(ProtocolType.Tcp, uriScheme: "https");

        Assert.Equal(("tcp", "tcp", "tcp", "localhost", true), (tcp.Name, tcp.UriScheme, tcp.Transport, tcp.TargetHost, tcp.IsProxied));
        Assert.Equal(("dns", "udp", "udp"), (udp.Name, udp.UriScheme, udp.Transport));
        Assert.Equal(("https", "http", true), (https.Name, https.Transport, https.TlsEnabled));
    }

    [Fact]
    public void Ports_WithoutProxy_DefaultToEachOther()
    {
        Assert.Equal(6006, new EndpointAnnotation(ProtocolType.Tcp, port: 6006, isProxied: false).TargetPort);
        Assert.Equal(6006, new EndpointAnnotation(ProtocolType.Tcp, targetPort: 6006, isProxied: false).Port);
        Assert.Null(new EndpointAnnotation(ProtocolType.Tcp, port: 6006).TargetPort);
        Assert.Null(new EndpointAnnotation(ProtocolType.Tcp, port: 0, isProxied: false).Port);
    }

    [Fact]
    public void WithEndpoint_OfExistingName_UpdatesWhatIsGiven()
    {
        var web = TestModel.Create().AddContainer("web", "repo/c")
            .WithHttpEndpoint(port: 80, targetPort: 8080)
            .WithHttpEndpoint(port: 81)
            .WithEndpoint("http", endpoint => endpoint.IsExternal = true);

        var endpoint = Assert.Single(web.Resource.Annotations.OfType<EndpointAnnotation>());
        Assert.Equal((81, 8080, true), (endpoint.Port, endpoint.TargetPort, endpoint.IsExternal));
    }

    [Fact]
    public void WithExternalHttpEndpoints_LaterEndpoints_StayInside()
    {
        var web = TestModel.Create().AddContainer("web", "repo/c").WithHttpEndpoint(name: "out").WithExternalHttpEndpoints()
            .WithHttpEndpoint(name: "inside");

        Assert.True(web.GetEndpoint("out").EndpointAnnotation.IsExternal);
        Assert.False(web.GetEndpoint("inside").EndpointAnnotation.IsExternal);
    }

    [Fact]
    public void Reference_BeforeAllocation_SaysSo()
    {
        var endpoint = TestModel.Create().AddContainer("phoenix", "repo/c").WithHttpEndpoint().GetEndpoint("http");

        Assert.Equal("The endpoint `http` is not allocated for the resource `phoenix`.",
            Assert.Throws<InvalidOperationException>(() => endpoint.Url).Message);
        Assert.False(endpoint.IsAllocated);
    }

    [Fact]
    public async Task Reference_Value_WaitsForTheAllocation()
    {
        var web = TestModel.Create().AddContainer("web", "repo/c").WithHttpEndpoint(targetPort: 80);
        var endpoint = web.GetEndpoint("http");
        var url = endpoint.GetValueAsync().AsTask();
        Assert.False(url.IsCompleted);

        endpoint.EndpointAnnotation.AllocatedEndpoint = new AllocatedEndpoint(endpoint.EndpointAnnotation, "localhost", 5001, "5002");

        Assert.Equal("http://localhost:5001", await url);
        Assert.Equal("127.0.0.1", await endpoint.Property(EndpointProperty.IPV4Host).GetValueAsync());
        Assert.Equal("localhost:5001", await endpoint.Property(EndpointProperty.HostAndPort).GetValueAsync());
        Assert.Equal("80", await endpoint.Property(EndpointProperty.TargetPort).GetValueAsync());
    }

    [Fact]
    public void Rules_EachBrokenOne_IsNamedWithResourceAndEndpoint()
    {
        var builder = TestModel.Create();
        var container = builder.AddContainer("c", "repo/c").WithHttpEndpoint();
        var split = builder.AddExecutable("split", "x", ".").WithHttpEndpoint(port: 1, targetPort: 2, isProxied: false);
        var same = builder.AddExecutable("same", "x", ".").WithHttpEndpoint(port: 3, targetPort: 3);
        var replicas = builder.AddProject<Projects.Phoenix_Service>("replicas", launchProfileName: null).WithReplicas(2)
            .WithHttpEndpoint(isProxied: false);
        var target = builder.AddProject<Projects.Phoenix_Service>("target", launchProfileName: null).WithReplicas(2)
            .WithHttpEndpoint(targetPort: 4);

        AssertFault(container.Resource, "The endpoint 'http' of resource 'c' must specify the TargetPort");
        AssertFault(
            split.Resource, "The endpoint 'http' of resource 'split' has no proxy, so Port (1) and TargetPort (2) must be the same.");
        AssertFault(same.Resource, "The endpoint 'http' of resource 'same' is proxied, so Port and TargetPort cannot both be 3.");
        AssertFault(replicas.Resource, "The endpoint 'http' of resource 'replicas' has no proxy, so the resource cannot have 2 replicas.");
        AssertFault(target.Resource,
            "The endpoint 'http' of resource 'target' has the fixed TargetPort 4, so the resource cannot have 2 replicas.");
    }

    [Fact]
    public void Rules_TheExampleModel_BreaksNone()
    {
        foreach (var resource in ExampleModel.Create("Telemetry:Stack=full").Resources)
        {
            EndpointRules.Validate(resource);
        }
    }

    [Fact]
    public void HttpHealthCheck_EndpointMissingOrNotHttp_IsRefusedAtTheCall()
    {
        var builder = TestModel.Create();

        var missing = Assert.Throws<DistributedApplicationException>(
            () => builder.AddContainer("a", "repo/c").WithHttpHealthCheck("/healthz"));
        var raw = Assert.Throws<DistributedApplicationException>(
            () => builder.AddContainer("b", "repo/c").WithEndpoint(name: "raw").WithHttpHealthCheck(endpointName: "raw"));

        Assert.EndsWith("no endpoint was found matching one of the specified names: https, http",
            missing.Message, StringComparison.Ordinal);
        Assert.Contains("'raw' and scheme 'tcp' is not an HTTP endpoint", raw.Message, StringComparison.Ordinal);
    }

    private static void AssertFault(IResource resource, string start) =>
        Assert.StartsWith(start, Assert.Throws<InvalidOperationException>(() => EndpointRules.Validate(resource)).Message,
            StringComparison.Ordinal);
}
