using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Query.Spans;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Logs;

/// <summary>Log records for people: newest first, with filters (an addition to Phoenix's API, which has no logs).</summary>
internal static class LogEndpoints
{
    /// <summary>Maps the slice's routes.</summary>
    public static void MapLogs(this IEndpointRouteBuilder routes) => routes.MapGet("/v1/projects/{project}/logs", ListAsync);

    private static async Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ListAsync(
        string project, HttpContext context, ProjectReader projects, LogReader logs, InternReader interned,
        CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (start, end) = query.TimeRange();
        var limit = query.Int("limit", 100, 1, 1_000);
        var filter = new LogFilter
        {
            StartNanos = start,
            EndNanos = end,
            MinSeverity = (short)query.Int("min_severity", 0, 0, 24),
            BodyContains = query.Text("body_contains"),
            TraceId = Id(query, "trace_id", 32, text => TelemetryIds.TryParseTrace(text, out var id) ? id : default(Guid?)),
            SpanId = Id(query, "span_id", 16, text => TelemetryIds.TryParseSpan(text, out var id) ? id : default(long?)),
        };
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        var (from, badCursor) = Cursor.Read<LogKey>(query, Cursor.TryParse);
        if (badCursor is not null)
        {
            return badCursor;
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        var page = await logs.ReadDescendingAsync(found.Id, filter, from, limit, cancellationToken);
        var resources = await interned.ResourcesAsync(page.Logs.Select(row => row.ResourceId), cancellationToken);
        await SpanJson.WriteListAsync(
            context, page.Logs, page.Next is { } next ? Cursor.Format(next) : null,
            (writer, row) => Write(writer, row, resources[row.ResourceId]), cancellationToken);
        return TypedResults.Empty;
    }

    private static T? Id<T>(QueryValues query, string name, int digits, Func<string, T?> parse)
        where T : struct
    {
        if (query.Text(name) is not { } text)
        {
            return null;
        }

        var id = parse(text);
        if (id is null)
        {
            query.Fail(name, $"Input should be {digits} hex digits");
        }

        return id;
    }

    private static void Write(Utf8JsonWriter writer, LogRow log, ResourceRow resource)
    {
        writer.WriteStartObject();
        writer.WriteNumber("record_id", log.Id);
        writer.WriteString("time", IsoTime.Format(log.TimeNanos));
        writer.WriteNumber("time_unix_nano", log.TimeNanos);
        writer.WriteString("service", resource.ServiceName);
        writer.WriteNumber("severity", log.Severity);
        writer.WriteString("severity_text", log.SeverityText);
        writer.WriteString("event_name", log.EventName);
        writer.WritePropertyName("body");
        if (log is { BodyIsJson: true, Body: not null })
        {
            AttributeJsonText.WriteRaw(writer, log.Body);
        }
        else
        {
            writer.WriteStringValue(log.Body);
        }

        writer.WriteString("trace_id", log.TraceId is { } traceId ? TelemetryIds.FormatTrace(traceId) : null);
        writer.WriteString("span_id", TelemetryIds.FormatSpan(log.SpanId));
        writer.WritePropertyName("attributes");
        using (var attributes = JsonDocument.Parse(log.Attributes))
        {
            FlatAttributes.Write(writer, attributes.RootElement);
        }

        writer.WriteEndObject();
    }
}
