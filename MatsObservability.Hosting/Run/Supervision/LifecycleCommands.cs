using Aspire.Hosting.ApplicationModel;

namespace MatsObservability.Hosting.Run.Supervision;

/// <summary>Gives a resource the commands start, stop and restart.</summary>
internal static class LifecycleCommands
{
    /// <param name="resource">The resource.</param>
    /// <param name="supervisorOf">Finds the supervisor of an instance.</param>
    public static void AddTo(IResource resource, Func<string, Supervisor> supervisorOf)
    {
        Add(KnownResourceCommands.StartCommand, "Start", highlighted: true, CanStart, async (supervisor, state) =>
        {
            if (!CanStart(state))
            {
                return CommandResults.Failure($"It is {state ?? "unknown"}.");
            }

            await supervisor.StartByCommandAsync();
            return CommandResults.Success();
        });
        Add(KnownResourceCommands.StopCommand, "Stop", highlighted: true, CanStop, async (supervisor, _) =>
        {
            await supervisor.StopByCommandAsync();
            return CommandResults.Success();
        });
        Add(KnownResourceCommands.RestartCommand, "Restart", highlighted: false,
            static state => state == KnownResourceStates.Running, async (supervisor, _) =>
        {
            await supervisor.StopByCommandAsync();
            await supervisor.StartByCommandAsync();
            return CommandResults.Success();
        });

        void Add(string name, string displayName, bool highlighted, Func<string?, bool> isEnabled,
            Func<Supervisor, string?, Task<ExecuteCommandResult>> execute)
        {
            var options = new CommandOptions
            {
                IsHighlighted = highlighted,
                UpdateState = command => isEnabled(command.ResourceSnapshot.State?.Text)
                    ? ResourceCommandState.Enabled
                    : ResourceCommandState.Disabled,
            };
            resource.Annotations.Add(new ResourceCommandAnnotation(name, displayName, Execute, options));

            Task<ExecuteCommandResult> Execute(ExecuteCommandContext command)
            {
                var notifications = (ResourceNotificationService?)command.Services.GetService(typeof(ResourceNotificationService));
                var state = notifications?.TryGetCurrentState(command.ResourceName, out var current) == true
                    ? current.Snapshot.State?.Text
                    : null;
                return execute(supervisorOf(command.ResourceName), state);
            }
        }
    }

    private static bool CanStart(string? state) =>
        state is not null
            && (state == KnownResourceStates.NotStarted || state == KnownResourceStates.Waiting || state == Supervisor.Restarting
                || KnownResourceStates.TerminalStates.Contains(state));

    private static bool CanStop(string? state) => state is not null
        && (state == KnownResourceStates.Running || state == KnownResourceStates.Starting || state == Supervisor.Restarting);
}
