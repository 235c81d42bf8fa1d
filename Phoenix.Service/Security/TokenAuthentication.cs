using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authorization;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Receive;
using Phoenix.Service.Listening;

namespace Phoenix.Service.Security;

/// <summary>
/// Finds out who makes a request, and answers those that are not let in, each in the words of its protocol: 401 with
/// <c>WWW-Authenticate</c>, UNAUTHENTICATED over gRPC, the login for a browser.
/// </summary>
internal sealed class TokenAuthentication(
    TokenVerifier verifier, SessionCookies cookies, SecurityMetrics metrics, IOptions<AuthOptions> auth,
    IOptionsMonitor<AuthenticationSchemeOptions> options, ILoggerFactory logger, UrlEncoder encoder)
    : AuthenticationHandler<AuthenticationSchemeOptions>(options, logger, encoder)
{
    /// <summary>Name of the scheme.</summary>
    public new const string Scheme = "Phoenix";

    private const string Bearer = "Bearer ";
    private const string RetryAfterSeconds = "5";

    private Refusal _refusal = Refusal.Missing;

    /// <inheritdoc/>
    protected override async Task<AuthenticateResult> HandleAuthenticateAsync()
    {
        // 1. What is open stays so, whatever credential came along and whether or not the database answers.
        if (AccessPolicy.IsOpen(Context, auth.Value))
        {
            return AuthenticateResult.NoResult();
        }

        // 2. A bearer token wins over the cookie.
        (Caller? caller, _refusal) = Request.Headers.Authorization is { Count: > 0 } header
            ? await ReadBearerAsync(header.ToString())
            : await ReadCookieAsync();

        // 3. Known from here on.
        if (caller is null)
        {
            return AuthenticateResult.NoResult();
        }

        Context.Features.Set(caller);
        return AuthenticateResult.Success(new AuthenticationTicket(caller.Principal, Scheme));
    }

    /// <inheritdoc/>
    protected override async Task HandleChallengeAsync(AuthenticationProperties properties)
    {
        var refused = _refusal != Refusal.Unavailable;
        if (refused)
        {
            metrics.Refused(_refusal);
        }

        var text = Explain(_refusal);
        if (Context.Listener() == Listeners.Grpc)
        {
            GrpcReceiver.Refuse(Context, refused ? GrpcCode.Unauthenticated : GrpcCode.Unavailable, text,
                refused ? null : TimeSpan.FromSeconds(5));
        }
        else if (!refused)
        {
            Response.Headers.RetryAfter = RetryAfterSeconds;
            await AnswerAsync(StatusCodes.Status503ServiceUnavailable, text);
        }
        else if (AccessRules.Of(Context) == Access.Page)
        {
            // A session outlives its access token: its refresh token gets a new one on the way.
            var back = Request.Path + Request.QueryString;
            Response.Redirect(
                await cookies.TryRenewAsync(Context) ? Request.PathBase + back : SignIn.PageFor(Request.PathBase, back, problem: null));
        }
        else
        {
            Response.Headers.WWWAuthenticate = $"Bearer realm=\"Arize Phoenix\", resource_metadata=\"{Request.Scheme}://{Request.Host}{Request.PathBase}{AuthEndpoints.ResourceMetadata}\"";
            await AnswerAsync(StatusCodes.Status401Unauthorized, text);
        }
    }

    /// <inheritdoc/>
    protected override async Task HandleForbiddenAsync(AuthenticationProperties properties)
    {
        metrics.Refused(Refusal.Forbidden);
        var text = $"the role {Context.Features.Get<Caller>()?.Role.ToString().ToUpperInvariant()} may not do this";
        if (Context.Listener() == Listeners.Grpc)
        {
            GrpcReceiver.Refuse(Context, GrpcCode.PermissionDenied, text, retryAfter: null);
            return;
        }

        await AnswerAsync(StatusCodes.Status403Forbidden, text);
    }

    private ValueTask<(Caller? Caller, Refusal Refusal)> ReadBearerAsync(string header) =>
        header.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase)
            ? verifier.VerifyBearerAsync(header[Bearer.Length..].Trim(), Context.RequestAborted)
            : new((null, Refusal.Malformed));

    private ValueTask<(Caller? Caller, Refusal Refusal)> ReadCookieAsync() =>
        Request.Cookies[SessionCookies.Access] is not { Length: > 0 } cookie ? new((null, Refusal.Missing))
        : !SessionCookies.IsFromHere(Request, auth.Value) ? new((null, Refusal.Origin))
        : verifier.VerifyCookieAsync(cookie, Context.RequestAborted);

    private Task AnswerAsync(int status, string text)
    {
        Response.StatusCode = status;
        Response.ContentType = "text/plain; charset=utf-8";
        return Response.WriteAsync(text, Context.RequestAborted);
    }

    private static string Explain(Refusal refusal) => refusal switch
    {
        Refusal.Missing => "credentials are needed: the header 'authorization: Bearer <API key>'",
        Refusal.Expired => "the credential has expired",
        Refusal.Origin => "a page of another origin may not use this session",
        Refusal.Unavailable => "the credential cannot be checked now: the database does not answer",
        _ => "the credential is not valid",
    };
}

/// <summary>The one rule of authorization: the caller's role against what the request needs.</summary>
internal sealed class AccessPolicy(IOptions<AuthOptions> options) : AuthorizationHandler<AccessPolicy.Requirement>
{
    /// <summary>Whether a request needs no credential.</summary>
    public static bool IsOpen(HttpContext context, AuthOptions options) => AccessRules.Of(context) switch
    {
        Access.Open => true,
        Access.Metrics => !options.ProtectMetrics,
        _ => false,
    };

    /// <inheritdoc/>
    protected override Task HandleRequirementAsync(AuthorizationHandlerContext context, Requirement requirement)
    {
        var http = (HttpContext)context.Resource!;
        if (IsOpen(http, options.Value)
            || (http.Features.Get<Caller>() is { } caller && AccessRules.Allows(AccessRules.Of(http), caller.Role)))
        {
            context.Succeed(requirement);
        }

        return Task.CompletedTask;
    }

    /// <summary>Stands on every request.</summary>
    internal sealed class Requirement : IAuthorizationRequirement;
}
