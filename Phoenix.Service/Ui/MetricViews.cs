using Phoenix.Service.Storage;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui;

/// <summary>Received metrics as lines of a chart.</summary>
internal static class MetricViews
{
    /// <summary>One line a series, named by the attributes that tell them apart.</summary>
    public static List<ChartLine> Lines(
        IReadOnlyList<MetricSeriesRow> series, IReadOnlyDictionary<long, ResourceRow> resources, IReadOnlyList<MetricPointRow> points)
    {
        var bySeries = points.ToLookup(static point => point.SeriesId);
        return [.. series.Select(row => new ChartLine(
            Label(row, resources[row.ResourceId]), [.. bySeries[row.Id].Select(static point => (point.TimeNanos, point.Number))]))];
    }

    private static string Label(MetricSeriesRow series, ResourceRow resource)
    {
        var attributes = new AttributeSet(series.Attributes, derived: null).All.Select(
            static attribute => $"{attribute.Key}={attribute.Text}");
        return string.Join(" ", attributes.Prepend(resource.ServiceName).Where(static part => part.Length > 0));
    }
}
