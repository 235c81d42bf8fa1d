using System.Text;
using Microsoft.AspNetCore.Components;
using Phoenix.Service.Ui.Models;

namespace Phoenix.Service.Ui.Components;

/// <summary>Lines over time, from zero (or the least value below it) to the highest value.</summary>
public partial class LineChart
{
    private static readonly int[] s_colours = [1, 4, 6, 7, 3, 9, 10, 5, 2, 8, 0];

    /// <summary>What it shows.</summary>
    [Parameter, EditorRequired]
    public string Title { get; set; } = "";

    /// <summary>Unit of the values.</summary>
    [Parameter]
    public string? Unit { get; set; }

    /// <summary>The lines.</summary>
    [Parameter, EditorRequired]
    public IReadOnlyList<ChartLine> Lines { get; set; } = [];

    /// <summary>Left edge, Unix ns.</summary>
    [Parameter, EditorRequired]
    public long StartNanos { get; set; }

    /// <summary>Right edge, Unix ns.</summary>
    [Parameter, EditorRequired]
    public long EndNanos { get; set; }

    /// <summary>How values are written.</summary>
    [Parameter]
    public Func<double, string> FormatValue { get; set; } = Format.Short;

    private double High { get; set; }

    private double Low { get; set; }

    private string Summary => $"{Title} over time, at most {FormatValue(High)}";

    /// <inheritdoc/>
    protected override void OnParametersSet()
    {
        var values = Lines.SelectMany(static line => line.Points).Select(static point => point.Value).OfType<double>()
            .DefaultIfEmpty(0).ToList();
        Low = Math.Min(0, values.Min());
        High = values.Max();
        if (High <= Low)
        {
            High = Low + 1;
        }
    }

    private static int Colour(int index) => s_colours[index % s_colours.Length];

    private string Last(ChartLine line) => line.Points.LastOrDefault(static point => point.Value is not null).Value is { } value
        ? FormatValue(value)
        : "–";

    private string Stroke(ChartLine line)
    {
        var stroke = new StringBuilder();
        foreach (var (nanos, value) in line.Points)
        {
            if (value is { } number)
            {
                var x = 1000d * (nanos - StartNanos) / Math.Max(1, EndNanos - StartNanos);
                var y = 97 - 94 * (number - Low) / (High - Low);
                // A lone point still needs two ends to be drawn.
                stroke.Append(stroke.Length == 0 ? $"{Format.Css(x - 2)},{Format.Css(y)} " : "").Append(Format.Css(x)).Append(',')
                    .Append(Format.Css(y)).Append(' ');
            }
        }

        return stroke.ToString();
    }
}
