using Microsoft.Extensions.Options;
using Phoenix.Service.Listening;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Accounts;

namespace Phoenix.Service.Security;

/// <summary>A browser's session: two cookies, and their rotation.</summary>
internal sealed class SessionCookies(TokenStore tokens, TokenFormat format, TokenVerifier verifier, IOptions<AuthOptions> auth,
    IOptions<TlsOptions> tls, TimeProvider time)
{
    /// <summary>Cookie of the access token.</summary>
    public const string Access = "phoenix-access-token";

    /// <summary>Cookie of the refresh token.</summary>
    public const string Refresh = "phoenix-refresh-token";

    private readonly AuthOptions _options = auth.Value;
    private readonly bool _secure = auth.Value.UseSecureCookies ?? tls.Value.IsOn(Listeners.Http);

    private TimeSpan AccessLifetime => TimeSpan.FromMinutes(_options.AccessTokenMinutes);

    private TimeSpan RefreshLifetime => TimeSpan.FromMinutes(_options.RefreshTokenMinutes);

    /// <summary>
    /// Whether a request that changes something comes from a page of this server or of a trusted origin; a program names no origin. The
    /// cookies are SameSite=Strict, but a site is wider than an origin: another port is the same site.
    /// </summary>
    public static bool IsFromHere(HttpRequest request, AuthOptions options) =>
        HttpMethods.IsGet(request.Method) || HttpMethods.IsHead(request.Method) || request.Headers.Origin is not { Count: > 0 } origin
        || (Uri.TryCreate(origin, UriKind.Absolute, out var uri)
            && string.Equals(uri.Authority, request.Host.Value, StringComparison.OrdinalIgnoreCase))
        || options.TrustedOrigins.Contains(origin.ToString(), StringComparer.OrdinalIgnoreCase);

    /// <summary>Starts a session of <paramref name="user"/>, whose password was checked; false when it was changed meanwhile.</summary>
    public async Task<bool> StartAsync(HttpContext context, UserRow user, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (await tokens.CreatePairAsync(user.Id, user.PasswordHash!, now, now + RefreshLifetime, now + AccessLifetime, cancellationToken)
            is not { } pair)
        {
            return false;
        }

        Write(context, pair);
        return true;
    }

    /// <summary>
    /// Takes the refresh cookie for new cookies; false when it is no longer good. The cookies then stay: another tab may have been first,
    /// and taking them away would take its new ones.
    /// </summary>
    public async Task<bool> RenewAsync(HttpContext context, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        if (format.Read(context.Request.Cookies[Refresh] ?? "", out var kind, out var id) != Refusal.None
            || kind != CredentialKind.RefreshToken
            || await tokens.RotateAsync(id, now, now + RefreshLifetime, now + AccessLifetime, cancellationToken) is not { } pair)
        {
            return false;
        }

        ForgetAccess(context);
        Write(context, pair);
        return true;
    }

    /// <summary>As <see cref="RenewAsync"/> for a page; false also while the database cannot be asked.</summary>
    public async Task<bool> TryRenewAsync(HttpContext context)
    {
        if (!HttpMethods.IsGet(context.Request.Method) || context.Request.Cookies[Refresh] is null)
        {
            return false;
        }

        try
        {
            return await RenewAsync(context, context.RequestAborted);
        }
        catch (Exception exception) when (PostgresErrors.IsDatabase(exception))
        {
            return false;
        }
    }

    /// <summary>Ends the session of the request's cookies, whichever of them is still good, and takes them away.</summary>
    public async Task EndAsync(HttpContext context, CancellationToken cancellationToken)
    {
        foreach (var name in new[] { Access, Refresh })
        {
            if (format.Read(context.Request.Cookies[name] ?? "", out var kind, out var id) == Refusal.None
                && kind is CredentialKind.AccessToken or CredentialKind.RefreshToken)
            {
                await tokens.EndSessionAsync(id, cancellationToken);
            }
        }

        ForgetAccess(context);
        context.Response.Cookies.Delete(Access, Cookie(null));
        context.Response.Cookies.Delete(Refresh, Cookie(null));
    }

    private void ForgetAccess(HttpContext context)
    {
        if (format.Read(context.Request.Cookies[Access] ?? "", out _, out var id) == Refusal.None)
        {
            verifier.Forget(id);
        }
    }

    private void Write(HttpContext context, TokenPair pair)
    {
        context.Response.Cookies.Append(Access, format.Write(CredentialKind.AccessToken, pair.AccessId), Cookie(AccessLifetime));
        context.Response.Cookies.Append(Refresh, format.Write(CredentialKind.RefreshToken, pair.RefreshId), Cookie(RefreshLifetime));
    }

    private CookieOptions Cookie(TimeSpan? lifetime) =>
        new() { HttpOnly = true, SameSite = SameSiteMode.Strict, Secure = _secure, Path = _options.CookiesPath, MaxAge = lifetime };
}
