using Phoenix.Service.Storage.Postgres;

namespace Phoenix.Service.Query.Http;

/// <summary>
/// Answers 503 with a reason when the database is away, not ready, or a statement took longer than it may, 400 when a value of the request
/// is no text, and what the listener says of a body that it does not read to its end (413 when it is too large). Once an answer is under way
/// the fault goes on, which breaks the connection: a cut answer must not look whole. A caller that has gone gets no answer.
/// </summary>
internal sealed partial class DatabaseFaultFilter(DatabaseState database, ILogger<DatabaseFaultFilter> logger) : IEndpointFilter
{
    /// <inheritdoc/>
    public async ValueTask<object?> InvokeAsync(EndpointFilterInvocationContext context, EndpointFilterDelegate next)
    {
        var http = context.HttpContext;
        if (!database.IsReady)
        {
            return ApiResults.Text(StatusCodes.Status503ServiceUnavailable, database.Waiting);
        }

        try
        {
            return await next(context);
        }
        catch (BadHttpRequestException exception) when (!http.Response.HasStarted)
        {
            return ApiResults.Text(exception.StatusCode, exception.Message);
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && http.RequestAborted.IsCancellationRequested)
        {
            return Results.Empty;
        }
        catch (Exception exception) when (PostgresErrors.IsNoText(exception) && !http.Response.HasStarted)
        {
            return ApiResults.Text(
                StatusCodes.Status400BadRequest, "A value of the request holds a character that text cannot have, such as NUL");
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception) && !http.Response.HasStarted)
        {
            Log.Failed(logger, http.Request.Path, PostgresErrors.Describe(exception));
            http.Response.Headers.RetryAfter = "5";
            return ApiResults.Text(
                StatusCodes.Status503ServiceUnavailable,
                exception is Npgsql.NpgsqlException { InnerException: TimeoutException }
                    ? "The database did not answer in time: narrow the time range of a query that takes longer than "
                        + "Phoenix:Query:StatementTimeout, or try again later"
                    : "The database does not answer");
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1600, LogLevel.Warning, "{Path} was answered 503: {Reason}")]
        public static partial void Failed(ILogger logger, string path, string reason);
    }
}
