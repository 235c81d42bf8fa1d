using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Query.Sessions;

/// <summary>The routes of sessions (docs/api.md).</summary>
internal static class SessionEndpoints
{
    /// <summary>Most traces that one answer lists: a page of sessions with more ends early, of one session the first are listed.</summary>
    private const int MaxTraces = 10_000;

    /// <summary>Maps the slice's routes.</summary>
    public static void MapSessions(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/sessions/{session}", GetAsync);
        routes.MapDelete("/v1/sessions/{session}", DeleteAsync);
        routes.MapPost("/v1/sessions/delete", DeleteManyAsync);
        routes.MapGet("/v1/projects/{project}/sessions", ListAsync);
    }

    private static async Task<Results<JsonHttpResult<SessionEnvelope>, ContentHttpResult>> GetAsync(
        string session, SessionReader sessions, TraceReader traces, CancellationToken cancellationToken)
    {
        if (await FindAsync(sessions, session, cancellationToken) is not { } row)
        {
            return NoSession(session);
        }

        var members = await traces.OfSessionsAsync(row.ProjectId, [row.SessionId], MaxTraces, cancellationToken);
        return ApiResults.Json(new SessionEnvelope(SessionData.From(row, members)), SessionJsonContext.Default.SessionEnvelope);
    }

    private static async Task<Results<JsonHttpResult<SessionList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ListAsync(
        string project, HttpContext context, ProjectReader projects, SessionReader sessions, TraceReader traces,
        CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (page, badCursor) = IdPage.Read(query, "ProjectSession");
        var descending = query.OneOf("order", "asc", "desc") == "desc";
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        if (badCursor is not null)
        {
            return badCursor;
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        var rows = await sessions.ListAsync(found.Id, descending, page.From, page.Wanted, cancellationToken);
        var listed = 0L;
        var shown = rows.Take(page.Limit).TakeWhile((row, index) => (listed += row.TraceCount) <= MaxTraces || index == 0).ToList();
        var members = (await traces.OfSessionsAsync(found.Id, [.. shown.Select(row => row.SessionId)], MaxTraces, cancellationToken))
            .ToLookup(trace => trace.SessionId!);
        var next = (page with { Limit = shown.Count }).Next(rows, static row => row.Id);
        return ApiResults.Json(
            new SessionList([.. shown.Select(row => SessionData.From(row, members[row.SessionId]))], next),
            SessionJsonContext.Default.SessionList);
    }

    private static async Task<Results<NoContent, ContentHttpResult>> DeleteAsync(
        string session, SessionReader sessions, TraceReader traces, TelemetryRemover remover, CancellationToken cancellationToken)
    {
        if (await FindAsync(sessions, session, cancellationToken) is not { } row)
        {
            return NoSession(session);
        }

        await RemoveAsync(row, traces, remover, cancellationToken);
        return TypedResults.NoContent();
    }

    private static async Task<Results<NoContent, JsonHttpResult<ValidationErrors>, ContentHttpResult>> DeleteManyAsync(
        HttpContext context, SessionReader sessions, TraceReader traces, TelemetryRemover remover, CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, SessionJsonContext.Default.SessionDeletion, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.SessionIdentifiers is not { Length: > 0 } identifiers)
        {
            return ApiResults.Invalid(
                new ValidationError(["body", "session_identifiers"], "List should have at least 1 item", "too_short"));
        }

        var globalIds = identifiers.Count(identifier => GlobalId.TryParse(identifier, "ProjectSession", out _));
        if (globalIds != 0 && globalIds != identifiers.Length)
        {
            return ApiResults.Unprocessable("All session identifiers must be of one kind: GlobalIDs or session ids");
        }

        foreach (var identifier in identifiers)
        {
            if (await FindAsync(sessions, identifier, cancellationToken) is { } row)
            {
                await RemoveAsync(row, traces, remover, cancellationToken);
            }
        }

        return TypedResults.NoContent();
    }

    private static Task<SessionRow?> FindAsync(SessionReader sessions, string identifier, CancellationToken cancellationToken) =>
        GlobalId.TryParse(identifier, "ProjectSession", out var id)
            ? sessions.FindAsync(id, cancellationToken)
            : sessions.FindAsync(identifier, cancellationToken);

    private static async Task RemoveAsync(SessionRow session, TraceReader traces, TelemetryRemover remover,
        CancellationToken cancellationToken)
    {
        while (await traces.OfSessionsAsync(session.ProjectId, [session.SessionId], MaxTraces, cancellationToken) is { Count: > 0 } members
            && await remover.RemoveTracesAsync(session.ProjectId, [.. members.Select(trace => trace.TraceId)], cancellationToken) > 0)
        {
        }
    }

    private static ContentHttpResult NoSession(string identifier) =>
        ApiResults.NotFound($"Session with identifier '{identifier}' not found");
}
