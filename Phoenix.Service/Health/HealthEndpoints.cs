using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Npgsql;
using Phoenix.Service.Listening;
using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Health;

/// <summary>Liveness, readiness and version; none of them needs credentials.</summary>
internal static class HealthEndpoints
{
    private const Listeners Everywhere = Listeners.Http | Listeners.Otlp | Listeners.Metrics;

    /// <summary>Maps the probes on every HTTP listener.</summary>
    public static void MapHealth(this WebApplication app)
    {
        foreach (var path in (string[])["/healthz", "/alive", "/health/live"])
        {
            app.MapGet(path, Live).OnListeners(Everywhere).Needs(Access.Open);
        }

        foreach (var path in (string[])["/readyz", "/health/ready"])
        {
            app.MapGet(path, ReadyAsync).OnListeners(Everywhere).Needs(Access.Open);
        }

        app.MapGet("/health", HealthAsync).OnListeners(Everywhere).Needs(Access.Open);
        app.MapGet("/arize_phoenix_version", () => TypedResults.Text(ListenerEndpoints.PhoenixVersion)).Needs(Access.Open);
        app.MapGet("/version", () => TypedResults.Text(ListenerEndpoints.OwnVersion)).Needs(Access.Open);
    }

    /// <summary>The process answers; nothing else is asked.</summary>
    private static ContentHttpResult Live() => TypedResults.Text("OK");

    /// <summary>
    /// 200 <c>{}</c> once migrated, with somebody who can log in where that is asked for, and while the database answers; else 503 and the
    /// reason. A database that takes no writes still serves reads, and no other replica would do better: 200, and <c>degraded</c> says why.
    /// </summary>
    private static async Task<IResult> ReadyAsync(
        DatabaseState state, [FromServices] FirstUsers? first, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        if (await FaultAsync(state, first, dataSource, cancellationToken) is { } fault)
        {
            return TypedResults.Text(fault, statusCode: StatusCodes.Status503ServiceUnavailable);
        }

        return TypedResults.Text(
            state.Refusal is { } refusal ? new JsonObject { ["degraded"] = refusal }.ToJsonString() : "{}", "application/json");
    }

    /// <summary>
    /// The word that Aspire's health checks answer: Healthy, Degraded with the reason while writes are refused, or 503 Unhealthy.
    /// </summary>
    private static async Task<ContentHttpResult> HealthAsync(
        DatabaseState state, [FromServices] FirstUsers? first, NpgsqlDataSource dataSource, CancellationToken cancellationToken) =>
        await FaultAsync(state, first, dataSource, cancellationToken) is not null
            ? TypedResults.Text("Unhealthy", statusCode: StatusCodes.Status503ServiceUnavailable)
            : TypedResults.Text(state.Refusal is { } refusal ? $"Degraded: {refusal}" : "Healthy");

    private static async Task<string?> FaultAsync(
        DatabaseState state, FirstUsers? first, NpgsqlDataSource dataSource, CancellationToken cancellationToken)
    {
        if (!state.IsReady)
        {
            return state.Waiting;
        }

        if (first is { Created.IsCompleted: false })
        {
            return "nobody can log in yet";
        }

        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        deadline.CancelAfter(TimeSpan.FromSeconds(2));
        try
        {
            await using var command = dataSource.CreateCommand("SELECT 1");
            await command.ExecuteScalarAsync(deadline.Token);
            return null;
        }
        catch (Exception exception) when (exception is NpgsqlException or OperationCanceledException
            && !cancellationToken.IsCancellationRequested)
        {
            return "the database does not answer";
        }
    }
}
