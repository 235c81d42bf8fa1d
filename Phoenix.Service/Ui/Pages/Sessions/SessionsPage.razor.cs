using Microsoft.AspNetCore.Components;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Sessions;

/// <summary>Sessions of a project, newest first.</summary>
public partial class SessionsPage
{
    private const int PageSize = 50;

    /// <summary>Part of session or user id.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary>Where the page starts, exclusive.</summary>
    [SupplyParameterFromQuery]
    public string? Cursor { get; set; }

    private List<SessionListItem> Items { get; set; } = [];

    private string? Next { get; set; }

    private bool IsFiltered => !Span.IsAll || !string.IsNullOrEmpty(Q);

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        var text = string.IsNullOrWhiteSpace(Q) ? null : Q.Trim();
        var page = await Reader.ListSessionsAsync(Row.Id, Span, text, ListCursor.Parse(Cursor), PageSize, cancellationToken);
        Items = page.Items;
        Next = ListCursor.Format(page.Next);
    }

    private string PageHref(string? cursor) =>
        Links.Tab(Identifier, "sessions") + Links.Query(("q", Q), ("range", Span.InLinks), ("cursor", cursor));
}
