using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Traces;

/// <summary>Traces of a project, newest first, filtered.</summary>
public partial class TracesPage
{
    private const int PageSize = 50;

    private static readonly (string Value, string Label)[] s_statuses = [("error", "With errors"), ("ok", "Without errors")];

    /// <summary>Part of name, attributes or events of a span.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary><c>error</c> or <c>ok</c>.</summary>
    [SupplyParameterFromQuery]
    public string? Status { get; set; }

    /// <summary>Name of a span kind that a span of the trace has.</summary>
    [SupplyParameterFromQuery]
    public string? Kind { get; set; }

    /// <summary>Model that a span of the trace used.</summary>
    [SupplyParameterFromQuery]
    public string? Model { get; set; }

    /// <summary>Where the page starts, exclusive.</summary>
    [SupplyParameterFromQuery]
    public string? Cursor { get; set; }

    private List<TraceListItem> Items { get; set; } = [];

    private string? Next { get; set; }

    private IReadOnlyList<(string Value, string Label)> Models { get; set; } = [];

    private ActivityView? Activity { get; set; }

    private bool IsFiltered => !Span.IsAll || !string.IsNullOrEmpty(Q + Status + Kind + Model);

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        Models = await Reader.ListModelsAsync(Row.Id, Span, cancellationToken);
        Activity = Cursor is null ? await Reader.ReadActivityAsync(Row.Id, Span, cancellationToken) : null;
        var anySpan = new SpanFilter
        {
            Kinds = Kind is not null && SpanLabels.TryParse(Kind, out var kind) ? [kind] : null,
            Models = string.IsNullOrEmpty(Model) ? null : [Model],
            Text = string.IsNullOrWhiteSpace(Q) ? null : Q.Trim(),
        };
        var filter = new TraceListFilter
        {
            StartNanos = Span.StartNanos,
            EndNanos = Span.EndNanos,
            HasErrors = Status switch { "error" => true, "ok" => false, _ => null },
            AnySpan = anySpan.IsSelective ? anySpan : null,
        };
        var page = await Reader.ListTracesAsync(Row.Id, filter, ListCursor.Parse(Cursor), PageSize, cancellationToken);
        Items = page.Items;
        Next = ListCursor.Format(page.Next);
    }

    private string PageHref(string? cursor) => Links.Tab(Identifier, "traces") + Links.Query(
        ("q", Q), ("status", Status), ("kind", Kind), ("model", Model), ("range", Span.InLinks), ("cursor", cursor));
}
