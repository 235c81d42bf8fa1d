using System.Globalization;
using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Logs;

/// <summary>Log records of a project, newest first, filtered.</summary>
public partial class LogsPage
{
    private const int PageSize = 100;

    // Least severity numbers of OTLP's levels.
    private static readonly (string Value, string Label)[] s_levels = [("5", "Debug and up"), ("9", "Info and up"),
        ("13", "Warnings and up"), ("17", "Errors and up")];

    /// <summary>Part of the body.</summary>
    [SupplyParameterFromQuery]
    public string? Q { get; set; }

    /// <summary>Least severity number.</summary>
    [SupplyParameterFromQuery]
    public string? Level { get; set; }

    /// <summary>32 hex digits; records of one trace.</summary>
    [SupplyParameterFromQuery]
    public string? Trace { get; set; }

    /// <summary>Where the page starts, inclusive.</summary>
    [SupplyParameterFromQuery]
    public string? Cursor { get; set; }

    private List<LogView> Logs { get; set; } = [];

    private string? Next { get; set; }

    private bool IsFiltered => !Span.IsAll || !string.IsNullOrEmpty(Q + Level + Trace);

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        var filter = new LogFilter
        {
            StartNanos = Span.StartNanos,
            EndNanos = Span.EndNanos,
            TraceId = TelemetryIds.TryParseTrace(Trace, out var traceId) ? traceId : null,
            MinSeverity = short.TryParse(Level, NumberStyles.None, CultureInfo.InvariantCulture, out var level) ? level : (short)0,
            BodyContains = string.IsNullOrWhiteSpace(Q) ? null : Q.Trim(),
        };
        var page = await Reader.ListLogsAsync(
            Row.Id, filter, ListCursor.Parse(Cursor) is { } at ? new LogKey(at.StartNanos, at.Id) : null, PageSize, cancellationToken);
        Logs = page.Items;
        Next = page.Next is { } next ? ListCursor.Format(new TraceListKey(next.TimeNanos, next.Id)) : null;
    }

    private string PageHref(string? cursor) => Links.Tab(Identifier, "logs") + Links.Query(
        ("q", Q), ("level", Level), ("trace", Trace), ("range", Span.InLinks), ("cursor", cursor));
}
