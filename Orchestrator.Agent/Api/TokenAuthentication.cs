using System.Security.Cryptography;
using System.Text;
using Microsoft.Extensions.Options;

namespace Orchestrator.Agent.Api;

/// <summary>
/// With <see cref="MatsOptions.Tokens"/> a request must bring one, and its user is the token's: a header that names another is refused.
/// Probes and signed RCA links need none.
/// </summary>
internal static class TokenAuthentication
{
    private const string Scheme = "Bearer ";
    private static readonly PathString[] s_open = ["/health", "/healthz", "/readyz", "/alive", "/version", "/rca"];

    public static IApplicationBuilder UseTokens(this IApplicationBuilder app)
    {
        var tokens = app.ApplicationServices.GetRequiredService<IOptions<MatsOptions>>().Value.Tokens
            .Select(token => (token.User, Hash: Hash(token.Token))).ToList();
        return tokens.Count == 0 ? app : app.Use((context, next) => AuthenticateAsync(context, next, tokens));
    }

    private static Task AuthenticateAsync(HttpContext context, RequestDelegate next, List<(string User, byte[] Hash)> tokens)
    {
        if (Array.Exists(s_open, path => context.Request.Path.StartsWithSegments(path, StringComparison.OrdinalIgnoreCase)))
        {
            return next(context);
        }

        if (UserOf(context.Request.Headers.Authorization.ToString(), tokens) is not { } user)
        {
            context.Response.Headers.WWWAuthenticate = "Bearer";
            return Answers.Error("A valid bearer token is required", StatusCodes.Status401Unauthorized).ExecuteAsync(context);
        }

        var named = context.Request.Headers[RequestIdentity.UserHeader].ToString().Trim();
        if (named.Length > 0 && !named.Equals(user, StringComparison.OrdinalIgnoreCase))
        {
            var refusal = Answers.Error($"{RequestIdentity.UserHeader} differs from the token's user", StatusCodes.Status403Forbidden);
            return refusal.ExecuteAsync(context);
        }

        context.Request.Headers[RequestIdentity.UserHeader] = user;
        return next(context);
    }

    /// <summary>The user of a token; null when it is none of ours. Every token is compared, and each in constant time.</summary>
    private static string? UserOf(string authorization, List<(string User, byte[] Hash)> tokens)
    {
        if (!authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var given = Hash(authorization[Scheme.Length..].Trim());
        string? user = null;
        foreach (var token in tokens)
        {
            user = CryptographicOperations.FixedTimeEquals(token.Hash, given) ? token.User : user;
        }

        return user;
    }

    private static byte[] Hash(string token) => SHA256.HashData(Encoding.UTF8.GetBytes(token));
}
