using System.Text.Json.Nodes;
using Aspire.Hosting;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Hosting.AppHost;

/// <summary>The product's own AppHost, run as <c>dotnet run -- --publisher manifest --output-path …</c> runs it.</summary>
[Trait("Req", "B009")]
public sealed class AppHostManifestTests
{
    [Fact]
    public async Task Publish_ToManifest_HoldsTheWholeTopology()
    {
        using var folder = new TemporaryFolder();
        var manifest = JsonNode.Parse(await PublishAsync(folder, "m.json"))!["resources"]!.AsObject();

        Assert.Equal(["postgres", "phoenixdb", "phoenix", "orchestrator", "postgres-password", "postgres-password-uri-encoded"],
            manifest.Select(r => r.Key));
        Assert.Equal(["http", "otlp-grpc", "otlp-http", "metrics"],
            manifest["phoenix"]!["bindings"]!.AsObject().Select(binding => binding.Key));
        Assert.Equal("{phoenixdb.connectionString}", (string?)manifest["phoenix"]!["env"]!["ConnectionStrings__phoenixdb"]);
        Assert.Equal("{phoenix.bindings.http.url}", (string?)manifest["orchestrator"]!["env"]!["services__phoenix__http__0"]);
        Assert.Equal("{phoenix.bindings.otlp-grpc.url}", (string?)manifest["orchestrator"]!["env"]!["OTEL_EXPORTER_OTLP_ENDPOINT"]);
        Assert.Equal("{phoenixdb.connectionString}", (string?)manifest["orchestrator"]!["env"]!["ConnectionStrings__phoenixdb"]);
    }

    [Theory]
    [Trait("Req", "B040")]
    [Trait("Req", "B044")]
    [InlineData("false", "phoenix")]
    [InlineData("true", "otel-collector")]
    public async Task Publish_ToManifest_GivesNoHostPortToTwoAndTheOtlpPortsToOne(string collector, string owner)
    {
        using var folder = new TemporaryFolder();
        var manifest = JsonNode.Parse(await PublishAsync(folder, "m.json", $"Collector:Enabled={collector}"))!["resources"]!.AsObject();

        var ports = manifest
            .SelectMany(
                resource =>
                    resource.Value!["bindings"]?.AsObject().Select(
                        binding => (Owner: $"{resource.Key}.{binding.Key}", Port: HostPort(binding.Value!))) ?? [])
            .Where(binding => binding.Port is not null).ToList();

        Assert.Empty(
            ports.GroupBy(binding => binding.Port).Where(same => same.Count() > 1)
                .Select(same => string.Join(" and ", same.Select(binding => binding.Owner))));
        Assert.Equal([$"{owner}.otlp-grpc=4317", $"{owner}.otlp-http=4318"],
            ports.Where(binding => binding.Port is 4317 or 4318).Select(binding => $"{binding.Owner}={binding.Port}"));
    }

    /// <summary>The port that a binding takes on the host: its own, or that of the program when it is open to the outside.</summary>
    private static int? HostPort(JsonNode binding) =>
        (int?)binding["port"] ?? ((bool?)binding["external"] == true ? (int?)binding["targetPort"] : null);

    [Fact]
    [Trait("Req", "B042")]
    [Trait("Req", "B044")]
    public async Task Publish_WithTheCollector_MountsItsConfigurationAndSendsToThePortsInside()
    {
        using var folder = new TemporaryFolder();
        var manifest = JsonNode.Parse(await PublishAsync(
            folder, "m.json", "Collector:Enabled=true", "Collector:Program=/usr/bin/otelcol", "Parameters:phoenix-api-key=s3cret"))!["resources"]!;
        var collector = manifest["otel-collector"]!;

        Assert.Equal("container.v0", (string?)collector["type"]);
        Assert.EndsWith("opentelemetry-collector-contrib:0.142.0", (string?)collector["image"], StringComparison.Ordinal);
        var mount = Assert.Single(collector["bindMounts"]!.AsArray())!;
        Assert.True(File.Exists(Path.Combine(folder.Path, (string)mount["source"]!)));
        Assert.True((bool)mount["readOnly"]!);
        Assert.Equal($"--config={mount["target"]}", (string?)Assert.Single(collector["args"]!.AsArray()));
        Assert.Equal("{phoenix.bindings.otlp-grpc.url}", (string?)collector["env"]!["PHOENIX_OTLP_ENDPOINT"]);
        Assert.Equal("{phoenix-api-key.value}", (string?)collector["env"]!["PHOENIX_API_KEY"]);
        Assert.Equal(
            [("otlp-grpc", 4317, true), ("otlp-http", 4318, true), ("health", 13133, false), ("metrics", 8888, false)],
            collector["bindings"]!.AsObject().Select(binding => (binding.Key, (int)binding.Value!["targetPort"]!,
                (bool?)binding.Value["external"] ?? false)));
        Assert.All(["otlp-grpc", "otlp-http"], name => Assert.Null(manifest["phoenix"]!["bindings"]![name]!["external"]));
    }

    [Fact]
    public async Task Publish_WithTheCollectorOff_IsAsIfThereWereNone()
    {
        using var folder = new TemporaryFolder();

        Assert.Equal(
            await PublishAsync(folder, "default.json"),
            await PublishAsync(folder, "off.json", "Collector:Enabled=false", "Collector:Program=/usr/bin/otelcol", "Ports:collector-otlp-grpc=1"));
    }

    [Fact]
    public async Task Publish_Twice_GivesIdenticalBytes()
    {
        using var folder = new TemporaryFolder();

        Assert.Equal(await PublishAsync(folder, "first.json"), await PublishAsync(folder, "second.json"));
    }

    [Fact]
    public async Task Publish_WithConfiguredSecrets_WritesNoSecretAndNoAbsolutePath()
    {
        const string secret = "correct-horse-battery";
        using var folder = new TemporaryFolder();

        var manifest = await PublishAsync(folder,
            "m.json", $"--Parameters:postgres-password={secret}", $"--Parameters:openai-api-key={secret}", $"--Parameters:phoenix-api-key={secret}");

        Assert.DoesNotContain(secret, manifest, StringComparison.Ordinal);
        Assert.Contains("\"OPENAI_API_KEY\": \"{openai-api-key.value}\"", manifest, StringComparison.Ordinal);
        Assert.Contains("\"PHOENIX_API_KEY\": \"{phoenix-api-key.value}\"", manifest, StringComparison.Ordinal);
        Assert.DoesNotContain(JsonStrings(JsonNode.Parse(manifest)!),
            text => Path.IsPathRooted(text) && !text.StartsWith("/var/lib/postgresql", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Publish_ToDirectory_AppendsTheUsualFileName()
    {
        using var folder = new TemporaryFolder();

        await RunAsync("--publisher", "manifest", "--output-path", Path.Combine(folder.Path, "new", "out"));

        Assert.True(File.Exists(Path.Combine(folder.Path, "new", "out", "aspire-manifest.json")));
    }

    private static async Task<string> PublishAsync(TemporaryFolder folder, string file, params string[] args)
    {
        var path = Path.Combine(folder.Path, file);
        await RunAsync(["--publisher", "manifest", "--output-path", path, .. args]);
        return await File.ReadAllTextAsync(path);
    }

    private static async Task RunAsync(params string[] args) => await Task.Run(() =>
    {
        BuilderHooks.Current = new BuilderHooks { Constructing = (options, _) => options.AssemblyName = "MatsObservability.AppHost" };
        typeof(Projects.MatsObservability_AppHost).Assembly.EntryPoint!.Invoke(null, [args]);
    });

    private static IEnumerable<string> JsonStrings(JsonNode node) => node switch
    {
        JsonObject members => members.SelectMany(member => JsonStrings(member.Value!)),
        JsonArray items => items.SelectMany(item => JsonStrings(item!)),
        JsonValue value when value.TryGetValue<string>(out var text) => [text],
        _ => [],
    };
}
