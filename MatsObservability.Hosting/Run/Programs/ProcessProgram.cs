using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run.Processes;
using MatsObservability.Hosting.Run.Supervision;

namespace MatsObservability.Hosting.Run.Programs;

/// <summary>The command of a project or an executable.</summary>
internal sealed record ProgramCommand(string Program, IReadOnlyList<string> Arguments, string WorkingDirectory);

/// <summary>Runs an instance of a project or an executable as a child process.</summary>
internal sealed class ProcessProgram(RunContext context, IResource resource, string id, int instance, ResourceEnvironment environment,
    Func<ProgramCommand> command) : IProgram
{
    // What the AppHost was started with must not decide how a service listens or runs.
    private static readonly string[] s_notInherited = ["ASPNETCORE_URLS", "DOTNET_LAUNCH_PROFILE", "ASPNETCORE_ENVIRONMENT",
        "DOTNET_ENVIRONMENT", "ASPIRE_LOGLEVEL"];

    public async Task<IRunningProgram> StartAsync(CancellationToken cancellationToken)
    {
        var variables = await environment.VariablesAsync(resource, id, instance, cancellationToken);
        var arguments = await environment.ArgumentsAsync(resource, id, instance, cancellationToken);
        var chosen = command();
        var values = s_notInherited.ToDictionary(name => name, _ => (string?)null, StringComparer.Ordinal);
        foreach (var variable in variables)
        {
            values[variable.Name] = variable.Value;
        }

        var process = ChildProcess.Start(new ChildProcessSpec(chosen.Program, [.. chosen.Arguments, .. arguments])
        {
            WorkingDirectory = chosen.WorkingDirectory,
            Environment = values,
            Output = (line, isError) => context.Loggers.Append(resource.Name, line, isError),
        });
        return new RunningProcess(process, variables);
    }

    private sealed class RunningProcess(ChildProcess process, IReadOnlyList<InstanceVariable> environment) : IRunningProgram
    {
        public int ProcessId => process.Id;

        public IReadOnlyList<InstanceVariable> Environment => environment;

        public Task<int> Exited => process.Exited;

        public bool CanFinish => true;

        public Task StopAsync(TimeSpan grace) => process.StopAsync(grace);

        public ValueTask DisposeAsync() => process.DisposeAsync();
    }
}
