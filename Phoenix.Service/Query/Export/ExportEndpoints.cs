using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Export;

/// <summary>Telemetry for programs: a project's records of a time range as a stream, and records by the ids that evidence cites.</summary>
internal static class ExportEndpoints
{
    private static readonly string[] s_signals = ["spans", "logs", "metrics"];

    /// <summary>Maps the slice's routes.</summary>
    public static void MapExport(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/v1/projects/{project}/export", ExportAsync);
        routes.MapPost("/v1/projects/{project}/records/resolve", ResolveEndpoint.ResolveAsync)
            .Needs(Access.Read); // a POST for its length alone
    }

    private static async Task<Results<ContentHttpResult, JsonHttpResult<ValidationErrors>, EmptyHttpResult>> ExportAsync(
        string project, HttpContext context, ProjectReader projects, ExportStream export, CancellationToken cancellationToken)
    {
        var query = new QueryValues(context.Request.Query);
        var (start, end) = query.TimeRange();
        var signals = (query.Text("signals")?.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
            ?? s_signals;
        if (Array.Find(signals, signal => !s_signals.Contains(signal, StringComparer.Ordinal)) is { } unknown)
        {
            query.Fail("signals", $"Unknown signal '{unknown}': expected spans, logs or metrics", "literal_error");
        }

        if (query.Errors.Count > 0)
        {
            return ApiResults.Invalid(query.Errors);
        }

        if (await projects.FindProjectAsync(project, cancellationToken) is not { } found)
        {
            return ApiResults.NoProject(project);
        }

        context.Response.ContentType = "application/x-ndjson";
        var request = new ExportRequest(found.Id, start, end, signals.Contains("spans"),
            signals.Contains("logs"), signals.Contains("metrics"))
        {
            LogEventName = query.Text("event_name"),
        };
        await export.WriteAsync(request, context.Response.BodyWriter, cancellationToken);
        return TypedResults.Empty;
    }
}
