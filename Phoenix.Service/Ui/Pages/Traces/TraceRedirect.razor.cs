using Microsoft.AspNetCore.Components;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui.Pages.Traces;

/// <summary>Finds the project of a trace that is known by its id alone.</summary>
public partial class TraceRedirect
{
    /// <summary>32 hex digits.</summary>
    [Parameter]
    public string TraceId { get; set; } = "";

    /// <summary>16 hex digits of a span to open.</summary>
    [SupplyParameterFromQuery(Name = "span")]
    public string? SpanId { get; set; }

    [Inject]
    private PageReader Reader { get; set; } = null!;

    /// <inheritdoc/>
    protected override async Task LoadAsync(CancellationToken cancellationToken)
    {
        if (TelemetryIds.TryParseTrace(TraceId, out var traceId)
            && await Reader.FindProjectOfTraceAsync(traceId, cancellationToken) is { } project)
        {
            Context.Response.Redirect($"{Context.Request.PathBase}/{Links.Trace(project, TelemetryIds.FormatTrace(traceId), SpanId)}");
            return;
        }

        Problem = new PageProblem(StatusCodes.Status404NotFound, "No such trace", "No project has a span of this trace.");
    }
}
