using Microsoft.AspNetCore.Components;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Sessions;

/// <summary>One session as a conversation. The id is a query value: it may hold anything, slashes too.</summary>
public partial class SessionPage
{
    private const int MostTurns = 200;

    /// <summary>The session's id as sent.</summary>
    [SupplyParameterFromQuery]
    public string? Id { get; set; }

    /// <inheritdoc/>
    protected override bool ShowsOverview => false;

    private SessionListItem Session { get; set; } = null!;

    private List<SessionTurn> Turns { get; set; } = [];

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        if (string.IsNullOrEmpty(Id) || await Reader.FindSessionAsync(Row.Id, Id, MostTurns, cancellationToken) is not { } found)
        {
            Problem = new PageProblem(StatusCodes.Status404NotFound, "No such session", $"The project “{Row.Name}” has no session “{Id}”.");
            return;
        }

        (Session, Turns) = found;
    }
}
