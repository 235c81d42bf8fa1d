using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Traces;

/// <summary>One trace: its facts, its tree, and the details of one span.</summary>
public partial class TracePage
{
    /// <summary>32 hex digits.</summary>
    [Parameter]
    public string TraceId { get; set; } = "";

    /// <summary>16 hex digits of the span to open; absent = the root.</summary>
    [SupplyParameterFromQuery(Name = "span")]
    public string? SpanId { get; set; }

    /// <summary><c>true</c>, set by the script: only the details are wanted.</summary>
    [SupplyParameterFromQuery]
    public string? Pane { get; set; }

    /// <inheritdoc/>
    protected override bool ShowsOverview => false;

    private SpanTree Tree { get; set; } = null!;

    private TraceFacts Facts { get; set; } = null!;

    private SpanDetail? Selected { get; set; }

    private bool IsCut { get; set; }

    private bool IsPane => Pane == "true";

    /// <inheritdoc/>
    protected override Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        if (!TelemetryIds.TryParseTrace(TraceId, out var traceId))
        {
            Problem = new PageProblem(StatusCodes.Status404NotFound, "Not a trace id", "A trace id has 32 hexadecimal digits.");
            return Task.CompletedTask;
        }

        TraceId = TelemetryIds.FormatTrace(traceId);
        return IsPane ? LoadPaneAsync(traceId, cancellationToken) : LoadTraceAsync(traceId, cancellationToken);
    }

    private async Task LoadPaneAsync(Guid traceId, CancellationToken cancellationToken)
    {
        if (TelemetryIds.TryParseSpan(SpanId, out var spanId)
            && await Reader.FindSpanAsync(Row.Id, traceId, spanId, cancellationToken) is { } row)
        {
            Selected = await Reader.DescribeAsync(row, cancellationToken);
            return;
        }

        Problem = new PageProblem(StatusCodes.Status404NotFound, "No such span", "The trace has no span of this id.");
    }

    private async Task LoadTraceAsync(Guid traceId, CancellationToken cancellationToken)
    {
        if (await Reader.FindTraceAsync(Row.Id, traceId, cancellationToken) is not { } trace)
        {
            Problem = new PageProblem(StatusCodes.Status404NotFound,
                "No such trace", $"The project “{Row.Name}” has no spans of the trace {TraceId}.");
            return;
        }

        Tree = trace.Tree;
        IsCut = trace.Rows.Count == PageReader.MostSpans;
        Facts = TraceFacts.From(trace.Rows, trace.Tree);
        if ((TelemetryIds.TryParseSpan(SpanId, out var spanId) || TelemetryIds.TryParseSpan(Tree.Nodes[0].Id, out spanId))
            && await Reader.FindSpanAsync(Row.Id, traceId, spanId, cancellationToken) is { } selected)
        {
            Selected = await Reader.DescribeAsync(selected, cancellationToken);
        }
    }

    private string LinkTo(string spanId) => Links.Trace(Identifier, TraceId, spanId);
}
