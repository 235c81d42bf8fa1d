using System.Diagnostics;

namespace Orchestrator.Agent.Api;

/// <summary>Who asks and for what session, from headers and body.</summary>
/// <param name="UserEmail">X-User-Email, else the body's, else <c>unknown</c>.</param>
/// <param name="SessionId">The body's, else X-Session-ID, else a new one.</param>
internal sealed record RequestIdentity(string UserEmail, string SessionId, string TraceId, string? ParentSpanId, string RequestId)
{
    public const string UserHeader = "X-User-Email";
    public const string SessionHeader = "X-Session-ID";
    public const string RequestHeader = "X-Request-ID";

    /// <summary>Longest user, session and idempotency key, in characters.</summary>
    public const int MaxChars = 200;

    public static RequestIdentity From(HttpContext context, string? bodyUser = null, string? bodySession = null)
    {
        var hasParent = ActivityContext.TryParse(context.Request.Headers.TraceParent, context.Request.Headers.TraceState, out var parent);
        return new(
            User(context, bodyUser),
            Text("session_id", bodySession) ?? Text(SessionHeader, context.Request.Headers[SessionHeader]) ?? Guid.NewGuid().ToString("N"),
            hasParent ? parent.TraceId.ToHexString() : ActivityTraceId.CreateRandom().ToHexString(),
            hasParent ? parent.SpanId.ToHexString() : null,
            (string)context.Items[RequestHeader]!);
    }

    /// <summary>The user of a request: the header wins over the body.</summary>
    public static string User(HttpContext context, string? bodyUser = null) =>
        Text(UserHeader, context.Request.Headers[UserHeader]) ?? Text("user_email", bodyUser) ?? "unknown";

    /// <summary>The value of <paramref name="field"/> as it is kept: without control characters; null when nothing is left.</summary>
    /// <exception cref="BadHttpRequestException">It is longer than <see cref="MaxChars"/>: cut, two names would be one.</exception>
    public static string? Text(string field, string? value)
    {
        var text = string.Concat((value ?? "").Where(static c => !char.IsControl(c))).Trim();
        return text.Length <= MaxChars
            ? text.Length == 0 ? null : text
            : throw new BadHttpRequestException($"{field} must be at most {MaxChars} characters, got {text.Length}");
    }
}

/// <summary>Echoes X-Request-ID, makes one where there is none, and puts it into every log line of the request.</summary>
internal static class RequestIds
{
    public static IApplicationBuilder UseRequestIds(this IApplicationBuilder app) => app.Use(async (context, next) =>
    {
        var given = (string?)context.Request.Headers[RequestIdentity.RequestHeader];
        var id = given is { Length: > 0 and <= 128 } && given.All(c => c is > ' ' and < '\x7f') ? given : Guid.NewGuid().ToString("N");
        context.Items[RequestIdentity.RequestHeader] = id;
        context.Response.Headers[RequestIdentity.RequestHeader] = id;
        var logger = context.RequestServices.GetRequiredService<ILoggerFactory>().CreateLogger(typeof(RequestIds));
        using (logger.BeginScope(new Dictionary<string, object> { ["request_id"] = id }))
        {
            await next(context);
        }
    });
}
