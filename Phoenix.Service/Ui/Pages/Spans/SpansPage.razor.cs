using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Spans;

/// <summary>Spans of a project, newest first, filtered.</summary>
public partial class SpansPage
{
    private const int PageSize = 50;

    /// <summary>Part of name, attributes or events.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary>Name of a span kind.</summary>
    [SupplyParameterFromQuery]
    public string? Kind { get; set; }

    /// <summary>Name of a status.</summary>
    [SupplyParameterFromQuery]
    public string? Status { get; set; }

    /// <summary>Model name.</summary>
    [SupplyParameterFromQuery]
    public string? Model { get; set; }

    /// <summary>A condition <c>key:value</c>.</summary>
    [SupplyParameterFromQuery]
    public string? Attr { get; set; }

    /// <summary>Where the page starts, exclusive.</summary>
    [SupplyParameterFromQuery]
    public string? Cursor { get; set; }

    private string? FilterFault { get; set; }

    private List<SpanListItem> Items { get; set; } = [];

    private string? Next { get; set; }

    private IReadOnlyList<(string Value, string Label)> Models { get; set; } = [];

    private bool IsFiltered => !Span.IsAll || !string.IsNullOrEmpty(Q + Kind + Status + Model + Attr);

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        Models = await Reader.ListModelsAsync(Row.Id, Span, cancellationToken);
        AttributeCondition? condition = null;
        FilterFault = string.IsNullOrWhiteSpace(Attr) ? null : AttributeCondition.TryParse(Attr.Trim(), out condition);
        if (FilterFault is not null)
        {
            return;
        }

        var filter = new SpanFilter
        {
            StartNanos = Span.StartNanos,
            EndNanos = Span.EndNanos,
            Kinds = Kind is not null && SpanLabels.TryParse(Kind, out var kind) ? [kind] : null,
            Statuses = Status is not null && SpanLabels.TryParseStatus(Status, out var status) ? [status] : null,
            Models = string.IsNullOrEmpty(Model) ? null : [Model],
            Text = string.IsNullOrWhiteSpace(Q) ? null : Q.Trim(),
            Attributes = condition is null ? [] : [condition],
        };
        var page = await Reader.ListSpansAsync(Row.Id, filter, SpanFilters.Parse(Cursor), PageSize, cancellationToken);
        Items = page.Items;
        Next = page.Next is { } next ? SpanFilters.Format(next) : null;
    }

    private string PageHref(string? cursor) => Links.Tab(Identifier, "spans") + Links.Query(
        ("q", Q), ("kind", Kind), ("status", Status), ("model", Model), ("attr", Attr), ("range", Span.InLinks), ("cursor", cursor));
}
