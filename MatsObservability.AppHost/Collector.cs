namespace MatsObservability.AppHost;

/// <summary>The optional OpenTelemetry Collector between senders and Phoenix.Service (docs/collector.md).</summary>
internal static class Collector
{
    private const string Folder = "../agent-observability/collector";
    private const string MountedFile = "/etc/otelcol-contrib/config.yaml";

    /// <summary>
    /// Adds it as a container, or as the program <c>Collector:Program</c> when running; it takes the OTLP ports of the host, and
    /// <paramref name="phoenix"/> listens inside only. <paramref name="port"/> gives the port of a name, with its usual value.
    /// </summary>
    public static IResourceBuilder<IResourceWithEnvironment> AddCollector(
        this IDistributedApplicationBuilder builder, IResourceBuilder<ProjectResource> phoenix, Func<string, int?, int?> port)
    {
        var isRun = builder.ExecutionContext.IsRunMode;
        foreach (var name in new[] { "otlp-grpc", "otlp-http" })
        {
            phoenix.WithEndpoint(name, endpoint =>
            {
                endpoint.IsExternal = false;
                endpoint.Port = isRun ? port($"phoenix-{name}", null) : endpoint.Port; // published, each has a network address of its own
            });
        }

        return isRun && builder.Configuration["Collector:Program"] is { Length: > 0 } program
            ? builder.AddExecutable("otel-collector", program, Folder, "--config=config.yaml")
                .WithEnvironment("COLLECTOR_HOST", "localhost")
                .WithCollectorEndpoints(phoenix, port, isContainer: false)
            : builder.AddContainer("otel-collector", "otel/opentelemetry-collector-contrib", "0.142.0")
                .WithBindMount($"{Folder}/config.yaml", MountedFile, isReadOnly: true)
                .WithArgs($"--config={MountedFile}")
                .WithCollectorEndpoints(phoenix, port, isContainer: true);
    }

    private static IResourceBuilder<T> WithCollectorEndpoints<T>(
        this IResourceBuilder<T> collector, IResourceBuilder<ProjectResource> phoenix, Func<string, int?, int?> port, bool isContainer)
        where T : IResourceWithEnvironment, IResourceWithEndpoints, IResourceWithWaitSupport
    {
        return collector
            .WithHttpEndpoint(port("collector-otlp-grpc", 4317), Inside(4317), "otlp-grpc", "COLLECTOR_GRPC_PORT", isContainer)
            .WithHttpEndpoint(port("collector-otlp-http", 4318), Inside(4318), "otlp-http", "COLLECTOR_HTTP_PORT", isContainer)
            .WithEndpoint("otlp-grpc", endpoint => endpoint.Transport = "http2")
            .WithExternalHttpEndpoints() // those above; the others stay inside
            .WithHttpEndpoint(null, Inside(13133), "health", "COLLECTOR_HEALTH_PORT", isContainer)
            .WithHttpEndpoint(null, Inside(8888), "metrics", "COLLECTOR_METRICS_PORT", isContainer)
            .WithEnvironment("PHOENIX_OTLP_ENDPOINT", phoenix.GetEndpoint("otlp-grpc"))
            .WithHttpHealthCheck("/health", endpointName: "health")
            .WaitFor(phoenix);

        // A program listens on the very port that others use, a container on its own behind it.
        int? Inside(int containerPort) => isContainer ? containerPort : null;
    }
}
