using Microsoft.Extensions.Options;
using Phoenix.Service.Listening;

namespace Phoenix.Service.Security;

/// <summary>
/// Without credentials to ask for, any page that a browser has open could write here with a request that needs no preflight. So what changes
/// something comes from a program, which names no origin, from a page of this server, or from an origin that the settings name.
/// </summary>
internal static class OriginCheck
{
    private const string Refused =
        "Authentication is off, and pages of this origin may change nothing here: name it in PHOENIX_CORS_ORIGINS, or in PHOENIX_CSRF_TRUSTED_ORIGINS where a proxy changes the Host header";

    /// <summary>Answers 403 to pages of other origins; only with authentication off.</summary>
    public static void UseOriginCheck(this WebApplication app)
    {
        var auth = app.Services.GetRequiredService<IOptions<AuthOptions>>().Value;
        var listen = app.Services.GetRequiredService<IOptions<ListenOptions>>().Value;
        app.Use((context, next) =>
        {
            var request = context.Request;
            if (HttpMethods.IsOptions(request.Method) || SessionCookies.IsFromHere(request, auth)
                || listen.Allows(request.Headers.Origin.ToString()))
            {
                return next(context);
            }

            context.Response.StatusCode = StatusCodes.Status403Forbidden;
            context.Response.ContentType = "text/plain; charset=utf-8";
            return context.Response.WriteAsync(Refused, context.RequestAborted);
        });
    }
}
