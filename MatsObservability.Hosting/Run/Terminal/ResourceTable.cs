using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run.Supervision;
using Microsoft.Extensions.Diagnostics.HealthChecks;
using Spectre.Console;

namespace MatsObservability.Hosting.Run.Terminal;

/// <summary>One row of the table of resources.</summary>
internal sealed record ResourceRow(string Name, string State, string Color, IReadOnlyList<string> Urls, bool IsSettled, bool HasFailed)
{
    /// <summary>Reads the row of an instance from its present snapshot.</summary>
    public static ResourceRow Of(ResourceEvent current)
    {
        var snapshot = current.Snapshot;
        var state = snapshot.State?.Text ?? "";
        var urls = snapshot.Urls.Where(url => !url.IsInternal).Select(url => url.Url).ToArray();
        var (text, color, settled, failed) = state switch
        {
            "Running" when snapshot.HealthStatus == HealthStatus.Healthy && snapshot.Ready is not null => ("Healthy", "green", true, false),
            "Running" => ("Running, not healthy yet", "yellow", false, false),
            "Finished" or "Exited" when snapshot.ExitCode is null or 0 => (state, "grey", true, false),
            "Finished" or "Exited" => ($"{state} with exit code {snapshot.ExitCode}", "red", true, true),
            "FailedToStart" => ("Failed to start", "red", true, true),
            "RuntimeUnhealthy" => ("Needs a container runtime", "red", true, true),
            "NotStarted" => ("Not started", "grey", true, false),
            Supervisor.Restarting => ($"Restarting after exit code {snapshot.ExitCode}", "red", false, true),
            _ => (state.Length == 0 ? "Starting" : state, "yellow", false, false),
        };
        return new ResourceRow(current.ResourceId, text, color, urls, settled, failed);
    }
}

/// <summary>The table that tells people what runs where.</summary>
internal static class ResourceTable
{
    /// <summary>The rows of everything that runs or serves, in model order; parameters are left out.</summary>
    public static IReadOnlyList<ResourceRow> Rows(RunContext context)
    {
        var rows = new List<ResourceRow>();
        foreach (var resource in context.Model.Resources.Where(resource => resource is not ParameterResource))
        {
            var ids = RunContext.InstancesOf(resource);
            foreach (var id in ids)
            {
                // What runs code has a row from the beginning, so that the table cannot look settled before all have begun.
                if (context.Notifications.TryGetCurrentState(id, out var current) && !current.Snapshot.IsHidden
                    && (current.Snapshot.State is not null || resource is IComputeResource))
                {
                    var row = ResourceRow.Of(current);
                    rows.Add(ids.Count == 1 ? row with { Name = resource.Name } : row);
                }
            }
        }

        return rows;
    }

    /// <summary>
    /// True when waiting any longer shows nothing new: everything is healthy or has ended, or waits for something that failed.
    /// </summary>
    public static bool IsSettled(IReadOnlyList<ResourceRow> rows)
    {
        var anyFailed = rows.Any(row => row.HasFailed);
        return rows.Count > 0 && rows.All(row => row.IsSettled || row.HasFailed || (anyFailed && row.State == KnownResourceStates.Waiting));
    }

    public static Table Render(IEnumerable<ResourceRow> rows, string? caption = null)
    {
        var table = new Table { Border = TableBorder.Rounded, Caption = caption is null ? null : new TableTitle(Markup.Escape(caption)) };
        table.AddColumns("Resource", "State", "URL");
        foreach (var row in rows)
        {
            table.AddRow(new Text(row.Name), new Markup($"[{row.Color}]{Markup.Escape(row.State)}[/]"),
                new Text(string.Join('\n', row.Urls)));
        }

        return table;
    }
}
