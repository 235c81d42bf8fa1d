using Microsoft.AspNetCore.Components;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Pages.Metrics;

/// <summary>A project's own activity over time, its models, and the metrics it sent.</summary>
public partial class MetricsPage
{
    private const int MostSeries = 20;
    private const int MostPoints = 20_000;

    /// <summary>Received metric to draw.</summary>
    [SupplyParameterFromQuery]
    public string? Name { get; set; }

    private ActivityView? Activity { get; set; }

    private IReadOnlyList<ModelUsageView> Models { get; set; } = [];

    private IReadOnlyList<(string Value, string Label)> Names { get; set; } = [];

    private IReadOnlyList<ChartLine>? Received { get; set; }

    private string? ReceivedUnit { get; set; }

    private long ReceivedStart { get; set; }

    private long ReceivedEnd { get; set; }

    private bool IsCut { get; set; }

    private long Start => Activity!.Slices[0].StartNanos;

    private string PerSlice => $"per {Format.Duration(Activity!.SliceNanos)}";

    /// <inheritdoc/>
    protected override async Task LoadProjectAsync(CancellationToken cancellationToken)
    {
        Activity = await Reader.ReadActivityAsync(Row.Id, Span, cancellationToken);
        Models = await Reader.ReadModelUsageAsync(Row.Id, Span, cancellationToken);
        Names = await Reader.ListMetricNamesAsync(Row.Id, cancellationToken);
        if (string.IsNullOrEmpty(Name))
        {
            return;
        }

        var metric = await Reader.ReadMetricAsync(Row.Id, Name, Span, MostSeries, MostPoints, cancellationToken);
        if (metric is not { } found)
        {
            Problem = new PageProblem(StatusCodes.Status404NotFound,
                "No such metric", $"The project “{Row.Name}” has not sent a metric “{Name}”.");
            return;
        }

        (Received, ReceivedUnit, IsCut) = (found.Lines, found.Unit, found.IsCut);
        var times = Received.SelectMany(static line => line.Points).Select(static point => point.Nanos).DefaultIfEmpty(0).ToList();
        (ReceivedStart, ReceivedEnd) = (times.Min(), times.Max());
    }

    private List<ChartLine> Lines(params (string Label, Func<ActivitySlice, double?> Value)[] lines) =>
        [.. lines.Select(line => new ChartLine(line.Label, [.. Activity!.Slices.Select(slice => (slice.StartNanos, line.Value(slice)))]))];
}
