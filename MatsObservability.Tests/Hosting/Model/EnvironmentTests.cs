using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;
using Microsoft.Extensions.Hosting;

namespace MatsObservability.Tests.Hosting.Model;

/// <summary>The variables that a running resource gets.</summary>
[Trait("Req", "B018")]
public sealed class EnvironmentTests
{
    private static readonly string[] s_development = ["--environment", "Development",
        "ASPIRE_DASHBOARD_OTLP_ENDPOINT_URL=http://localhost:19000", "AppHost:OtlpApiKey=abc"];

    [Fact]
    public async Task Reference_ToAWholeService_GivesEveryEndpointTwice()
    {
        var builder = ExampleModel.Create();
        var phoenix = builder.CreateResourceBuilder<ProjectResource>("phoenix");
        TestModel.Allocate(phoenix.Resource, firstPort: 1);
        var consumer = builder.AddContainer("consumer", "repo/c").WithReference(phoenix);

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Equal(
            [
                ("PHOENIX_HTTP", "http://localhost:6006"), ("services__phoenix__http__0", "http://localhost:6006"),
                ("PHOENIX_OTLP_GRPC", "http://localhost:4317"), ("services__phoenix__otlp-grpc__0", "http://localhost:4317"),
                ("PHOENIX_OTLP_HTTP", "http://localhost:4318"), ("services__phoenix__otlp-http__0", "http://localhost:4318"),
                ("PHOENIX_METRICS", "http://localhost:6007"), ("services__phoenix__metrics__0", "http://localhost:6007"),
            ],
            variables.Select(variable => (variable.Key, variable.Value)));
    }

    [Fact]
    public async Task Reference_UnderAnotherName_KeepsItsCase()
    {
        var builder = TestModel.Create();
        var web = builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null).WithHttpEndpoint(port: 5001);
        TestModel.Allocate(web.Resource, firstPort: 1);
        var consumer = builder.AddContainer("consumer", "repo/c").WithReference(web, "my-Web");

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Equal(["my_Web_HTTP", "services__my-Web__http__0"], variables.Select(variable => variable.Key));
    }

    [Fact]
    public async Task Reference_ToOneEndpointExcludedFromTheRest_IsStillGiven()
    {
        var builder = TestModel.Create();
        var web = builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null)
            .WithHttpEndpoint(port: 5001).WithHttpEndpoint(port: 5002, name: "admin")
            .WithEndpoint("admin", endpoint => endpoint.ExcludeReferenceEndpoint = true);
        TestModel.Allocate(web.Resource, firstPort: 1);

        var whole = await TestModel.EnvironmentAsync(builder, builder.AddContainer("a", "repo/c").WithReference(web).Resource);
        var single = await TestModel.EnvironmentAsync(
            builder, builder.AddContainer("b", "repo/c").WithReference(web.GetEndpoint("admin")).Resource);

        Assert.Equal(["WEB_HTTP", "services__web__http__0"], whole.Select(variable => variable.Key));
        Assert.Equal(["WEB_ADMIN", "services__web__admin__0"], single.Select(variable => variable.Key));
    }

    [Fact]
    public async Task Reference_ToADatabase_GivesConnectionStringThenItsParts()
    {
        var builder = TestModel.Create("Parameters:postgres-password=p@ss w");
        var postgres = builder.AddPostgres("postgres");
        var database = postgres.AddDatabase("phoenixdb");
        TestModel.Allocate(postgres.Resource, firstPort: 54321);
        var consumer = builder.AddContainer("consumer", "repo/c").WithReference(database);

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Equal(
            [
                ("ConnectionStrings__phoenixdb", "Host=localhost;Port=54321;Username=postgres;Password=p@ss w;Database=phoenixdb"),
                ("PHOENIXDB_HOST", "localhost"),
                ("PHOENIXDB_PORT", "54321"),
                ("PHOENIXDB_USERNAME", "postgres"),
                ("PHOENIXDB_PASSWORD", "p@ss w"),
                ("PHOENIXDB_URI", "postgresql://postgres:p%40ss%20w@localhost:54321/phoenixdb"),
                ("PHOENIXDB_JDBCCONNECTIONSTRING", "jdbc:postgresql://localhost:54321/phoenixdb"),
                ("PHOENIXDB_DATABASENAME", "phoenixdb"),
            ],
            variables.Select(variable => (variable.Key, variable.Value)));
    }

    [Fact]
    public async Task Reference_WithFlags_GivesOnlyThoseFamilies()
    {
        var builder = TestModel.Create("Parameters:postgres-password=x");
        var postgres = builder.AddPostgres("postgres");
        TestModel.Allocate(postgres.Resource, firstPort: 54321);
        var consumer = builder.AddContainer("consumer", "repo/c")
            .WithReference(postgres, connectionName: "main").WithReferenceEnvironment(ReferenceEnvironmentInjectionFlags.ConnectionString);

        Assert.Equal(["ConnectionStrings__main"],
            (await TestModel.EnvironmentAsync(builder, consumer.Resource)).Select(variable => variable.Key));
    }

    [Fact]
    public async Task Reference_ToAnAbsentConnectionString_FailsUnlessOptional()
    {
        var builder = TestModel.Create();
        var empty = builder.AddConnectionString("none", ReferenceExpression.Create($""));
        var needed = builder.AddContainer("a", "repo/c").WithReference(empty);
        var optional = builder.AddContainer("b", "repo/c").WithReference(empty, optional: true);

        var failure = await Assert.ThrowsAsync<DistributedApplicationException>(() => TestModel.EnvironmentAsync(builder, needed.Resource));

        Assert.Equal("The connection string for the resource 'none' is not available.", failure.Message);
        Assert.DoesNotContain(await TestModel.EnvironmentAsync(builder, optional.Resource), variable => variable.Value.Length > 0);
    }

    [Fact]
    public async Task Reference_ToExternalServicesAndUris_GivesTheirUrls()
    {
        var builder = TestModel.Create("Parameters:tempo-url=https://tempo.example/");
        var fixedUrl = builder.AddExternalService("mimir", "http://localhost:9009/");
        var givenUrl = builder.AddExternalService("tempo", builder.AddParameter("tempo-url"));
        var consumer = builder.AddContainer("consumer", "repo/c")
            .WithReference(fixedUrl).WithReference(givenUrl).WithReference("legacy", new Uri("http://localhost:9999"));

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Equal(
            [
                ("MIMIR", "http://localhost:9009/"), ("services__mimir__http__0", "http://localhost:9009/"),
                ("TEMPO_HTTPS", "https://tempo.example/"), ("services__tempo__https__0", "https://tempo.example/"),
                ("services__legacy__default__0", "http://localhost:9999/"), ("legacy", "http://localhost:9999/"),
            ],
            variables.Select(variable => (variable.Key, variable.Value)));
    }

    [Theory]
    [InlineData("relative/path")]
    [InlineData("http://localhost/?q=1")]
    [InlineData("http://localhost/#part")]
    public void Reference_ToAUriThatIsNoAddress_IsRefused(string uri)
    {
        var consumer = TestModel.Create().AddContainer("consumer", "repo/c");

        Assert.Throws<InvalidOperationException>(() => consumer.WithReference("legacy", new Uri(uri, UriKind.RelativeOrAbsolute)));
    }

    [Fact]
    public async Task Project_InDevelopment_GetsTheTelemetryVariables()
    {
        var builder = TestModel.Create(s_development);
        var phoenix = builder.AddProject<Projects.Phoenix_Service>("phoenix", launchProfileName: null);

        var variables = await TestModel.EnvironmentAsync(builder, phoenix.Resource);

        Assert.Equal(
            [
                ("OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY", "in_memory"),
                ("OTEL_DOTNET_EXPERIMENTAL_ASPNETCORE_DISABLE_URL_QUERY_REDACTION", "true"),
                ("OTEL_DOTNET_EXPERIMENTAL_HTTPCLIENT_DISABLE_URL_QUERY_REDACTION", "true"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:19000"),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=" + OtlpConfigurationExtensions.InstanceIdToken),
                ("OTEL_SERVICE_NAME", "phoenix"),
                ("OTEL_EXPORTER_OTLP_HEADERS", "x-otlp-api-key=abc"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "1000"),
                ("OTEL_BSP_SCHEDULE_DELAY", "1000"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "1000"),
                ("OTEL_TRACES_SAMPLER", "always_on"),
                ("OTEL_METRICS_EXEMPLAR_FILTER", "trace_based"),
                ("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true"),
                ("DOTNET_SYSTEM_CONSOLE_ALLOW_ANSI_COLOR_REDIRECTION", "true"),
                ("LOGGING__CONSOLE__FORMATTERNAME", "simple"),
            ],
            variables.Select(variable => (variable.Key, variable.Value)));
    }

    [Fact]
    public async Task OtlpEndpoint_SetByTheModel_KeepsItsPlaceAndLeavesProtocolAndHeaders()
    {
        var builder = TestModel.Create(s_development);
        var phoenix = builder.AddProject<Projects.Phoenix_Service>("phoenix", launchProfileName: null);
        var before = (await TestModel.EnvironmentAsync(builder, phoenix.Resource)).Select(variable => variable.Key).ToArray();

        phoenix.WithEnvironment("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4317");
        var after = await TestModel.EnvironmentAsync(builder, phoenix.Resource);

        Assert.Equal(before, after.Select(variable => variable.Key));
        Assert.Contains(new("OTEL_EXPORTER_OTLP_ENDPOINT", "http://elsewhere:4317"), after);
        Assert.Contains(new("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"), after);
        Assert.Contains(new("OTEL_EXPORTER_OTLP_HEADERS", "x-otlp-api-key=abc"), after);
    }

    [Theory]
    [InlineData(OtlpProtocol.Grpc, "http://localhost:19000", "grpc")]
    [InlineData(OtlpProtocol.HttpProtobuf, "http://localhost:19001", "http/protobuf")]
    [InlineData(OtlpProtocol.HttpJson, "http://localhost:19001", "http/json")]
    public async Task OtlpExporter_OfAProtocol_GetsTheEndpointThatSpeaksIt(OtlpProtocol protocol, string url, string name)
    {
        var builder = TestModel.Create([.. s_development, "ASPIRE_DASHBOARD_OTLP_HTTP_ENDPOINT_URL=http://localhost:19001"]);
        var consumer = builder.AddContainer("consumer", "repo/c").WithOtlpExporter(protocol);

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Contains(new("OTEL_EXPORTER_OTLP_ENDPOINT", url), variables);
        Assert.Contains(new("OTEL_EXPORTER_OTLP_PROTOCOL", name), variables);
    }

    [Fact]
    public async Task Project_WithLaunchProfile_ListensOnATargetPortAndGetsItsVariables()
    {
        var builder = TestModel.Create("--environment", "Production");
        var orchestrator = builder.AddProject<Projects.Orchestrator_Agent>("orchestrator");
        TestModel.Allocate(orchestrator.Resource, firstPort: 1, targetPort: "40001");

        var variables = await TestModel.EnvironmentAsync(builder, orchestrator.Resource);

        var endpoint = Assert.Single(orchestrator.Resource.GetEndpoints());
        Assert.Equal(("http", 8084), (endpoint.EndpointName, endpoint.EndpointAnnotation.Port));
        Assert.Equal(
            [("ASPNETCORE_URLS", "http://localhost:40001"), ("DOTNET_LAUNCH_PROFILE", "http"), ("ASPNETCORE_ENVIRONMENT", "Development")],
            variables.Select(variable => (variable.Key, variable.Value)).TakeLast(3));
    }

    [Fact]
    public async Task Project_EndpointsWithVariables_StayOutOfUrls()
    {
        var builder = TestModel.Create();
        var web = builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null)
            .WithHttpEndpoint(name: "a").WithHttpEndpoint(name: "b", env: "B_PORT").WithHttpEndpoint(name: "c").WithHttpEndpoint(name: "d")
            .WithEndpointsInEnvironment(endpoint => endpoint.Name != "d");
        TestModel.Allocate(web.Resource, firstPort: 7001);

        var variables = await TestModel.EnvironmentAsync(builder, web.Resource);

        Assert.Contains(new("ASPNETCORE_URLS", "http://localhost:7001;http://localhost:7003"), variables);
        Assert.Contains(new("B_PORT", "7002"), variables);
    }

    [Fact]
    public async Task Environment_CallbacksAndValues_RunInOrderAndLaterWins()
    {
        var builder = TestModel.Create("Parameters:p=v");
        var consumer = builder.AddContainer("consumer", "repo/c")
            .WithEnvironment("A", "1").WithEnvironment("B", () => "2").WithEnvironment("C", builder.AddParameter("p"))
            .WithEnvironment(context => context.EnvironmentVariables["A"] = "3");

        var variables = await TestModel.EnvironmentAsync(builder, consumer.Resource);

        Assert.Equal([("A", "3"), ("B", "2"), ("C", "v")], variables.Select(variable => (variable.Key, variable.Value)));
    }

    [Fact]
    public async Task Arguments_StringsValuesAndBuilders_AreResolvedInOrder()
    {
        var builder = TestModel.Create("Parameters:p=v");
        var job = builder.AddExecutable("job", "x", ".", "first").WithArgs(builder.AddParameter("p"), 7)
            .WithArgs(context => context.Args.Add("last"));

        Assert.Equal(["first", "v", "7", "last"],
            await ResolvedValues.ResolveArgumentsAsync(job.Resource, builder.ExecutionContext, logger: null, CancellationToken.None));
    }

    [Fact]
    public void IsSecret_ValuesMadeOfSecrets_AreSecret()
    {
        var builder = TestModel.Create();
        var secret = builder.AddParameter("s", secret: true);
        var plain = builder.AddParameter("p");
        var database = builder.AddPostgres("pg").AddDatabase("db");

        Assert.True(ResolvedValues.IsSecret(ReferenceExpression.Create($"x{secret}")));
        Assert.True(ResolvedValues.IsSecret(new ConnectionStringReference(database.Resource, optional: false)));
        Assert.True(ResolvedValues.IsSecret(secret));
        Assert.False(ResolvedValues.IsSecret(ReferenceExpression.Create($"x{plain}")));
        Assert.False(ResolvedValues.IsSecret("text"));
    }

    [Fact]
    public void Operation_FromTheCommandLine_DecidesTheContext()
    {
        Assert.True(TestModel.Create().ExecutionContext.IsRunMode);
        Assert.True(TestModel.Create("--operation", "publish").ExecutionContext.IsPublishMode);
        Assert.Equal("manifest", TestModel.Create("--publisher", "manifest").ExecutionContext.PublisherName);
        Assert.Equal(
            "Invalid operation specified. Valid operations are 'publish' or 'run'.",
            Assert.Throws<DistributedApplicationException>(() => TestModel.Create("--operation", "deploy")).Message);
    }

    [Fact]
    public void Builder_TellsItsAppHost_ByDirectoryAndHashes()
    {
        var builder = TestModel.CreateForPublishing("--environment", "Staging");

        Assert.Equal(TestModel.AppHostDirectory, builder.AppHostDirectory);
        Assert.Equal("Staging", builder.Environment.EnvironmentName);
        Assert.False(builder.Environment.IsDevelopment());
        Assert.StartsWith("6f1d941cb8", builder.Configuration["AppHost:Sha256"], StringComparison.Ordinal);
        Assert.Equal(builder.Configuration["AppHost:ProjectNameSha256"], builder.Configuration["AppHost:Sha256"]);
        Assert.Equal(TestModel.Create().Configuration["AppHost:PathSha256"], TestModel.Create().Configuration["AppHost:Sha256"]);
    }
}
