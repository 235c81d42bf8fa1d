using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Export;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Query.Spans;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Series;

/// <summary>Metric series with their points, for people (an addition to Phoenix's API, which has no metrics).</summary>
internal static class SeriesEndpoints
{
    /// <summary>Maps the slice's routes.</summary>
    public static void MapSeries(this IEndpointRouteBuilder routes) => routes.MapGet("/v1/projects/{project}/metrics", ListAsync);

    private static async Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ListAsync(
        string project, HttpContext context, ProjectReader projects, MetricReader metrics, InternReader interned, ReadLimits limits,
        CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (start, end) = query.TimeRange();
        var limit = query.Int("limit", 20, 1, 200);
        var pointLimit = query.Int("points", 1_000, 0, 10_000);
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        var (afterName, afterId) = (default(string), 0L);
        if (query.Text("cursor") is { } cursor && !Cursor.TryParse(cursor, "m", out afterName, out afterId))
        {
            return ApiResults.Unprocessable($"Invalid cursor: {cursor}");
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        var (series, hasMore) = await metrics.ListSeriesAsync(found.Id, query.Text("name"), afterName, afterId, limit, cancellationToken);
        var next = hasMore ? Cursor.Format("m", series[^1].Name, series[^1].Id) : null;
        var resources = await interned.ResourcesAsync(series.Select(row => row.ResourceId), cancellationToken);
        var points = new Dictionary<long, SeriesPoints>();
        long bytes = 0;
        for (var index = 0; pointLimit > 0 && index < series.Count; index++)
        {
            var row = series[index];
            var read = await metrics.ReadPointsAsync([row.Id], start, end, null, pointLimit + 1, cancellationToken);
            var size = read.Sum(static point => (long)point.Bytes);
            points[row.Id] = new SeriesPoints([.. read.Take(pointLimit)], read.Count > pointLimit || size >= limits.MaxPageBytes);
            bytes += size;
            if (bytes >= limits.MaxPageBytes && index < series.Count - 1)
            {
                series.RemoveRange(index + 1, series.Count - index - 1);
                next = Cursor.Format("m", row.Name, row.Id);
            }
        }

        await SpanJson.WriteListAsync(
            context, series, next, (writer, row) => Write(writer, row, resources[row.ResourceId], points.GetValueOrDefault(row.Id, new([], false))),
            cancellationToken);
        return TypedResults.Empty;
    }

    private static void Write(Utf8JsonWriter writer, MetricSeriesRow series, ResourceRow resource, SeriesPoints points)
    {
        writer.WriteStartObject();
        RecordJson.WriteSeries(writer, series, resource);
        writer.WriteStartArray("points");
        foreach (var point in points.Shown)
        {
            writer.WriteStartObject();
            writer.WriteNumber("time_unix_nano", point.TimeNanos);
            WriteNumber(writer, "value", point.Number);
            WriteNumber(writer, "count", point.Count);
            writer.WritePropertyName("detail");
            if (point.Payload is not null)
            {
                AttributeJsonText.WriteRaw(writer, point.Payload);
            }
            else
            {
                writer.WriteNullValue();
            }

            writer.WriteEndObject();
        }

        writer.WriteEndArray();
        writer.WritePropertyName("next_start_time_unix_nano");
        if (points.HasMore)
        {
            writer.WriteNumberValue(Bounds.After(points.Shown[^1].TimeNanos));
        }
        else
        {
            writer.WriteNullValue();
        }

        writer.WriteEndObject();
    }

    private static void WriteNumber(Utf8JsonWriter writer, string name, double? number)
    {
        if (number is { } value)
        {
            writer.WriteNumber(name, value);
        }
        else
        {
            writer.WriteNull(name);
        }
    }

    /// <summary>The points of one series that an answer holds, and whether there are, or may be, others behind them.</summary>
    private readonly record struct SeriesPoints(List<MetricPointRow> Shown, bool HasMore);
}
