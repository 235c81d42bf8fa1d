using System.Globalization;
using System.Text.Json.Serialization;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run;
using MatsObservability.Hosting.Run.Supervision;

namespace MatsObservability.Hosting.Dashboard;

/// <summary>An instance of a resource as the page and the API show it. Secrets are masked already.</summary>
internal sealed record ResourceView(
    string Id,
    string Name,
    string Type,
    string State,
    string? Style,
    string? Health,
    int? ExitCode,
    DateTime? StartedAt,
    string? Parent,
    IReadOnlyList<UrlView> Urls,
    IReadOnlyList<HealthReportView> HealthReports,
    IReadOnlyList<VariableView> Environment,
    IReadOnlyList<PropertyView> Properties,
    IReadOnlyList<RelationshipView> Relationships,
    IReadOnlyList<CommandView> Commands)
{
    /// <summary>The present state of every visible instance, in model order.</summary>
    public static IReadOnlyList<ResourceView> All(RunContext context)
    {
        var views = new List<ResourceView>();
        foreach (var resource in context.Model.Resources)
        {
            foreach (var id in RunContext.InstancesOf(resource))
            {
                if (context.Notifications.TryGetCurrentState(id, out var current) && !current.Snapshot.IsHidden)
                {
                    views.Add(Of(current));
                }
            }
        }

        return views;
    }

    private static ResourceView Of(ResourceEvent current)
    {
        var snapshot = current.Snapshot;
        return new ResourceView(
            current.ResourceId,
            current.Resource.Name,
            snapshot.ResourceType,
            snapshot.State?.Text ?? "Unknown",
            snapshot.State?.Style,
            snapshot.HealthStatus?.ToString(),
            snapshot.ExitCode,
            snapshot.StartTimeStamp,
            (current.Resource as IResourceWithParent)?.Parent.Name,
            [.. snapshot.Urls.Select(url => new UrlView(url.Name, url.Url, !url.IsInactive))],
            [.. snapshot.HealthReports.Select(report => new HealthReportView(report.Name, report.Status?.ToString(), report.Description))],
            [.. snapshot.EnvironmentVariables.Select(
                variable => new VariableView(variable.Name, variable.Value, variable.Value == Supervisor.Masked))],
            [.. snapshot.Properties.Select(
                property => new PropertyView(property.Name,
                    property.IsSensitive ? Supervisor.Masked : Convert.ToString(property.Value, CultureInfo.InvariantCulture)))],
            [.. snapshot.Relationships.Select(relationship => new RelationshipView(relationship.ResourceName, relationship.Type))],
            [.. snapshot.Commands.Where(command => command.State != ResourceCommandState.Hidden)
                .Select(command => new CommandView(command.Name, command.DisplayName, command.State == ResourceCommandState.Enabled))]);
    }
}

internal sealed record UrlView(string? Name, string Url, bool IsActive);

internal sealed record HealthReportView(string Name, string? Status, string? Description);

internal sealed record VariableView(string Name, string? Value, bool IsSecret);

internal sealed record PropertyView(string Name, string? Value);

internal sealed record RelationshipView(string Resource, string Type);

internal sealed record CommandView(string Name, string DisplayName, bool IsEnabled);

/// <summary>A line of a resource's log.</summary>
internal sealed record LogLineView(int Number, string Text, bool IsError);

/// <summary>How a command ended.</summary>
internal sealed record CommandResultView(bool Success, string? Message);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<ResourceView>))]
[JsonSerializable(typeof(IReadOnlyList<LogLineView>))]
[JsonSerializable(typeof(CommandResultView))]
internal sealed partial class DashboardJsonContext : JsonSerializerContext;
