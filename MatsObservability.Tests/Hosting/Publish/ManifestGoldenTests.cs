using System.Text;

namespace MatsObservability.Tests.Hosting.Publish;

[Trait("Req", "B009")]
public sealed class ManifestGoldenTests
{
    [Fact]
    public async Task Manifest_ExampleModel_EqualsStoredBytes()
    {
        await using var stored = typeof(ManifestGoldenTests).Assembly.GetManifestResourceStream("manifest-example.json")!;
        using var expected = new StreamReader(stored);

        var actual = await TestModel.ManifestBytesAsync(
            ExampleModel.Create("--publisher", "manifest", "--output-path", "aspire-manifest.json", "Telemetry:Stack=full"));

        Assert.Equal(await expected.ReadToEndAsync(), Encoding.UTF8.GetString(actual));
    }

    [Fact]
    public async Task Manifest_SameModelTwice_GivesIdenticalBytes()
    {
        string[] args = ["--publisher", "manifest", "--output-path", "aspire-manifest.json", "Telemetry:Stack=full"];

        var first = await TestModel.ManifestBytesAsync(ExampleModel.Create(args));
        var second = await TestModel.ManifestBytesAsync(ExampleModel.Create(args));

        Assert.Equal(first, second);
    }
}
