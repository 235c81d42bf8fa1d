using Microsoft.AspNetCore.Http.HttpResults;
using Microsoft.AspNetCore.Mvc;
using Microsoft.Extensions.Options;
using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>
/// Signing in and out. The login takes JSON from programs and a form from the login page, and answers each in its way.
/// </summary>
internal static class AuthEndpoints
{
    /// <summary>Path that the WWW-Authenticate header names.</summary>
    public const string ResourceMetadata = "/.well-known/oauth-protected-resource";

    /// <summary>Policy of the rate limiter for these routes.</summary>
    public const string RateLimit = "auth";

    private const int MostBodyBytes = 16 * 1024;

    /// <summary>Maps the routes; only with authentication on.</summary>
    public static void MapAuth(this IEndpointRouteBuilder routes)
    {
        var group = routes.MapGroup(string.Empty).AddEndpointFilter<DatabaseFaultFilter>()
            .WithMetadata(new RequestSizeLimitAttribute(MostBodyBytes));
        group.MapPost("/auth/login", LogInAsync).Needs(Access.Open).RequireRateLimiting(RateLimit);
        group.MapPost("/auth/refresh", RefreshAsync).Needs(Access.Open).RequireRateLimiting(RateLimit);
        group.MapPost("/auth/password", ChangePasswordAsync).Needs(Access.Own).RequireRateLimiting(RateLimit);
        group.MapGet("/auth/logout", LogOutAsync).Needs(Access.Open);
        group.MapGet(ResourceMetadata, Describe).Needs(Access.Open);
    }

    /// <summary>A login that comes too often, in the words of its sender.</summary>
    public static ValueTask RefuseAsync(HttpContext context, TimeSpan retryAfter)
    {
        context.RequestServices.GetRequiredService<SecurityMetrics>().Refused(Refusal.Rate);
        context.Response.Headers.RetryAfter = SignIn.Seconds(retryAfter);
        return new(context.Request.HasFormContentType
            ? BackToPage(context, back: null, "busy").ExecuteAsync(context)
            : ApiResults.Text(StatusCodes.Status429TooManyRequests, "too many requests to /auth from this address").ExecuteAsync(context));
    }

    private static async Task<IResult> LogInAsync(
        HttpContext context, SignIn signIn, SessionCookies cookies, SecurityMetrics metrics, IOptions<AuthOptions> options,
        CancellationToken cancellationToken)
    {
        if (!SessionCookies.IsFromHere(context.Request, options.Value))
        {
            metrics.Refused(Refusal.Origin);
            return ApiResults.Text(StatusCodes.Status401Unauthorized, "a page of another origin may not log in here");
        }

        var form = context.Request.HasFormContentType ? await context.Request.ReadFormAsync(cancellationToken) : null;
        var (body, fault) = form is null
            ? await RequestJson.ReadAsync(context.Request, AuthJsonContext.Default.LoginBody, cancellationToken)
            : (new LoginBody(form["email"], form["password"]), null);
        if (fault is not null)
        {
            return fault;
        }

        var back = form?["returnUrl"].ToString();
        if (string.IsNullOrWhiteSpace(body!.Email) || string.IsNullOrEmpty(body.Password))
        {
            return form is not null
                ? BackToPage(context, back, "password")
                : ApiResults.Invalid(new ValidationError(["body"], "email and password are needed", "missing"));
        }

        var (user, refusal, retryAfter) = await signIn.CheckAsync(body.Email.Trim(), body.Password, cancellationToken);
        if (user is not null && await cookies.StartAsync(context, user, cancellationToken))
        {
            return form is null
                ? TypedResults.NoContent()
                : SeeOther(context, context.Request.PathBase + (SignIn.IsLocalPath(back) ? back : "/"));
        }

        return (form, refusal) switch
        {
            (not null, Refusal.Locked) => BackToPage(context, back, "locked"),
            (not null, _) => BackToPage(context, back, "password"),
            (_, Refusal.Locked) => Locked(context, retryAfter),
            _ => ApiResults.Text(StatusCodes.Status401Unauthorized, "unknown address or wrong password"),
        };
    }

    private static async Task<Results<NoContent, ContentHttpResult>> RefreshAsync(
        HttpContext context, SessionCookies cookies, SecurityMetrics metrics, CancellationToken cancellationToken)
    {
        if (await cookies.RenewAsync(context, cancellationToken))
        {
            return TypedResults.NoContent();
        }

        metrics.Refused(context.Request.Cookies[SessionCookies.Refresh] is null ? Refusal.Missing : Refusal.Revoked);
        return ApiResults.Text(StatusCodes.Status401Unauthorized, "the session has ended, log in again");
    }

    private static async Task<IResult> ChangePasswordAsync(
        HttpContext context, UserStore users, Passwords passwords, TokenVerifier verifier, IOptions<AuthOptions> options,
        CancellationToken cancellationToken)
    {
        var caller = context.Features.Get<Caller>()!;
        if (caller.Kind != CredentialKind.AccessToken)
        {
            return ApiResults.Text(StatusCodes.Status403Forbidden, "a password is changed in a session, after a login");
        }

        var (body, fault) = await RequestJson.ReadAsync(context.Request, AuthJsonContext.Default.PasswordBody, cancellationToken);
        if (fault is not null)
        {
            return fault;
        }

        var password = body!.NewPassword ?? "";
        if (Passwords.Weakness(password, options.Value.StrongPasswords) is { } weakness)
        {
            return ApiResults.Invalid(new ValidationError(["body", "new_password"], $"must be a password that {weakness}", "value_error"));
        }

        var user = await users.FindAsync(caller.UserId, cancellationToken);
        var (refusal, retryAfter) = await passwords.CheckAsync(
            caller.Email, body.CurrentPassword ?? "", user?.PasswordHash, cancellationToken);
        if (refusal != Refusal.None)
        {
            return refusal == Refusal.Locked
                ? Locked(context, retryAfter)
                : ApiResults.Text(StatusCodes.Status401Unauthorized, "the current password is wrong");
        }

        await users.SetPasswordAsync(caller.UserId, await Task.Run(() => Passwords.Hash(password), cancellationToken), cancellationToken);
        verifier.ForgetUser(caller.UserId);
        return TypedResults.NoContent();
    }

    private static async Task<RedirectHttpResult> LogOutAsync(
        HttpContext context, SessionCookies cookies, CancellationToken cancellationToken)
    {
        await cookies.EndAsync(context, cancellationToken);
        return TypedResults.Redirect($"{context.Request.PathBase}/login");
    }

    private static JsonHttpResult<ProtectedResource> Describe(HttpRequest request) => ApiResults.Json(
        new ProtectedResource($"{request.Scheme}://{request.Host}{request.PathBase}", ["header"]),
        AuthJsonContext.Default.ProtectedResource);

    private static ContentHttpResult Locked(HttpContext context, TimeSpan retryAfter)
    {
        context.Response.Headers.RetryAfter = SignIn.Seconds(retryAfter);
        return ApiResults.Text(StatusCodes.Status429TooManyRequests, "too many wrong passwords for this account, it is locked for a while");
    }

    private static IResult BackToPage(HttpContext context, string? back, string problem) =>
        SeeOther(context, SignIn.PageFor(context.Request.PathBase, back, problem));

    /// <summary>303: what follows a form is a GET.</summary>
    private static StatusCodeHttpResult SeeOther(HttpContext context, string address)
    {
        context.Response.Headers.Location = address;
        return TypedResults.StatusCode(StatusCodes.Status303SeeOther);
    }
}
