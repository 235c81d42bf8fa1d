using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Users and API keys by REST.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B060")]
public sealed class AccountTests(SecuredServer server, PostgresFixture postgres)
    : IClassFixture<SecuredServer>, IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Key_Created_IsShownOnceAndListedWithoutItsText()
    {
        var token = await SecuredServer.LogInAsync(server.Phoenix, SecuredServer.Email("MEMBER"), SecuredServer.Password);
        using var created = await server.SendAsync(
            HttpMethod.Post, "/v1/user/api_keys", token,
            JsonContent.Create(new { data = new { name = "laptop", description = "mine", expires_at = "2099-01-02T03:04:05" } }));
        var data = await SecuredServer.DataAsync(created);
        using var listed = await server.SendAsync(HttpMethod.Get, "/v1/user/api_keys", data.GetProperty("key").GetString());
        var row = (await SecuredServer.DataAsync(listed)).EnumerateArray().Single(key => key.GetProperty("name").GetString() == "laptop");

        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        Assert.Equal("2099-01-02T03:04:05.000000+00:00", data.GetProperty("expires_at").GetString());
        Assert.Equal(["id", "name", "description", "created_at", "expires_at"], row.EnumerateObject().Select(member => member.Name));
        Assert.Equal(data.GetProperty("id").GetString(), row.GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("""{"data":{"name":" "}}""")]
    [InlineData("""{"data":{}}""")]
    [InlineData("""{"data":{"name":"x","expires_at":"2001-01-01T00:00:00Z"}}""")]
    [InlineData("""{"data":{"name":"x","expires_at":"soon"}}""")]
    public async Task Key_InvalidBody_Is422(string body)
    {
        using var answer = await server.SendAsync(
            HttpMethod.Post, "/v1/system/api_keys", SecuredServer.AdminSecret, new StringContent(
                body, System.Text.Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
    }

    [Theory]
    [InlineData("user", "MEMBER")]
    [InlineData("system", "ADMIN")]
    public async Task Key_MadeByAKey_Is403(string owner, string role)
    {
        using var answer = await server.SendAsync(
            HttpMethod.Post, $"/v1/{owner}/api_keys", server.Keys[role], JsonContent.Create(new { data = new { name = "x" } }));

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task Key_OfAnotherUser_IsMissingExceptToAdmins()
    {
        var viewer = await SecuredServer.LogInAsync(server.Phoenix, SecuredServer.Email("VIEWER"), SecuredServer.Password);
        var id = (await server.CreateKeyDataAsync(viewer, "user")).GetProperty("id").GetString();

        using var other = await server.SendAsync(HttpMethod.Delete, $"/v1/user/api_keys/{id}", server.Keys["MEMBER"]);
        using var malformed = await server.SendAsync(HttpMethod.Delete, "/v1/user/api_keys/12", server.Keys["MEMBER"]);
        using var admin = await server.SendAsync(HttpMethod.Delete, $"/v1/user/api_keys/{id}", server.Keys["ADMIN"]);
        using var again = await server.SendAsync(HttpMethod.Delete, $"/v1/user/api_keys/{id}", viewer);

        Assert.Equal([404, 422, 204, 404], new[] { other, malformed, admin, again }.Select(answer => (int)answer.StatusCode));
    }

    [Fact]
    public async Task Key_OfTheSystem_CannotTouchOtherSystemKeys()
    {
        var id = (await server.CreateKeyDataAsync(SecuredServer.AdminSecret, "system")).GetProperty("id").GetString()!;
        var number = System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(id)).Split(':')[1];
        var disguised = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes($"UserApiKey:{number}"));

        foreach (var path in new[] { $"/v1/system/api_keys/{id}", $"/v1/user/api_keys/{disguised}" })
        {
            using var answer = await server.SendAsync(HttpMethod.Delete, path, server.Keys["SYSTEM"]);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }

        using var admin = await server.SendAsync(HttpMethod.Delete, $"/v1/user/api_keys/{disguised}", SecuredServer.AdminSecret);
        Assert.Equal(HttpStatusCode.NotFound, admin.StatusCode);
    }

    [Fact]
    [Trait("Req", "B062")]
    public async Task Metrics_Protected_NeedACredential()
    {
        await using var guarded = await PhoenixServer.StartAsync(
            postgres, [.. SecuredServer.Settings, ("Phoenix:Auth:ProtectMetrics", "true")]);
        using var client = new HttpClient { BaseAddress = new Uri(guarded.MetricsUrl) };

        using var stranger = await client.GetAsync("/metrics");
        using var probe = await client.GetAsync("/healthz");
        client.DefaultRequestHeaders.Authorization = new("Bearer", SecuredServer.AdminSecret);
        using var scraper = await client.GetAsync("/metrics");

        Assert.Equal([401, 200, 200], new[] { stranger, probe, scraper }.Select(answer => (int)answer.StatusCode));
    }

    [Fact]
    public async Task Keys_OfEverybody_ArePagedWithTheirOwners()
    {
        var names = new List<string>();
        for (var cursor = ""; ;)
        {
            using var page = await server.SendAsync(HttpMethod.Get, $"/v1/users/api_keys?limit=1{cursor}", SecuredServer.AdminSecret);
            var body = await page.Content.ReadFromJsonAsync<JsonElement>();
            names.AddRange(
                body.GetProperty("data").EnumerateArray().Select(key => key.GetProperty("user").GetProperty("username").GetString()!));
            if (body.GetProperty("next_cursor").GetString() is not { } next)
            {
                break;
            }

            cursor = $"&cursor={Uri.EscapeDataString(next)}";
        }

        Assert.All(["admin", "MEMBER", "VIEWER"], name => Assert.Contains(name, names));
        Assert.DoesNotContain("system", names);
    }

    [Fact]
    public async Task User_Self_IsTheOwnerOfTheCredential()
    {
        using var member = await server.SendAsync(HttpMethod.Get, "/v1/user", server.Keys["MEMBER"]);
        using var system = await server.SendAsync(HttpMethod.Get, "/v1/user", SecuredServer.AdminSecret);
        var data = await SecuredServer.DataAsync(member);

        Assert.Equal(("member@example.com", "MEMBER", "LOCAL"),
            (data.GetProperty("email").GetString(), data.GetProperty("role").GetString(), data.GetProperty("auth_method").GetString()));
        Assert.Equal("SYSTEM", (await SecuredServer.DataAsync(system)).GetProperty("role").GetString());
    }

    [Theory]
    [InlineData("new@example.com", "new", "SYSTEM", "long enough", 400)]
    [InlineData("new@example.com", "new", "OWNER", "long enough", 422)]
    [InlineData("no address", "new", "MEMBER", "long enough", 422)]
    [InlineData("new@example.com", " ", "MEMBER", "long enough", 422)]
    [InlineData("new@example.com", "new", "MEMBER", "short", 422)]
    [InlineData("Member@Example.com", "new", "MEMBER", "long enough", 409)]
    [InlineData("new@example.com", "MEMBER", "MEMBER", "long enough", 409)]
    public async Task User_WrongFields_AreRefused(string email, string username, string role, string password, int expected)
    {
        using var answer = await server.SendAsync(
            HttpMethod.Post, "/v1/users", SecuredServer.AdminSecret,
            JsonContent.Create(new { user = new { email, username, role, auth_method = "LOCAL", password } }));

        Assert.Equal(expected, (int)answer.StatusCode);
    }

    [Fact]
    public async Task User_FirstAdminAndSystem_CannotBeDeleted()
    {
        using var list = await server.SendAsync(HttpMethod.Get, "/v1/users", SecuredServer.AdminSecret);
        foreach (var user in (await SecuredServer.DataAsync(list)).EnumerateArray()
            .Where(user => user.GetProperty("username").GetString() is "admin" or "system"))
        {
            using var answer = await server.SendAsync(
                HttpMethod.Delete, $"/v1/users/{user.GetProperty("id").GetString()}", SecuredServer.AdminSecret);
            Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        }
    }

    [Fact]
    public async Task Off_EverythingIsOpenAndThereIsNobody()
    {
        await using var open = await PhoenixServer.StartAsync(postgres);
        using var client = SecuredServer.NewClient(open);

        Assert.Equal("{\"data\":{\"auth_method\":\"ANONYMOUS\"}}", await client.GetStringAsync("/v1/user"));
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/projects")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await client.PostAsJsonAsync("/v1/projects", new { name = "open" })).StatusCode);
        foreach (var path in new[] { "/v1/user/api_keys", "/v1/system/api_keys", "/v1/users/api_keys", "/v1/users" })
        {
            Assert.Equal(HttpStatusCode.Forbidden, (await client.PostAsJsonAsync(path, new { })).StatusCode);
            Assert.Equal(HttpStatusCode.Forbidden, (await client.GetAsync(path)).StatusCode);
        }

        Assert.Equal(HttpStatusCode.NotFound,
            (await client.PostAsJsonAsync("/auth/login", new { email = "a", password = "b" })).StatusCode);
        Assert.Equal("/", (await client.GetAsync("/login")).Headers.Location!.OriginalString);
    }
}
