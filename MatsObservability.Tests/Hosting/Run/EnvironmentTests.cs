using System.Globalization;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Aspire.Hosting.Testing;
using MatsObservability.Hosting.Run;
using MatsObservability.Hosting.Run.Endpoints;

namespace MatsObservability.Tests.Hosting.Run;

/// <summary>What processes are told by variables: the facts of the public contract.</summary>
[Trait("Req", "A009")]
public sealed class EnvironmentTests
{
    private static readonly string s_orchestrator = Path.GetFullPath(
        Path.Combine(Projects.MatsObservability_AppHost.ProjectPath, "..", "Orchestrator.Agent", "Orchestrator.Agent.csproj"));

    [Fact]
    public async Task Project_InDevelopment_IsToldWhereToExportTelemetry()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create(
            "--environment", "Development", "--ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL", "http://localhost:19000",
            "--AppHost:OtlpApiKey", "abc");
        var project = builder.AddProject("phoenix", s_orchestrator, launchProfileName: null)
            .WithEnvironment("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:1");

        var environment = await ResolveAsync(builder, project.Resource);

        Assert.Equal("http://elsewhere:1", environment["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal("grpc", environment["OTEL_EXPORTER_OTLP_PROTOCOL"]);
        Assert.Equal("x-otlp-api-key=abc", environment["OTEL_EXPORTER_OTLP_HEADERS"]);
        Assert.Equal("phoenix", environment["OTEL_SERVICE_NAME"]);
    }

    [Fact]
    public async Task Database_Referenced_GivesConnectionStringAndProperties()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create("DcpPublisher:RandomizePorts=false");
        var password = builder.AddParameter("password", "p@ss w", secret: true);
        var database = builder.AddPostgres("postgres", password: password, port: 54321).AddDatabase("phoenixdb");
        var project = builder.AddProject("phoenix", s_orchestrator, launchProfileName: null).WithReference(database);

        var environment = await ResolveAsync(builder, project.Resource);

        Assert.Equal("Host=localhost;Port=54321;Username=postgres;Password=p@ss w;Database=phoenixdb",
            environment["ConnectionStrings__phoenixdb"]);
        Assert.Equal("postgresql://postgres:p%40ss%20w@localhost:54321/phoenixdb", environment["PHOENIXDB_URI"]);
        Assert.Equal(
            ["PHOENIXDB_HOST", "PHOENIXDB_PORT", "PHOENIXDB_USERNAME", "PHOENIXDB_PASSWORD", "PHOENIXDB_URI",
                "PHOENIXDB_JDBCCONNECTIONSTRING", "PHOENIXDB_DATABASENAME"],
            environment.Keys.Where(name => name.StartsWith("PHOENIXDB_", StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Project_WithLaunchProfile_ListensOnAFreePortBehindItsOwn()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create("DcpPublisher:RandomizePorts=false");
        var project = builder.AddProject("orchestrator", s_orchestrator);

        var environment = await ResolveAsync(builder, project.Resource);

        var endpoint = project.GetEndpoint("http");
        Assert.Equal(8084, endpoint.Port);
        var listens = new Uri(environment["ASPNETCORE_URLS"]);
        Assert.Equal("localhost", listens.Host);
        Assert.NotEqual(8084, listens.Port);
        Assert.Equal("http", environment["DOTNET_LAUNCH_PROFILE"]);
        Assert.Equal("Development", environment["ASPNETCORE_ENVIRONMENT"]);
    }

    [Fact]
    public async Task ExternalService_Referenced_GivesItsUrl()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var mimir = builder.AddExternalService("mimir", "http://localhost:9009/");
        var project = builder.AddProject("phoenix", s_orchestrator, launchProfileName: null).WithReference(mimir);

        var environment = await ResolveAsync(builder, project.Resource);

        Assert.Equal("http://localhost:9009/", environment["MIMIR"]);
        Assert.Equal("http://localhost:9009/", environment["services__mimir__http__0"]);
    }

    [Fact]
    public async Task ProxylessEndpoint_WithPort_IsThatPortForEverybody()
    {
        await using var builder = DistributedApplicationTestingBuilder.Create();
        var phoenix = builder.AddProject("phoenix", s_orchestrator, launchProfileName: null)
            .WithHttpEndpoint(port: 23456, name: "http", env: "PHOENIX_PORT", isProxied: false);
        var consumer = builder.AddProject("consumer", s_orchestrator, launchProfileName: null).WithReference(phoenix.GetEndpoint("http"));

        var own = await ResolveAsync(builder, phoenix.Resource);
        var other = await ResolveAsync(builder, consumer.Resource);

        Assert.Equal("23456", own["PHOENIX_PORT"]);
        Assert.Equal("http://localhost:23456", other["PHOENIX_HTTP"]);
        Assert.Equal("http://localhost:23456", other["services__phoenix__http__0"]);
    }

    [Fact]
    public async Task AppHost_DrainTimeoutNotGiven_EndsBeforeTheKill()
    {
        var environment = await OfTheAppHostAsync("phoenix");

        var drain = TimeSpan.Parse(environment["Phoenix__Storage__DrainTimeout"], CultureInfo.InvariantCulture);
        Assert.InRange(drain, TimeSpan.FromSeconds(1), ApplicationRunner.LongestGrace - TimeSpan.FromSeconds(1));
    }

    [Fact]
    public async Task AppHost_DrainTimeoutGiven_IsHandedOn()
    {
        var environment = await OfTheAppHostAsync("phoenix", "Phoenix:Storage:DrainTimeout=00:00:03");

        Assert.Equal("00:00:03", environment["Phoenix__Storage__DrainTimeout"]);
    }

    [Fact]
    public async Task AppHost_KeyGiven_IsTheDemosToo()
    {
        var environment = await OfTheAppHostAsync("demo", "demo", "Parameters:phoenix-api-key=k-1");

        Assert.Equal("k-1", environment["PHOENIX_API_KEY"]);
    }

    /// <summary>What the product's own AppHost tells one of its resources.</summary>
    private static async Task<Dictionary<string, string>> OfTheAppHostAsync(string resource, params string[] args)
    {
        await using var builder = await DistributedApplicationTestingBuilder.CreateAsync<Projects.MatsObservability_AppHost>(
            ["Parameters:postgres-password=p", .. args]);
        return await ResolveAsync(builder, builder.Resources.Single(each => each.Name == resource));
    }

    /// <summary>Allocates every endpoint as a run does, but listens on none of them.</summary>
    private static async Task<Dictionary<string, string>> ResolveAsync(IDistributedApplicationTestingBuilder builder, IResource resource)
    {
        using var options = new RunOptions(builder.Configuration, new DistributedApplicationOptions());
        var allocator = new EndpointAllocator(options);
        foreach (var each in builder.Resources)
        {
            allocator.Allocate(each, listens: false);
        }

        var resolved = await ResolvedValues.ResolveEnvironmentAsync(
            resource, builder.ExecutionContext, logger: null, CancellationToken.None);
        return resolved.ToDictionary(pair => pair.Key, pair => pair.Value);
    }
}
