using System.Net;
using System.Text;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Routing;
using Microsoft.AspNetCore.Routing.Patterns;
using Microsoft.Extensions.DependencyInjection;
using Phoenix.Service.Security;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Every endpoint of the service, asked by everybody. The list is the service's own, so a new endpoint is in it at once.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B060")]
[Trait("Req", "B061")]
public sealed class PermissionTests(SecuredServer server) : IClassFixture<SecuredServer>
{
    private static readonly string[] s_callers = ["ADMIN", "MEMBER", "VIEWER", "SYSTEM"];

    // What strangers may reach; everything else must say what it needs and must not be on this list.
    private static readonly string[] s_open =
    [
        "/healthz", "/alive", "/health/live", "/readyz", "/health/ready", "/health", "/arize_phoenix_version",
        "/version", "/metrics", "/login",
        "/auth/login", "/auth/logout", "/auth/refresh", "/.well-known/oauth-protected-resource",
        "/_ui/{hash}/ui.css", "/_ui/{hash}/ui.js", "/_ui/{hash}/icon.svg",
    ];

    [Fact]
    public void Endpoints_All_SayWhatTheyNeed()
    {
        var silent = Endpoints().Where(endpoint => AccessRules.Of(endpoint) is null).Select(endpoint => endpoint.DisplayName).ToList();
        var open = Endpoints().Where(endpoint => AccessRules.Of(endpoint) is Access.Open or Access.Metrics)
            .Select(endpoint => endpoint.RoutePattern.RawText!).Distinct();

        Assert.True(silent.Count == 0, $"These endpoints say nothing of who may use them (AccessRules.Needs): {string.Join(", ", silent)}");
        Assert.Equal(s_open.Order(StringComparer.Ordinal), open.Order(StringComparer.Ordinal));
        Assert.True(Endpoints().Count > 40);
    }

    [Fact]
    public async Task Endpoints_Everyone_GetsWhatTheMatrixSays()
    {
        var wrong = new List<string>();
        foreach (var (method, path, endpoint) in Requests().OrderBy(request => request.Method == "DELETE"))
        {
            var access = AccessRules.Of(endpoint)!.Value;
            foreach (var caller in s_callers.Prepend(null))
            {
                using var answer = await server.SendAsync(
                    new HttpMethod(method), path, caller is null ? null : server.Keys[caller], Content(method));
                if (!IsRight(access, caller, answer))
                {
                    wrong.Add($"{method} {path} ({access}) by {caller ?? "nobody"}: {(int)answer.StatusCode}");
                }
            }
        }

        Assert.True(wrong.Count == 0, string.Join("\n", wrong));
    }

    [Fact]
    public async Task Request_UnknownPath_IsNotToldToStrangers()
    {
        using var stranger = await server.SendAsync(HttpMethod.Get, "/v1/nothing/here", token: null);
        using var known = await server.SendAsync(HttpMethod.Get, "/v1/nothing/here", server.Keys["VIEWER"]);

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.NotFound), (stranger.StatusCode, known.StatusCode));
    }

    [Fact]
    public async Task Request_MethodThatThePathLacks_Is405()
    {
        using var stranger = await server.SendAsync(HttpMethod.Patch, "/v1/projects", token: null);
        using var known = await server.SendAsync(HttpMethod.Patch, "/v1/projects", server.Keys["MEMBER"]);

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.MethodNotAllowed), (stranger.StatusCode, known.StatusCode));
    }

    [Fact]
    public async Task Request_WithoutRight_IsRefusedBeforeItsBodyIsLookedAt()
    {
        using var answer = await server.SendAsync(
            HttpMethod.Post, "/v1/projects", server.Keys["VIEWER"], new StringContent("no json", Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("VIEWER", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static bool IsRight(Access access, string? caller, HttpResponseMessage answer)
    {
        var refused = answer.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;
        return (access, caller) switch
        {
            // A login without a body is invalid, a renewal without a session unauthorized: both by the endpoint's own word.
            (Access.Open or Access.Metrics, _) => answer.StatusCode != HttpStatusCode.Forbidden
                && !answer.Headers.Contains("WWW-Authenticate"),
            (Access.Page, null) => answer.StatusCode == HttpStatusCode.Redirect
                && answer.Headers.Location!.OriginalString.StartsWith("/login", StringComparison.Ordinal),
            (_, null) => answer.StatusCode == HttpStatusCode.Unauthorized
                && answer.Headers.WwwAuthenticate.ToString()
                    .StartsWith("Bearer realm=\"Arize Phoenix\", resource_metadata=\"http://127.0.0.1:", StringComparison.Ordinal),
            (Access.Write, "VIEWER") => answer.StatusCode == HttpStatusCode.Forbidden,
            (Access.Admin, "MEMBER" or "VIEWER" or "SYSTEM") => answer.StatusCode == HttpStatusCode.Forbidden,
            // Keys and passwords are made in a session, which an API key is not: again the endpoint's own word.
            (Access.Own or Access.Admin, _) => !refused || answer.StatusCode == HttpStatusCode.Forbidden,
            _ => !refused,
        };
    }

    private static HttpContent? Content(string method) => method is "GET" or "DELETE" ? null : new ByteArrayContent([]);

    private List<RouteEndpoint> Endpoints() =>
        [.. server.Phoenix.Services.GetRequiredService<EndpointDataSource>().Endpoints.OfType<RouteEndpoint>()];

    private IEnumerable<(string Method, string Path, RouteEndpoint Endpoint)> Requests() =>
        from endpoint in Endpoints()
        where AccessRules.Of(endpoint) is not null
        from method in endpoint.Metadata.GetMetadata<HttpMethodMetadata>()?.HttpMethods ?? ["GET"]
        let metrics = AccessRules.Of(endpoint) == Access.Metrics
        select (method, (metrics ? server.Phoenix.MetricsUrl : "") + PathOf(endpoint.RoutePattern), endpoint);

    private static string PathOf(RoutePattern pattern) =>
        "/" + string.Join(
            '/', pattern.PathSegments.Select(
                segment =>
                    string.Concat(segment.Parts.Select(part => part is RoutePatternLiteralPart literal ? literal.Content : "none"))));
}
