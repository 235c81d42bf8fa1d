using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Tests.Hosting.Model;

[Trait("Req", "B018")]
public sealed class WaitTests
{
    [Fact]
    public void ExampleModel_HealthKeysAndWaits_AreThoseOfTheContract()
    {
        var builder = ExampleModel.Create();
        var phoenix = builder.CreateResourceBuilder<ProjectResource>("phoenix").Resource;

        Assert.Equal(["phoenix_http_/healthz_200_check"], Keys("phoenix"));
        Assert.Equal(["postgres_check"], Keys("postgres"));
        Assert.Equal(["phoenixdb_check"], Keys("phoenixdb"));
        Assert.Equal(
            [("postgres", WaitType.WaitUntilHealthy, null), ("phoenixdb", WaitType.WaitUntilHealthy, null)],
            phoenix.Annotations.OfType<WaitAnnotation>().Select(wait => (wait.Resource.Name, wait.WaitType, wait.WaitBehavior)));
        Assert.Equal(
            ["Reference phoenixdb", "WaitFor phoenixdb"],
            phoenix.Annotations.OfType<ResourceRelationshipAnnotation>().Where(r => r.Resource.Name == "phoenixdb")
                .Select(r => $"{r.Type} {r.Resource.Name}"));

        IEnumerable<string> Keys(string name) =>
            builder.CreateResourceBuilder<IResource>(name).Resource.Annotations.OfType<HealthCheckAnnotation>().Select(check => check.Key);
    }

    [Fact]
    public void WaitFor_ItselfOrItsParent_IsRefused()
    {
        var builder = TestModel.Create();
        var x = builder.AddContainer("x", "repo/c");
        var child = builder.AddResource(new ChildResource("child", x.Resource));

        Assert.Equal("The 'x' resource cannot wait for itself.",
            Assert.Throws<DistributedApplicationException>(() => x.WaitFor(x)).Message);
        Assert.Equal("The 'child' resource cannot wait for its parent 'x'.",
            Assert.Throws<DistributedApplicationException>(() => child.WaitForStart(x)).Message);
    }

    [Fact]
    public void WaitForCompletion_WithExitCode_KeepsIt()
    {
        var builder = TestModel.Create();
        var job = builder.AddExecutable("job", "x", ".");
        var waiter = builder.AddContainer("c", "repo/c").WaitForCompletion(job, exitCode: 3)
            .WaitFor(job, WaitBehavior.StopOnResourceUnavailable);

        var waits = waiter.Resource.Annotations.OfType<WaitAnnotation>().ToArray();

        Assert.Equal((WaitType.WaitForCompletion, 3), (waits[0].WaitType, waits[0].ExitCode));
        Assert.Equal(WaitBehavior.StopOnResourceUnavailable, waits[1].WaitBehavior);
    }

    [Fact]
    public void WithHealthCheck_SameKeyTwice_IsRefused()
    {
        var resource = TestModel.Create().AddContainer("c", "repo/c").WithHealthCheck("key");

        Assert.Contains("already has a health check with key 'key'",
            Assert.Throws<DistributedApplicationException>(() => resource.WithHealthCheck("key")).Message, StringComparison.Ordinal);
    }

    private sealed class ChildResource(string name, IResource parent) : Resource(name), IResourceWithParent, IResourceWithWaitSupport
    {
        public IResource Parent { get; } = parent;
    }
}
