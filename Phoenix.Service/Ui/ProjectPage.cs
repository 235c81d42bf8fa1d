using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui;

/// <summary>Base of the pages inside a project.</summary>
public abstract class ProjectPage : UiPage
{
    /// <summary>Name or id of the project, from the path.</summary>
    [Parameter]
    public string Project { get; set; } = "";

    /// <summary>One of <see cref="TimeRange.Choices"/> or an interval of two bounds; else all time.</summary>
    [SupplyParameterFromQuery]
    public string? Range { get; set; }

    /// <summary>Earliest time, ISO 8601; wins over <see cref="Range"/>.</summary>
    [SupplyParameterFromQuery]
    public string? From { get; set; }

    /// <summary>Latest time, ISO 8601, exclusive.</summary>
    [SupplyParameterFromQuery]
    public string? To { get; set; }

    /// <summary>Header of a request that shows the list alone, as "Live" repeats it.</summary>
    internal const string ListAlone = "x-list-alone";

    [Inject]
    private protected PageReader Reader { get; set; } = null!;

    [Inject]
    private protected TimeProvider Time { get; set; } = null!;

    /// <summary>The project; set before the page itself loads.</summary>
    private protected ProjectRow Row { get; private set; } = null!;

    /// <summary>How links name the project.</summary>
    protected string Identifier => Links.Identifier(Row.Id, Row.Name);

    /// <summary>The page's span of time.</summary>
    private protected TimeRange Span { get; private set; }

    /// <summary>The numbers of the header.</summary>
    protected Models.ProjectOverview? Overview { get; private set; }

    /// <summary>Whether the header's numbers are read.</summary>
    protected virtual bool ShowsOverview => true;

    /// <inheritdoc/>
    protected sealed override async Task LoadAsync(CancellationToken cancellationToken)
    {
        if (await Reader.FindProjectAsync(Project, cancellationToken) is not { } row)
        {
            Problem = new PageProblem(StatusCodes.Status404NotFound,
                "No such project", $"There is no project “{Project}”. It appears with its first span, log record or metric point.");
            return;
        }

        Row = row;
        Span = TimeRange.Parse(Range, From, To, Time);
        if (ShowsOverview && !Context.Request.Headers.ContainsKey(ListAlone))
        {
            Overview = await Reader.FindOverviewAsync(row.Id, Span, cancellationToken) is { } found
                ? Models.ProjectOverview.From(found)
                : null;
        }

        await LoadProjectAsync(cancellationToken);
    }

    /// <summary>Reads what the page shows inside its project, or sets <see cref="UiPage.Problem"/>.</summary>
    protected abstract Task LoadProjectAsync(CancellationToken cancellationToken);
}
