using Npgsql;

namespace Orchestrator.Agent.Api;

/// <summary>
/// Answers requests that fail: 400 for a name that cannot be kept, 503 while the database does not answer, else 500 with the request's id to
/// look for in the log; all as JSON.
/// </summary>
internal static partial class FaultAnswers
{
    private const string RetryAfterSeconds = "2";

    public static IApplicationBuilder UseFaultAnswers(this IApplicationBuilder app)
    {
        var logger = app.ApplicationServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(FaultAnswers));
        return app.Use(async (context, next) =>
        {
            try
            {
                await next(context);
            }
            catch (Exception e) when (!context.Response.HasStarted && !context.RequestAborted.IsCancellationRequested)
            {
                await Answer(context, e, logger).ExecuteAsync(context);
            }
        });
    }

    private static IResult Answer(HttpContext context, Exception exception, ILogger logger)
    {
        if (exception is BadHttpRequestException { StatusCode: var status })
        {
            return Answers.Error(exception.Message, status);
        }

        if (exception is NpgsqlException and not PostgresException { IsTransient: false })
        {
            Log.DatabaseAway(logger, context.Request.Method, context.Request.Path, exception.Message);
            context.Response.Headers.RetryAfter = RetryAfterSeconds;
            return Answers.Error("The database does not answer; try again shortly", StatusCodes.Status503ServiceUnavailable);
        }

        Log.Failed(logger, context.Request.Method, context.Request.Path, exception);
        return Answers.Error(
            $"The orchestrator failed; its log tells more under request id {context.Items[RequestIdentity.RequestHeader]}",
            StatusCodes.Status500InternalServerError);
    }

    private static partial class Log
    {
        [LoggerMessage(4060, LogLevel.Warning, "{Method} {Path} was answered 503: the database does not answer ({Reason})")]
        public static partial void DatabaseAway(ILogger logger, string method, string path, string reason);

        [LoggerMessage(4061, LogLevel.Error, "{Method} {Path} failed")]
        public static partial void Failed(ILogger logger, string method, string path, Exception exception);
    }
}
