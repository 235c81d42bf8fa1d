using Phoenix.Service.Security;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Ui;

/// <summary>Puts the pages into the service.</summary>
internal static class UiRegistration
{
    // Inline styles place the waterfall's bars; scripts come from this server alone.
    private const string ContentPolicy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'";

    /// <summary>Registers the renderer and the readers of lists and overviews.</summary>
    public static void AddUi(this WebApplicationBuilder builder)
    {
        builder.Services.AddRazorComponents();
        builder.Services.AddSingleton<OverviewReader>();
        builder.Services.AddSingleton<TraceListReader>();
        builder.Services.AddSingleton<SessionListReader>();
        builder.Services.AddScoped<PageReader>();
    }

    /// <summary>
    /// Maps pages, style sheet and script. The pages only read, so they take no forms but GET and need no antiforgery tokens.
    /// </summary>
    public static void MapUi(this WebApplication app)
    {
        app.MapUiAssets();
        var pages = app.MapRazorComponents<App>().DisableAntiforgery();
        pages.Add(endpoint =>
        {
            // The login is the one page for strangers.
            endpoint.Needs(endpoint is RouteEndpointBuilder { RoutePattern.RawText: "/login" } ? Access.Open : Access.Page);
            var render = endpoint.RequestDelegate!;
            endpoint.RequestDelegate = context =>
            {
                var headers = context.Response.Headers;
                headers.ContentSecurityPolicy = ContentPolicy;
                headers.XContentTypeOptions = "nosniff";
                headers["Referrer-Policy"] = "same-origin";
                headers.CacheControl = "no-store";
                return render(context);
            };
        });
    }
}
