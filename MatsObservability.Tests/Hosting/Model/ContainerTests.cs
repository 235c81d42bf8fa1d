using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class ContainerTests
{
    [Theory]
    [InlineData("redis", null, "redis", "latest", null)]
    [InlineData("redis:7", null, "redis", "7", null)]
    [InlineData("library/redis:7", null, "library/redis", "7", null)]
    [InlineData("ghcr.io/a/b:1.2", "ghcr.io", "a/b", "1.2", null)]
    [InlineData("localhost:5000/a", "localhost:5000", "a", "latest", null)]
    [InlineData("localhost/a@sha256:abc", "localhost", "a", null, "abc")]
    public void Image_AnyReference_IsTakenApart(string image, string? registry, string name, string? tag, string? digest)
    {
        var container = TestModel.Create().AddContainer("c", image).Resource;

        Assert.True(container.TryGetLastAnnotation<ContainerImageAnnotation>(out var annotation));
        Assert.Equal((registry, name, tag, digest), (annotation.Registry, annotation.Image, annotation.Tag, annotation.SHA256));
    }

    [Theory]
    [InlineData("redis:7")]
    [InlineData("redis@sha256:abc")]
    public void Image_TagGivenTwice_IsRefused(string image)
    {
        Assert.Throws<InvalidOperationException>(() => TestModel.Create().AddContainer("c", image, "8"));
    }

    [Theory]
    [InlineData("18.3", "/var/lib/postgresql")]
    [InlineData("19", "/var/lib/postgresql")]
    [InlineData("17.2", "/var/lib/postgresql/data")]
    [InlineData("latest", "/var/lib/postgresql")]
    public void PostgresDataPath_ByMajorVersion_IsTheImagesOwn(string tag, string target)
    {
        var server = TestModel.Create().AddPostgres("pg").WithImageTag(tag).WithDataVolume("v").Resource;

        Assert.Equal(target, Assert.Single(server.Annotations.OfType<ContainerMountAnnotation>()).Target);
    }

    [Fact]
    public void Mounts_ThatCannotBe_AreRefused()
    {
        Assert.Throws<ArgumentException>(
            () => new ContainerMountAnnotation("relative", "/t", ContainerMountType.BindMount, isReadOnly: false));
        Assert.Throws<ArgumentException>(
            () => new ContainerMountAnnotation(source: null, "/t", ContainerMountType.Volume, isReadOnly: true));
    }

    [Fact]
    public void BuildArguments_OfAnImageThatIsNotBuilt_AreRefused()
    {
        var builder = TestModel.Create();

        Assert.Throws<InvalidOperationException>(() => builder.AddContainer("c", "repo/c").WithBuildArg("A", "1"));
        Assert.Throws<InvalidOperationException>(
            () => builder.AddDockerfile("d", ".").WithBuildArg("A", builder.AddParameter("s", secret: true)));
    }

    [Fact]
    public void Project_FileOrProfileMissing_IsRefused()
    {
        var builder = TestModel.Create();

        var file = Assert.Throws<DistributedApplicationException>(() => builder.AddProject("p", "../None/None.csproj"));
        var profile = Assert.Throws<DistributedApplicationException>(() => builder.AddProject<Projects.Orchestrator_Agent>("o", "none"));

        Assert.Contains("None.csproj' of resource 'p' was not found", file.Message, StringComparison.Ordinal);
        Assert.Contains("Launch profile 'none' does not exist", profile.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://localhost:9009/base/")]
    [InlineData("http://localhost:9009/?q=1")]
    [InlineData("not a url")]
    public void ExternalService_NotAPlainAddress_IsRefused(string url) =>
        Assert.Throws<ArgumentException>(() => TestModel.Create().AddExternalService("x", url));
}
