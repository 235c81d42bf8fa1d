using System.Net;
using System.Net.Http.Json;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Without authentication: what pages of other origins may do.</summary>
public sealed class OriginCheckTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Write_ByOrigin_IsForProgramsOwnPagesAndNamedOriginsAlone()
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_CORS_ORIGINS", "https://sender.example"), ("PHOENIX_CSRF_TRUSTED_ORIGINS", "https://proxied.example"));

        foreach (var origin in new[] { null, server.HttpUrl.TrimEnd('/'), "https://sender.example", "https://proxied.example" })
        {
            using var allowed = await CreateAsync(server, origin);
            Assert.Equal((origin, HttpStatusCode.OK), (origin, allowed.StatusCode));
        }

        foreach (var origin in new[] { "http://evil.example", "null", "http://127.0.0.1:1", "https://sender.example.evil.example" })
        {
            using var refused = await CreateAsync(server, origin);
            Assert.Equal((origin, HttpStatusCode.Forbidden), (origin, refused.StatusCode));
            Assert.Contains("PHOENIX_CORS_ORIGINS", await refused.Content.ReadAsStringAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Write_OtlpPortFromAnotherOrigin_IsRefused()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{server.OtlpHttpUrl.TrimEnd('/')}/v1/traces")
        {
            Content = Otlp.Content([]),
        };
        request.Headers.Add("Origin", "http://evil.example");

        using var answer = await server.Client.SendAsync(request);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task Write_EveryOriginNamed_IsForEveryPage()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_CORS_ORIGINS", "*"));

        using var answer = await CreateAsync(server, "http://anywhere.example");

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
    }

    [Fact]
    public async Task Host_NotAmongTheAllowed_IsRefused()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("AllowedHosts", "localhost;127.0.0.1;[::1]"));
        using var rebound = new HttpRequestMessage(HttpMethod.Get, "/v1/projects") { Headers = { Host = "evil.example" } };

        using var refused = await server.Client.SendAsync(rebound);
        using var own = await server.Client.GetAsync("/v1/projects");

        Assert.Equal((HttpStatusCode.BadRequest, HttpStatusCode.OK), (refused.StatusCode, own.StatusCode));
    }

    private static async Task<HttpResponseMessage> CreateAsync(PhoenixServer server, string? origin)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v1/projects")
        {
            Content = JsonContent.Create(new { name = $"made-{Guid.NewGuid():N}" }),
        };
        if (origin is not null)
        {
            request.Headers.Add("Origin", origin);
        }

        return await server.Client.SendAsync(request);
    }
}
