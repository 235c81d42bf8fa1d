using System.Net.Sockets;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Tests.Hosting.Publish;

/// <summary>Single facts of the manifest, each with the text that the real publisher writes.</summary>
[Trait("Req", "B009")]
public sealed class ManifestFactsTests
{
    [Fact]
    public async Task DataVolume_WithoutName_IsNamedByApplicationHashAndResource()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddPostgres("postgres").WithDataVolume();

        var manifest = await TestModel.ManifestOfAsync(builder, "postgres");

        Assert.Contains("\"name\":\"matsobservability.apphost-6f1d941cb8-postgres-data\"", manifest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectionString_FromConfiguration_IsSecretParameter()
    {
        var builder = TestModel.CreateForPublishing();
        var external = builder.AddConnectionString("extdb");
        builder.AddContainer("consumer", "repo/c").WithReference(external);

        Assert.Equal(
            """{"type":"parameter.v0","connectionString":"{extdb.value}","value":"{extdb.inputs.value}","inputs":{"value":{"type":"string","secret":true}}}""",
            await TestModel.ManifestOfAsync(builder, "extdb"));
        Assert.Contains("\"ConnectionStrings__extdb\":\"{extdb.connectionString}\"",
            await TestModel.ManifestOfAsync(builder, "consumer"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ConnectionString_OfExpression_IsValue()
    {
        var builder = TestModel.CreateForPublishing();
        var plain = builder.AddParameter("plain");
        var generated = builder.AddParameter(
            "gen", new GenerateParameterDefault { MinLength = 10, Special = false, MinLower = 2 }, secret: true);
        builder.AddConnectionString("combo", ReferenceExpression.Create($"Endpoint={plain};Key={generated}"));

        Assert.Equal("""{"type":"value.v0","connectionString":"Endpoint={plain.value};Key={gen.value}"}""",
            await TestModel.ManifestOfAsync(builder, "combo"));
        Assert.Equal(
            """{"type":"parameter.v0","value":"{gen.inputs.value}","inputs":{"value":{"type":"string","secret":true,"default":{"generate":{"minLength":10,"special":false,"minLower":2}}}}}""",
            await TestModel.ManifestOfAsync(builder, "gen"));
    }

    [Fact]
    public async Task Executable_EndpointsWithoutTargetPort_GetPortsFrom8000()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddExecutable("worker", "worker", ".")
            .WithHttpEndpoint(env: "PORT")
            .WithHttpEndpoint(port: 7001, targetPort: 7002, name: "both")
            .WithEndpoint(port: 9999, name: "raw");

        Assert.Equal(
            """{"type":"executable.v0","workingDirectory":".","command":"worker","env":{"PORT":"{worker.bindings.http.targetPort}"},"bindings":{"http":{"scheme":"http","protocol":"tcp","transport":"http","targetPort":8000},"both":{"scheme":"http","protocol":"tcp","transport":"http","port":7001,"targetPort":7002},"raw":{"scheme":"tcp","protocol":"tcp","transport":"tcp","port":9999,"targetPort":8001}}}""",
            await TestModel.ManifestOfAsync(builder, "worker"));
    }

    [Fact]
    public async Task Project_ProxiedEndpoints_FirstHttpHasNoPortsOthersGetTargets()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null)
            .WithHttpEndpoint().WithHttpEndpoint(name: "adm").WithHttpEndpoint(port: 6006, name: "ui");

        Assert.Equal(
            """{"type":"project.v0","path":"../Phoenix.Service/Phoenix.Service.csproj","env":{"OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY":"in_memory","ASPNETCORE_FORWARDEDHEADERS_ENABLED":"true","HTTP_PORTS":"{web.bindings.http.targetPort};{web.bindings.adm.targetPort};{web.bindings.ui.targetPort}"},"bindings":{"http":{"scheme":"http","protocol":"tcp","transport":"http"},"adm":{"scheme":"http","protocol":"tcp","transport":"http","targetPort":8000},"ui":{"scheme":"http","protocol":"tcp","transport":"http","port":6006,"targetPort":8001}}}""",
            await TestModel.ManifestOfAsync(builder, "web"));
    }

    [Fact]
    public async Task AsHttp2Service_EveryEndpoint_HasTransportHttp2()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null).WithHttpEndpoint().AsHttp2Service()
            .WithHttpEndpoint(name: "adm");

        var bindings = (await TestModel.ManifestAsync(builder))["web"]!["bindings"]!.AsObject();

        Assert.All(bindings, binding => Assert.Equal("http2", (string?)binding.Value!["transport"]));
    }

    [Fact]
    public async Task Project_WithoutEndpoints_HasOnlyTheRetryVariable()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddProject<Projects.Phoenix_Service>("web", launchProfileName: null);

        Assert.Equal(
            """{"type":"project.v0","path":"../Phoenix.Service/Phoenix.Service.csproj","env":{"OTEL_DOTNET_EXPERIMENTAL_OTLP_RETRY":"in_memory"}}""", await TestModel.ManifestOfAsync(builder, "web"));
    }

    [Fact]
    public async Task Project_WithLaunchProfile_IsReferencedByBothSchemes()
    {
        var builder = TestModel.CreateForPublishing();
        var web = builder.AddProject<Projects.Orchestrator_Agent>("web");
        builder.AddContainer("consumer", "repo/c").WithReference(web);

        var variables = (await TestModel.ManifestAsync(builder))["consumer"]!["env"]!.AsObject();

        Assert.Equal(["WEB_HTTP", "services__web__http__0", "WEB_HTTPS", "services__web__https__0"],
            variables.Select(variable => variable.Key));
    }

    [Fact]
    public async Task Container_ImagePortsAndProtocol_AreWrittenAsGiven()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddContainer("digest", "repo/s").WithImageSHA256("abc123");
        builder.AddContainer("tagged", "repo/c", "1.2").WithImageRegistry("ghcr.io").WithHttpEndpoint(port: 18080, targetPort: 8080);
        builder.AddContainer("latest", "repo/l").WithEndpoint(targetPort: 53, name: "dns", scheme: "udp", protocol: ProtocolType.Udp);

        Assert.Contains("\"image\":\"repo/s@sha256:abc123\"", await TestModel.ManifestOfAsync(builder, "digest"), StringComparison.Ordinal);
        var tagged = await TestModel.ManifestOfAsync(builder, "tagged");
        Assert.Contains("\"image\":\"ghcr.io/repo/c:1.2\"", tagged, StringComparison.Ordinal);
        Assert.Contains("\"port\":18080,\"targetPort\":8080", tagged, StringComparison.Ordinal);
        var latest = await TestModel.ManifestOfAsync(builder, "latest");
        Assert.Contains("\"image\":\"repo/l:latest\"", latest, StringComparison.Ordinal);
        Assert.Contains("\"scheme\":\"udp\",\"protocol\":\"udp\",\"transport\":\"udp\"", latest, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Container_WithPortOnly_ListensOnThatPort()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddContainer("c", "repo/c").WithHttpEndpoint(port: 18080);

        Assert.Contains("\"transport\":\"http\",\"targetPort\":18080}",
            await TestModel.ManifestOfAsync(builder, "c"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Dockerfile_WithArgumentsAndSecret_IsContainerV1()
    {
        var builder = TestModel.CreateForPublishing();
        var plain = builder.AddParameter("plain");
        var generated = builder.AddParameter("gen", secret: true);
        builder.AddDockerfile("image", "../docker").WithBuildArg("A", "1").WithBuildArg("B", plain).WithBuildSecret("S", generated);

        Assert.Equal(
            """{"type":"container.v1","build":{"context":"../docker","dockerfile":"../docker/Dockerfile","args":{"A":"1","B":"{plain.value}"},"secrets":{"S":{"type":"env","value":"{gen.value}"}}}}""",
            await TestModel.ManifestOfAsync(builder, "image"));
    }

    [Fact]
    public async Task Environment_InterpolatedAndLiteral_AreWrittenAsMeant()
    {
        var builder = TestModel.CreateForPublishing();
        var plain = builder.AddParameter("plain");
        builder.AddContainer("c", "repo/c").WithEnvironment("E", $"x-{plain}-y").WithEnvironment("L", "a$b{c}")
            .WithEnvironment("B", $"{{{plain}}}");

        Assert.Contains("""{"E":"x-{plain.value}-y","L":"a$b{c}","B":"{{plain.value}}"}""",
            await TestModel.ManifestOfAsync(builder, "c"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task EncodedForm_OfParameterInTheModel_ComesLast()
    {
        var builder = TestModel.CreateForPublishing();
        var password = builder.AddParameter("db-password", secret: true);
        var server = builder.AddPostgres("pg", password: password);
        builder.AddContainer("c", "repo/c").WithReference(server);

        Assert.Equal(["db-password", "pg", "c", "db-password-uri-encoded"],
            (await TestModel.ManifestAsync(builder)).Select(resource => resource.Key));
    }

    [Fact]
    public async Task Manifest_UnknownResource_IsAnErrorAndExcludedOnesAreLeftOut()
    {
        var builder = TestModel.CreateForPublishing();
        builder.AddResource(new OddResource("odd"));
        builder.AddResource(new OddResource("hidden")).ExcludeFromManifest();
        builder.AddResource(new OddResource("own")).WithManifestPublishingCallback(context => context.Writer.WriteString("type", "own.v0"));
        builder.AddExternalService("mimir", "http://localhost:9009/");

        var manifest = await TestModel.ManifestAsync(builder);

        Assert.Equal(["odd", "own"], manifest.Select(resource => resource.Key));
        Assert.Equal("""{"error":"This resource does not support generation in the manifest."}""", manifest["odd"]!.ToJsonString());
        Assert.Equal("""{"type":"own.v0"}""", manifest["own"]!.ToJsonString());
    }

    private sealed class OddResource(string name) : Resource(name);
}
