using System.Text.Json;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Query.Spans;

/// <summary>The routes of spans (docs/api.md).</summary>
internal static class SpanEndpoints
{
    /// <summary>Maps the slice's routes.</summary>
    public static void MapSpans(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/projects/{project}/spans", ListPlainAsync);
        routes.MapGet("/v1/projects/{project}/spans/otlpv1", ListOtlpAsync);
        routes.MapPost("/v1/projects/{project}/spans", CreateSpansEndpoint.CreateAsync).WithMetadata(new DisableRequestSizeLimitAttribute());
        routes.MapDelete("/v1/spans/{span}", DeleteAsync);
    }

    private static Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ListPlainAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, CancellationToken cancellationToken) =>
        ListAsync(project, context, projects, spans, SpanJson.Write, cancellationToken);

    private static Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ListOtlpAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, CancellationToken cancellationToken) =>
        ListAsync(project, context, projects, spans, OtlpSpanJson.Write, cancellationToken);

    private static async Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ListAsync(
        string project, HttpContext context, ProjectReader projects, SpanReader spans, Action<Utf8JsonWriter, SpanRow> write,
        CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var limit = query.Int("limit", 100, 1, 1_000);
        var filter = SpanQuery.Read(query);
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        var (after, badCursor) = Cursor.Read<SpanKey>(query, Cursor.TryParse);
        if (badCursor is not null)
        {
            return badCursor;
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        var page = filter is null ? new SpanPage([], null) : await spans.ListAsync(found.Id, filter, after, limit, cancellationToken);
        await SpanJson.WriteListAsync(context, page.Spans, page.Next is { } next ? Cursor.Format(next) : null, write, cancellationToken);
        return TypedResults.Empty;
    }

    private static async Task<Results<NoContent, ContentHttpResult>> DeleteAsync(
        string span, SpanReader spans, TraceRanges ranges, TelemetryRemover remover, CancellationToken cancellationToken)
    {
        if (GlobalId.TryParseSpan(span, out var traceId, out var spanId))
        {
            foreach (var range in await ranges.FindAsync(traceId, cancellationToken))
            {
                if (await remover.RemoveSpanAsync(range.ProjectId, traceId, spanId, cancellationToken))
                {
                    return TypedResults.NoContent();
                }
            }
        }
        else if (TelemetryIds.TryParseSpan(span, out spanId) && await spans.FindNewestAsync(spanId, cancellationToken) is { } found
            && await remover.RemoveSpanAsync(found.ProjectId, found.Key.TraceId, spanId, cancellationToken))
        {
            return TypedResults.NoContent();
        }

        return ApiResults.NotFound($"Span with identifier '{span}' not found");
    }
}
