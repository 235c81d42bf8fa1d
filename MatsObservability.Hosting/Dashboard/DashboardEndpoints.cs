using System.Runtime.CompilerServices;
using System.Text.Json;
using Aspire.Hosting.ApplicationModel;
using MatsObservability.Hosting.Run;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Routing;

namespace MatsObservability.Hosting.Dashboard;

/// <summary>The routes of the resource page and the API beneath it.</summary>
internal static class DashboardEndpoints
{
    private static readonly TimeSpan s_settleTime = TimeSpan.FromMilliseconds(100);

    public static void MapDashboard(this IEndpointRouteBuilder routes)
    {
        routes.MapGet("/", Page);
        routes.MapGet("/dashboard.css", () => Asset("dashboard.css", "text/css; charset=utf-8"));
        routes.MapGet("/dashboard.js", () => Asset("dashboard.js", "text/javascript; charset=utf-8"));
        routes.MapGet("/health", () => TypedResults.Text("Healthy"));
        routes.MapGet("/rows", Rows);
        routes.MapGet("/details/{id}", Details);
        var api = routes.MapGroup("/api/resources");
        api.MapGet("", (RunContext context) => TypedResults.Ok(ResourceView.All(context)));
        api.MapGet("/{id}", Resource);
        api.MapGet("/{id}/logs", Logs);
        api.MapPost("/{id}/commands/{command}", SendCommandAsync);
    }

    private static ContentHttpResult Page(RunContext context) =>
        TypedResults.Content(DashboardPage.Render(context.Options.DashboardTitle, ResourceView.All(context)), "text/html; charset=utf-8");

    private static FileStreamHttpResult Asset(string name, string contentType) =>
        TypedResults.Stream(typeof(DashboardEndpoints).Assembly.GetManifestResourceStream($"Dashboard.{name}")!, contentType);

    /// <summary>The table's rows as HTML, sent again whenever something changed.</summary>
    private static ServerSentEventsResult<string> Rows(RunContext context, CancellationToken cancellationToken) =>
        TypedResults.ServerSentEvents(RowsAsync(context, cancellationToken), "rows");

    private static Results<ContentHttpResult, NotFound> Details(string id, RunContext context) =>
        Find(context, id) is { } view
            ? TypedResults.Content(DashboardPage.Details(view), "text/html; charset=utf-8")
            : TypedResults.NotFound();

    private static Results<Ok<ResourceView>, NotFound> Resource(string id, RunContext context) =>
        Find(context, id) is { } view ? TypedResults.Ok(view) : TypedResults.NotFound();

    /// <summary>The kept lines of the resource's log, then new ones as they come: each event is a JSON array of lines.</summary>
    private static Results<ServerSentEventsResult<string>, NotFound> Logs(
        string id, RunContext context, CancellationToken cancellationToken) =>
        Find(context, id) is { } view
            ? TypedResults.ServerSentEvents(LinesAsync(context, view.Name, cancellationToken), "lines")
            : TypedResults.NotFound();

    private static async Task<Results<Ok<CommandResultView>, BadRequest<CommandResultView>, NotFound>> SendCommandAsync(
        string id, string command, RunContext context, ResourceCommandService commands, CancellationToken cancellationToken)
    {
        if (Find(context, id) is not { } view)
        {
            return TypedResults.NotFound();
        }

        var result = await commands.ExecuteCommandAsync(view.Id, command, cancellationToken);
        var answer = new CommandResultView(result.Success, result.Message);
        return result.Success ? TypedResults.Ok(answer) : TypedResults.BadRequest(answer);
    }

    /// <summary>Finds an instance by its id, or a resource with one instance by its name.</summary>
    private static ResourceView? Find(RunContext context, string id)
    {
        var views = ResourceView.All(context);
        return views.FirstOrDefault(view => string.Equals(view.Id, id, StringComparison.OrdinalIgnoreCase))
            ?? views.FirstOrDefault(view => string.Equals(view.Name, id, StringComparison.OrdinalIgnoreCase));
    }

    private static async IAsyncEnumerable<string> RowsAsync(
        RunContext context, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        using var ending = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        await using var changes = context.Notifications.WatchAsync(ending.Token).GetAsyncEnumerator(ending.Token);
        var next = changes.MoveNextAsync().AsTask();
        while (await next)
        {
            // One change seldom comes alone: what happens within a moment is one event.
            var settled = Task.Delay(s_settleTime, cancellationToken);
            do
            {
                next = changes.MoveNextAsync().AsTask();
            }
            while (await Task.WhenAny(next, settled) == next && await next);
            yield return DashboardPage.Rows(ResourceView.All(context));
        }
    }

    private static async IAsyncEnumerable<string> LinesAsync(
        RunContext context, string resource, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var lines in context.Loggers.WatchAsync(resource).WithCancellation(cancellationToken))
        {
            IReadOnlyList<LogLineView> views =
                [.. lines.Select(line => new LogLineView(line.LineNumber, line.Content, line.IsErrorMessage))];
            yield return JsonSerializer.Serialize(views, DashboardJsonContext.Default.IReadOnlyListLogLineView);
        }
    }
}
