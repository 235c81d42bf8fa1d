using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Security;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;
using Phoenix.Service.Storage.Postgres.Rollups;

namespace Phoenix.Service.Query.Projects;

/// <summary>The routes of projects (docs/api.md).</summary>
internal static class ProjectEndpoints
{
    /// <summary>Maps the slice's routes.</summary>
    public static void MapProjects(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/projects", ListAsync);
        routes.MapGet("/v1/projects/{project}", GetAsync);
        routes.MapPost("/v1/projects", CreateAsync);
        routes.MapPut("/v1/projects/{project}", ChangeAsync).Needs(Access.Admin);
        routes.MapDelete("/v1/projects/{project}", DeleteAsync).Needs(Access.Admin);
    }

    private static async Task<Results<JsonHttpResult<ProjectList>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ListAsync(
        HttpContext context, ProjectReader projects, CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (page, badCursor) = IdPage.Read(query, "Project", maxLimit: 10_000);
        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        if (badCursor is not null)
        {
            return badCursor;
        }

        var rows = await projects.ListAsync(
            (int)Math.Min(page.From ?? int.MaxValue, int.MaxValue), query.Text("name_contains"), page.Wanted, cancellationToken);
        return ApiResults.Json(
            new ProjectList([.. rows.Take(page.Limit).Select(ProjectData.From)], page.Next(rows, static row => row.Id)),
            ProjectJsonContext.Default.ProjectList);
    }

    private static async Task<Results<JsonHttpResult<ProjectEnvelope>, ContentHttpResult>> GetAsync(
        string project, ProjectReader projects, CancellationToken cancellationToken) =>
        await projects.FindProjectAsync(project, cancellationToken) is { } row
            ? Envelope(row)
            : ApiResults.NoProject(project);

    private static async Task<Results<JsonHttpResult<ProjectEnvelope>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> CreateAsync(
        HttpContext context, ProjectEditor editor, CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, ProjectJsonContext.Default.ProjectBody, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        if (body!.Name is not { } name || string.IsNullOrWhiteSpace(name) || name.AsSpan().ContainsAny("/?#\0")
            || Encoding.UTF8.GetByteCount(name) > AttributePolicy.MaxLabelBytes)
        {
            return ApiResults.Invalid(new ValidationError(
                ["body", "name"], $"A project needs a name of at most {AttributePolicy.MaxLabelBytes} bytes without '/', '?' and '#'",
                "value_error"));
        }

        return await editor.CreateAsync(name, body.Description, cancellationToken) is { } row
            ? Envelope(row)
            : ApiResults.Text(StatusCodes.Status409Conflict, $"A project named '{name}' exists already");
    }

    private static async Task<Results<JsonHttpResult<ProjectEnvelope>, JsonHttpResult<ValidationErrors>, ContentHttpResult>> ChangeAsync(
        string project, HttpContext context, ProjectReader projects, ProjectEditor editor, CancellationToken cancellationToken)
    {
        var (body, fault) = await RequestJson.ReadAsync(context.Request, ProjectJsonContext.Default.ProjectBody, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        return await projects.FindProjectAsync(project, cancellationToken) is { } found
            && await editor.DescribeAsync(found.Id, body!.Description, cancellationToken) is { } row
            ? Envelope(row)
            : ApiResults.NoProject(project);
    }

    private static async Task<Results<NoContent, ContentHttpResult>> DeleteAsync(
        string project, ProjectReader projects, TelemetryRemover remover, ProjectDirectory directory, CancellationToken cancellationToken)
    {
        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        if (found.Name == "default")
        {
            return ApiResults.Text(StatusCodes.Status403Forbidden, "The default project cannot be deleted");
        }

        // Its name must not lead to the old id a moment longer than the project exists: what is sent from then on makes it anew.
        return await remover.RemoveProjectAsync(found.Id, () => directory.Forget(found.Name), cancellationToken)
            ? TypedResults.NoContent()
            : ApiResults.NoProject(project);
    }

    private static JsonHttpResult<ProjectEnvelope> Envelope(ProjectRow row) =>
        ApiResults.Json(new ProjectEnvelope(ProjectData.From(row)), ProjectJsonContext.Default.ProjectEnvelope);
}
