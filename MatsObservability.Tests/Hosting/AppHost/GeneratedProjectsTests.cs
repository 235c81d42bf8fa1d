using System.Reflection;
using Aspire.Hosting;
using Microsoft.Extensions.Configuration.UserSecrets;

namespace MatsObservability.Tests.Hosting.AppHost;

/// <summary>What the build puts into the AppHost's assembly, as Aspire's SDK would.</summary>
[Trait("Req", "B018")]
public sealed class GeneratedProjectsTests
{
    [Theory]
    [InlineData(typeof(Projects.Phoenix_Service), "Phoenix.Service.csproj")]
    [InlineData(typeof(Projects.Orchestrator_Agent), "Orchestrator.Agent.csproj")]
    [InlineData(typeof(Projects.MatsObservability_Benchmarks), "MatsObservability.Benchmarks.csproj")]
    public void ResourceProject_Class_NamesItsFileAndIsBuiltWithTheAppHost(Type type, string file)
    {
        var metadata = (IProjectMetadata)Activator.CreateInstance(type)!;

        Assert.True(File.Exists(metadata.ProjectPath));
        Assert.Equal(file, Path.GetFileName(metadata.ProjectPath));
        Assert.True(metadata.SuppressBuild);
    }

    [Fact]
    public void AppHostClass_And_Metadata_NameItsDirectoryFileAndSecrets()
    {
        var assembly = typeof(Projects.MatsObservability_AppHost).Assembly;
        var metadata = assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
            .ToDictionary(attribute => attribute.Key, attribute => attribute.Value, StringComparer.OrdinalIgnoreCase);

        Assert.Equal(Projects.MatsObservability_AppHost.ProjectPath, metadata["apphostprojectpath"]);
        Assert.Equal("MatsObservability.AppHost.csproj", metadata["apphostprojectname"]);
        Assert.True(File.Exists(Path.Combine(Projects.MatsObservability_AppHost.ProjectPath, metadata["apphostprojectname"]!)));
        Assert.Equal("mats-observability-apphost", assembly.GetCustomAttribute<UserSecretsIdAttribute>()?.UserSecretsId);
        Assert.DoesNotContain(assembly.GetReferencedAssemblies(), reference => reference.Name is "Phoenix.Service" or "Orchestrator.Agent");
    }
}
