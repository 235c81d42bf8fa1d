using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Query.Traces;

/// <summary>The routes of traces (docs/api.md).</summary>
internal static class TraceEndpoints
{
    /// <summary>Most spans one page of traces carries with <c>include_spans</c>; further ones are left out, latest first.</summary>
    private const int MaxSpans = 100_000;

    /// <summary>Maps the slice's routes.</summary>
    public static void MapTraces(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/projects/{project}/traces", ListAsync);
        routes.MapDelete("/v1/traces/{trace}", DeleteAsync);
    }

    private static async Task<Results<JsonHttpResult<TraceList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ListAsync(
        string project, HttpContext context, ProjectReader projects, TraceReader traces, SpanReader spans, SessionReader sessions,
        CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (start, end) = query.TimeRange();
        var limit = query.Int("limit", 100, 1, 1_000);
        var sort = query.OneOf("sort", "start_time", "latency_ms") == "latency_ms" ? TraceSort.Latency : TraceSort.StartTime;
        var descending = query.OneOf("order", "desc", "asc") == "desc";
        var includeSpans = query.Bool("include_spans", false);
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        var (after, badCursor) = Cursor.Read(query, (string text, out TraceKey key) => Cursor.TryParse(text, sort, out key));
        if (badCursor is not null)
        {
            return badCursor;
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        string[]? sessionIds = null;
        if (query.Texts("session_identifier") is { } identifiers)
        {
            var named = new List<string>();
            foreach (var identifier in identifiers)
            {
                if (!GlobalId.TryParse(identifier, "ProjectSession", out var id))
                {
                    named.Add(identifier);
                }
                else if (await sessions.FindAsync(id, cancellationToken) is { } session && session.ProjectId == found.Id)
                {
                    named.Add(session.SessionId);
                }
            }

            sessionIds = [.. named];
        }

        var filter = new TraceFilter { StartNanos = start, EndNanos = end, SessionIds = sessionIds, Sort = sort, Descending = descending };
        var rows = await traces.ListAsync(found.Id, filter, after, limit + 1, cancellationToken);
        string? next = null;
        if (rows.Count > limit)
        {
            rows.RemoveRange(limit, rows.Count - limit);
            next = Cursor.Format(TraceReader.KeyOf(rows[^1], sort), sort);
        }

        ILookup<Guid, SpanHeadRow>? heads = null;
        if (includeSpans && rows.Count > 0)
        {
            var ranges = rows.Select(row => new TraceRange(row.ProjectId, row.TraceId, row.StartNanos, row.EndNanos)).ToList();
            heads = (await spans.ReadHeadsAsync(found.Id, ranges, MaxSpans, cancellationToken)).ToLookup(head => head.TraceId);
        }

        var data = rows.Select(row => TraceData.From(row, includeSpans ? [.. heads![row.TraceId].Select(TraceSpanData.From)] : null));
        return ApiResults.Json(new TraceList([.. data], next), TraceJsonContext.Default.TraceList);
    }

    private static async Task<Results<NoContent, ContentHttpResult>> DeleteAsync(
        string trace, TraceReader traces, TraceRanges ranges, TelemetryRemover remover, CancellationToken cancellationToken)
    {
        if (GlobalId.TryParse(trace, "Trace", out var id))
        {
            if (await traces.FindAsync(id, cancellationToken) is { } row
                && await remover.RemoveTracesAsync(row.ProjectId, [row.TraceId], cancellationToken) > 0)
            {
                return TypedResults.NoContent();
            }
        }
        else if (TelemetryIds.TryParseTrace(trace, out var traceId)
            && await ranges.FindAsync(traceId, cancellationToken) is [var newest, ..]
            && await remover.RemoveTracesAsync(newest.ProjectId, [traceId], cancellationToken) > 0)
        {
            return TypedResults.NoContent();
        }

        return ApiResults.NotFound($"Trace with identifier '{trace}' not found");
    }
}
