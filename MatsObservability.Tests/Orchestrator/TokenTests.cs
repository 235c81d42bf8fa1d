using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Options;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>Bearer tokens: who calls is whose token it is.</summary>
[Trait("Req", "M01"), Trait("Req", "M19")]
public sealed class TokenTests : IClassFixture<ShopSystem>, IAsyncLifetime
{
    private const string AnnsToken = "ann-0123456789abcdef";
    private const string BobsToken = "bob-0123456789abcdef";
    private readonly ShopSystem _system;
    private OrchestratorServer _server = null!;

    public TokenTests(ShopSystem system) => _system = system;

    public async Task InitializeAsync() =>
        _server = await OrchestratorServer.StartAsync(await _system.NewDatabaseAsync(), _system.Phoenix.HttpUrl,
    [
        ("Mats:Tokens:0:User", "ann@example.com"), ("Mats:Tokens:0:Token", AnnsToken),
        ("Mats:Tokens:1:User", "bob@example.com"), ("Mats:Tokens:1:Token", BobsToken),
    ]);

    public async Task DisposeAsync() => await _server.DisposeAsync();

    [Theory]
    [InlineData(null)]
    [InlineData("Bearer")]
    [InlineData("Bearer ann-0123456789abcdeX")]
    [InlineData("Basic ann-0123456789abcdef")]
    public async Task Request_WithoutAValidToken_Is401(string? authorization)
    {
        using var response = await SendAsync(HttpMethod.Get, "/jobs", authorization);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Contains("Bearer", response.Headers.WwwAuthenticate.ToString());
        Assert.DoesNotContain(AnnsToken, await response.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Request_WithAHeaderOfAnotherUser_Is403()
    {
        using var response = await SendAsync(HttpMethod.Get, "/jobs", $"Bearer {AnnsToken}", user: "bob@example.com");

        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Fact]
    public async Task Job_BelongsToTheTokensUser_WhateverTheBodySays()
    {
        using var asked = await SendAsync(
            HttpMethod.Post, "/troubleshoot?wait=60", $"Bearer {AnnsToken}",
            JsonContent.Create(new { user_request = "why is it slow", project = "shop", user_email = "bob@example.com", hours_ago = 1 }));
        using var jobs = await SendAsync(HttpMethod.Get, "/jobs", $"Bearer {AnnsToken}", user: "ann@example.com");
        var job = (await jobs.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("jobs")[0];
        using var foreign = await SendAsync(HttpMethod.Get, $"/jobs/{job.GetProperty("id")}", $"Bearer {BobsToken}");
        using var stream = await SendAsync(HttpMethod.Get, "/stream/ann@example.com/s1", $"Bearer {BobsToken}");

        Assert.Equal("ann@example.com", job.GetProperty("user_email").GetString());
        Assert.Equal(HttpStatusCode.Forbidden, foreign.StatusCode);
        Assert.Equal(HttpStatusCode.Forbidden, stream.StatusCode);
    }

    [Theory]
    [InlineData("/health", HttpStatusCode.OK)]
    [InlineData("/alive", HttpStatusCode.OK)]
    [InlineData("/healthz", HttpStatusCode.OK)]
    [InlineData("/readyz", HttpStatusCode.OK)]
    [InlineData("/version", HttpStatusCode.OK)]
    [InlineData("/rca/s/20260101-000000/rca.json", HttpStatusCode.Forbidden)]
    public async Task Probe_OrSignedLink_NeedsNoToken(string path, HttpStatusCode status)
    {
        using var response = await SendAsync(HttpMethod.Get, path, authorization: null);

        Assert.Equal(status, response.StatusCode);
    }

    [Fact]
    public async Task Start_WithAShortToken_FailsWithoutTellingIt()
    {
        var database = await _system.NewDatabaseAsync();

        var fault = await Assert.ThrowsAsync<OptionsValidationException>(() => OrchestratorServer.StartAsync(
            database, _system.Phoenix.HttpUrl, [("Mats:Tokens:0:User", "ann"), ("Mats:Tokens:0:Token", "too-short")]));

        Assert.Contains("Mats:Tokens:0:Token must have at least 16 characters", fault.Message);
        Assert.DoesNotContain("too-short", fault.Message);
    }

    private async Task<HttpResponseMessage> SendAsync(
        HttpMethod method, string path, string? authorization, HttpContent? content = null, string? user = null)
    {
        using var request = new HttpRequestMessage(method, path) { Content = content };
        if (authorization is not null)
        {
            request.Headers.Authorization = AuthenticationHeaderValue.Parse(authorization);
        }

        if (user is not null)
        {
            request.Headers.Add("X-User-Email", user);
        }

        return await _server.Client.SendAsync(request);
    }
}
