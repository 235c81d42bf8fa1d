using Microsoft.Extensions.Hosting;

namespace MatsObservability.Hosting.Run.Processes;

/// <summary>
/// <c>dotnet run</c> starts the AppHost as its child. When that parent is killed hard, nobody can reach the AppHost by the process the user
/// knows: it then stops as if asked to. A shell or service manager as parent may end without that meaning anything.
/// </summary>
internal sealed class DotNetRunWatch(IHostApplicationLifetime lifetime) : BackgroundService
{
    private static readonly TimeSpan s_interval = TimeSpan.FromSeconds(1);

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        if (!OperatingSystem.IsLinux())
        {
            return;
        }

        var parent = UnixCalls.ParentProcessId();
        if (!await IsDotNetRunAsync(parent, stoppingToken))
        {
            return;
        }

        using var timer = new PeriodicTimer(s_interval);
        while (await timer.WaitForNextTickAsync(stoppingToken))
        {
            if (UnixCalls.ParentProcessId() != parent)
            {
                lifetime.StopApplication();
                return;
            }
        }
    }

    private static async Task<bool> IsDotNetRunAsync(int processId, CancellationToken cancellationToken)
    {
        try
        {
            var commandLine = (await File.ReadAllTextAsync($"/proc/{processId}/cmdline", cancellationToken)).Split(
                '\0', StringSplitOptions.RemoveEmptyEntries);
            return commandLine.Length > 1 && Path.GetFileName(commandLine[0]) == "dotnet"
                && commandLine.Skip(1).Any(argument => argument is "run" or "watch");
        }
        catch (IOException)
        {
            return false;
        }
    }
}
