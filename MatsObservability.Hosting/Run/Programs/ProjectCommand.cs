using System.Reflection;
using System.Runtime.InteropServices;
using Aspire.Hosting;
using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Programs;

/// <summary>
/// How a project is run: its built assembly where that is found, which saves the second that <c>dotnet run</c> needs, else <c>dotnet
/// run</c>.
/// </summary>
internal static class ProjectCommand
{
    /// <param name="project">The project resource.</param>
    /// <param name="appHostAssembly">The AppHost's assembly; its neighbours are the projects built with it.</param>
    public static ProgramCommand Of(ProjectResource project, Assembly? appHostAssembly)
    {
        var metadata = project.Annotations.OfType<IProjectMetadata>().Last();
        var directory = Path.GetDirectoryName(metadata.ProjectPath)!;
        if (metadata.SuppressBuild && FindAssembly(metadata.ProjectPath, appHostAssembly) is { } assembly)
        {
            return new ProgramCommand(DotNet(), [assembly], directory);
        }

        var configuration = appHostAssembly?.GetCustomAttribute<AssemblyConfigurationAttribute>()?.Configuration;
        string[] arguments =
        [
            "run", "--project", metadata.ProjectPath, .. metadata.SuppressBuild ? new[] { "--no-build" } : [],
            .. string.IsNullOrEmpty(configuration) ? [] : new[] { "--configuration", configuration }, "--no-launch-profile", "--",
        ];
        return new ProgramCommand(DotNet(), arguments, directory);
    }

    /// <summary>The program <c>dotnet</c> of the runtime that runs this process.</summary>
    private static string DotNet()
    {
        var root = Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
        var beside = Path.Combine(root, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet");
        return File.Exists(beside) ? beside : "dotnet";
    }

    private static string? FindAssembly(string projectPath, Assembly? appHostAssembly)
    {
        var name = Path.GetFileNameWithoutExtension(projectPath);
        var output = Path.GetDirectoryName(appHostAssembly?.Location);
        if (string.IsNullOrEmpty(output))
        {
            return null;
        }

        // <artifacts>/bin/<project>/<configuration>, or <project>/bin/<configuration>/<framework>.
        var last = Path.GetFileName(output);
        var beforeLast = Path.GetFileName(Path.GetDirectoryName(output)!);
        string[] candidates =
        [
            Path.GetFullPath(Path.Combine(output, "..", "..", name, last, name + ".dll")),
            Path.Combine(Path.GetDirectoryName(projectPath)!, "bin", beforeLast, last, name + ".dll"),
        ];
        return candidates.FirstOrDefault(
            candidate => File.Exists(candidate) && File.Exists(Path.ChangeExtension(candidate, ".runtimeconfig.json")));
    }
}
