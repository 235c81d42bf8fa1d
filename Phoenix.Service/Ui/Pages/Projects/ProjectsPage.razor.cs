using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Projects;

/// <summary>All projects, the one active last first.</summary>
public partial class ProjectsPage
{
    /// <summary>Part of the name.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary>One of <see cref="TimeRange.Choices"/>; else all time.</summary>
    [SupplyParameterFromQuery]
    public string? Range { get; set; }

    [Inject]
    private OverviewReader Overviews { get; set; } = null!;

    [Inject]
    private TimeProvider Time { get; set; } = null!;

    private TimeRange Span { get; set; }

    private List<ProjectOverview> Rows { get; set; } = [];

    private string RangeQuery => Links.Query(("range", Span.InLinks));

    /// <inheritdoc/>
    protected override async Task LoadAsync(CancellationToken cancellationToken)
    {
        Span = TimeRange.Parse(Range, from: null, to: null, Time);
        var rows = await Overviews.ListProjectsAsync(
            Span.StartNanos, Span.EndNanos, string.IsNullOrWhiteSpace(Q) ? null : Q.Trim(), cancellationToken);
        Rows = [.. rows.Select(ProjectOverview.From)];
    }
}
