using System.Diagnostics;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Routing;
using OpenTelemetry;

namespace MatsObservability.ServiceDefaults;

/// <summary>Path prefixes that make no spans.</summary>
internal sealed class UntracedPaths(IEnumerable<string> prefixes)
{
    private readonly PathString[] _prefixes = [.. prefixes.Select(prefix => new PathString(prefix))];

    public bool Contains(PathString path)
    {
        foreach (var prefix in _prefixes)
        {
            if (path.StartsWithSegments(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return true;
            }
        }

        return false;
    }
}

/// <summary>Puts <see cref="RequestTelemetry"/> in front of the service's own pipeline.</summary>
internal sealed class RequestTelemetryFilter(UntracedPaths untraced) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next) => app =>
    {
        app.Use(following => new RequestTelemetry(following, untraced).InvokeAsync);
        next(app);
    };
}

/// <summary>
/// Completes the framework's server activity to the OpenTelemetry HTTP conventions: it has method, path and scheme, but no display name,
/// route or status code. Untraced paths record nothing, and neither does what they call.
/// </summary>
internal sealed class RequestTelemetry(RequestDelegate next, UntracedPaths untraced)
{
    public Task InvokeAsync(HttpContext context)
    {
        var activity = context.Features.Get<IHttpActivityFeature>()?.Activity;
        if (untraced.Contains(context.Request.Path))
        {
            return InvokeUntracedAsync(context, activity);
        }

        return activity is { IsAllDataRequested: true } ? InvokeTracedAsync(context, activity) : next(context);
    }

    private async Task InvokeUntracedAsync(HttpContext context, Activity? activity)
    {
        if (activity is not null)
        {
            activity.IsAllDataRequested = false;
            activity.ActivityTraceFlags &= ~ActivityTraceFlags.Recorded;
        }

        using var suppressed = SuppressInstrumentationScope.Begin();
        await next(context);
    }

    private async Task InvokeTracedAsync(HttpContext context, Activity activity)
    {
        try
        {
            await next(context);
            Complete(context, activity, context.Response.StatusCode, failure: null);
        }
        catch (Exception failure)
        {
            var abandoned = failure is OperationCanceledException && context.RequestAborted.IsCancellationRequested;
            Complete(context, activity,
                abandoned ? StatusCodes.Status499ClientClosedRequest : StatusCodes.Status500InternalServerError, failure);
            throw;
        }
    }

    private static void Complete(HttpContext context, Activity activity, int statusCode, Exception? failure)
    {
        var method = context.Request.Method;
        if (context.GetEndpoint() is RouteEndpoint { RoutePattern.RawText: { } pattern })
        {
            var route = pattern.StartsWith('/') ? pattern : "/" + pattern;
            activity.DisplayName = $"{method} {route}";
            activity.SetTag("http.route", route);
        }
        else
        {
            // Without a route the path stays out of the name: names must have few distinct values (OpenTelemetry HTTP conventions).
            activity.DisplayName = method;
        }

        activity.SetTag("http.response.status_code", statusCode);
        if (statusCode >= StatusCodes.Status500InternalServerError)
        {
            activity.SetTag(
                "error.type", failure?.GetType().FullName ?? statusCode.ToString(System.Globalization.CultureInfo.InvariantCulture));
            activity.SetStatus(ActivityStatusCode.Error);
        }
    }
}
