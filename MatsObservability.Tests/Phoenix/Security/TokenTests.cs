using System.Buffers.Text;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Phoenix.Service.Security;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Every kind of credential, good and bad, at the REST door.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B060")]
public sealed class TokenTests(SecuredServer server) : IClassFixture<SecuredServer>
{
    private const string Path = "/v1/projects";

    private static TokenFormat Format => new(SecuredServer.Secret);

    [Theory]
    [InlineData("bearer")]
    [InlineData("BEARER")]
    public async Task Bearer_AnyCase_IsTaken(string scheme)
    {
        using var client = SecuredServer.NewClient(server.Phoenix);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"{scheme} {server.Keys["MEMBER"]}");

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(Path)).StatusCode);
    }

    [Fact]
    public async Task Bearer_AnythingButAValidToken_Is401()
    {
        var key = server.Keys["ADMIN"];
        var parts = key.Split('.');
        var none = Encode("""{"alg":"none","typ":"JWT"}""");
        string[] bad =
        [
            "", "x", "a.b.c", "..", key + "x", key[..^2], SecuredServer.Secret, SecuredServer.AdminSecret + "x",
            $"{none}.{parts[1]}.", $"{none}.{parts[1]}.{parts[2]}", $"{none}.{parts[1]}.{Sign($"{none}.{parts[1]}")}",
            $"{Encode("""{"alg":"HS512","typ":"JWT"}""")}.{parts[1]}.{parts[2]}",
            $"{parts[0]}.{Encode("""{"jti":"ApiKey:1"}""")}.{parts[2]}",
            $"{parts[0]}.{parts[1]}.{(parts[2][0] == 'A' ? 'B' : 'A')}{parts[2][1..]}",
            $"{parts[0]}.{parts[1]}.", $"{parts[0]}.{parts[1]}", $"{parts[0]}.{parts[1]}.{parts[2]}.{parts[2]}",
            Signed("""{"jti":"ApiKey:-1"}"""), Signed("""{"jti":"ApiKey:"}"""), Signed("""{"jti":"Other:1"}"""),
            Signed("""{"jti":"ApiKey:99999999999999999999"}"""), Signed("{}"), Signed("1"),
            new TokenFormat("a-secret-of-others-with-1-digit-and-letters").Write(CredentialKind.ApiKey, 1),
            Format.Write(CredentialKind.ApiKey, 1_000_000), Format.Write(CredentialKind.AdminSecret, 1),
            new string('a', 20_000),
        ];

        foreach (var token in bad)
        {
            using var client = SecuredServer.NewClient(server.Phoenix);
            client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", $"Bearer {token}");
            using var answer = await client.GetAsync(Path);
            Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, $"{token[..Math.Min(token.Length, 200)]}: {answer.StatusCode}");
            Assert.Equal("the credential is not valid", await answer.Content.ReadAsStringAsync());
        }
    }

    [Fact]
    public async Task Bearer_TokenOfAnotherKindThanItsRow_Is401()
    {
        using var client = SecuredServer.NewClient(server.Phoenix);
        using var login = await client.PostAsync(
            "/auth/login", Json($$"""{"email":"admin@localhost","password":"{{SecuredServer.AdminPassword}}"}"""));
        var (access, refresh) = (SecuredServer.Cookie(login, "phoenix-access-token"), SecuredServer.Cookie(login, "phoenix-refresh-token"));
        Assert.Equal(Refusal.None, Format.Read(refresh, out _, out var refreshId));

        Assert.Equal(HttpStatusCode.OK, await StatusAsync(access));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(refresh));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(Format.Write(CredentialKind.ApiKey, refreshId)));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(Format.Write(CredentialKind.AccessToken, refreshId)));
    }

    [Theory]
    [InlineData("Basic YWRtaW46YWRtaW4=")]
    [InlineData("Bearer")]
    [InlineData("nonsense")]
    public async Task Authorization_OtherScheme_Is401EvenWithAGoodCookie(string header)
    {
        var access = await SecuredServer.LogInAsync(server.Phoenix, "admin@localhost", SecuredServer.AdminPassword);
        using var client = SecuredServer.NewClient(server.Phoenix);
        client.DefaultRequestHeaders.Add("Cookie", $"phoenix-access-token={access}");

        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(Path)).StatusCode);
        client.DefaultRequestHeaders.TryAddWithoutValidation("Authorization", header);
        Assert.Equal(HttpStatusCode.Unauthorized, (await client.GetAsync(Path)).StatusCode);
    }

    [Fact]
    public async Task Key_Expired_Is401FromThatMoment()
    {
        // An answer that comes after the key's end says nothing: the next key lives longer.
        string key;
        HttpStatusCode early;
        DateTimeOffset expires;
        var life = TimeSpan.FromSeconds(3);
        do
        {
            expires = TimeProvider.System.GetUtcNow() + life;
            key = await server.CreateKeyAsync(SecuredServer.AdminSecret, "system", expires: expires);
            early = await StatusAsync(key);
            life *= 2;
        }
        while (TimeProvider.System.GetUtcNow() >= expires);
        Assert.Equal(HttpStatusCode.OK, early);

        await Eventually.GetAsync(() => StatusAsync(key), status => status == HttpStatusCode.Unauthorized);
        using var answer = await server.SendAsync(HttpMethod.Get, Path, key);
        Assert.Equal("the credential has expired", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Key_Revoked_Is401AtOnceHereAndSoonElsewhere()
    {
        await using var other = await PhoenixServer.StartAsync(
            server.Phoenix.ConnectionString, [.. SecuredServer.Settings, ("Phoenix:Auth:RevocationDelay", "1s")]);
        var data = await server.CreateKeyDataAsync(SecuredServer.AdminSecret, "system");
        var key = data.GetProperty("key").GetString()!;
        using var elsewhere = SecuredServer.NewClient(other);
        elsewhere.DefaultRequestHeaders.Authorization = new("Bearer", key);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (await StatusAsync(key), (await elsewhere.GetAsync(Path)).StatusCode));

        using var deleted = await server.SendAsync(
            HttpMethod.Delete, $"/v1/system/api_keys/{data.GetProperty("id").GetString()}", SecuredServer.AdminSecret);

        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(key));
        await Eventually.TrueAsync(async () => (await elsewhere.GetAsync(Path)).StatusCode == HttpStatusCode.Unauthorized);
    }

    [Fact]
    public async Task User_Deleted_TakesTheirKeysAlong()
    {
        var id = await SecuredServer.CreateUserAsync(server.Phoenix, "leaver", "MEMBER");
        var key = await server.CreateKeyAsync(
            await SecuredServer.LogInAsync(server.Phoenix, SecuredServer.Email("leaver"), SecuredServer.Password), "user");
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(key));

        using var deleted = await server.SendAsync(HttpMethod.Delete, $"/v1/users/{id}", SecuredServer.AdminSecret);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Unauthorized), (deleted.StatusCode, await StatusAsync(key)));
    }

    [Fact]
    public async Task Credentials_DatabaseAway_Are503AndProbesStayOpen()
    {
        await using var unready = await PhoenixServer.StartUnreadyAsync(
            "Host=127.0.0.1;Port=1;Username=nobody;Timeout=1", SecuredServer.Settings);
        using var client = SecuredServer.NewClient(unready);
        client.DefaultRequestHeaders.Authorization = new("Bearer", server.Keys["MEMBER"]);

        using var answer = await client.GetAsync(Path);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Equal(TimeSpan.FromSeconds(5), answer.Headers.RetryAfter!.Delta);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/healthz")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("/readyz")).StatusCode);
    }

    [Fact]
    public async Task Metrics_RefusedRequests_AreCountedByReason()
    {
        var before = await CountsAsync();
        await StatusAsync(token: null);
        await StatusAsync("nonsense");
        await StatusAsync(new TokenFormat("a-secret-of-others-with-1-digit-and-letters").Write(CredentialKind.ApiKey, 1));
        await StatusAsync(Format.Write(CredentialKind.ApiKey, 2_000_000));
        var after = await CountsAsync();

        Assert.All(["missing", "malformed", "signature", "revoked"],
            reason => Assert.True(after[reason] > before.GetValueOrDefault(reason), reason));
    }

    [Fact]
    public async Task Remembered_ValidKey_CostsLittle()
    {
        var verifier = server.Phoenix.Services.GetRequiredService<TokenVerifier>();
        var key = server.Keys["MEMBER"];
        Assert.Equal(Refusal.None, (await verifier.VerifyBearerAsync(key, CancellationToken.None)).Refusal);
        var allocated = GC.GetAllocatedBytesForCurrentThread();

        for (var time = 0; time < 1000; time++)
        {
            var asked = verifier.VerifyBearerAsync(key, CancellationToken.None);
            Assert.True(asked.IsCompletedSuccessfully);
        }

        // No question to the database, and next to nothing for the garbage collector.
        Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - allocated) / 1000, 0, 400);
    }

    private async Task<Dictionary<string, double>> CountsAsync()
    {
        using var client = new HttpClient();
        var lines = (await client.GetStringAsync($"{server.Phoenix.MetricsUrl}/metrics?collect=phoenix")).Split('\n');
        return lines.Where(line => line.StartsWith("phoenix_auth_failures_total{", StringComparison.Ordinal)).ToDictionary(
            line => line.Split('"')[1], line => double.Parse(line.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture));
    }

    private async Task<HttpStatusCode> StatusAsync(string? token)
    {
        using var answer = await server.SendAsync(HttpMethod.Get, Path, token);
        return answer.StatusCode;
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static string Encode(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));

    private static string Sign(string text) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(Encoding.UTF8.GetBytes(SecuredServer.Secret), Encoding.UTF8.GetBytes(text)));

    private static string Signed(string payload)
    {
        var text = $"{Encode("""{"alg":"HS256","typ":"JWT"}""")}.{Encode(payload)}";
        return $"{text}.{Sign(text)}";
    }
}
