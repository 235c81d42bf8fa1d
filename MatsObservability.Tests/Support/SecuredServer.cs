using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;

namespace MatsObservability.Tests.Support;

/// <summary>A service that asks for credentials, with one caller of every sort.</summary>
public sealed class SecuredServer : IAsyncLifetime
{
    public const string Secret = "a-secret-of-the-tests-with-1-digit-and-letters";
    public const string AdminSecret = "another-secret-of-the-tests-with-2-digits";
    public const string AdminPassword = "first-password";
    public const string Password = "s3cond-password";

    private readonly PostgresFixture _postgres = new();

    public PhoenixServer Phoenix { get; private set; } = null!;

    /// <summary>API keys by the role of their owner: ADMIN, MEMBER, VIEWER, SYSTEM.</summary>
    public Dictionary<string, string> Keys { get; } = [];

    /// <summary>What every server with authentication is started with.</summary>
    public static (string Key, string Value)[] Settings =>
    [
        ("PHOENIX_ENABLE_AUTH", "true"), ("PHOENIX_SECRET", Secret), ("PHOENIX_ADMIN_SECRET", AdminSecret),
        ("PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD", AdminPassword), ("Phoenix:Auth:RequestsPerMinute", "10000"),
    ];

    public async Task InitializeAsync()
    {
        Phoenix = await PhoenixServer.StartAsync(_postgres, Settings);
        Keys["SYSTEM"] = await CreateKeyAsync(AdminSecret, "system");
        foreach (var role in new[] { "MEMBER", "VIEWER" })
        {
            await CreateUserAsync(Phoenix, role, role);
            Keys[role] = await CreateKeyAsync(await LogInAsync(Phoenix, Email(role), Password), "user");
        }

        Keys["ADMIN"] = await CreateKeyAsync(await LogInAsync(Phoenix, "admin@localhost", AdminPassword), "user");
    }

    public async Task DisposeAsync()
    {
        await Phoenix.DisposeAsync();
        await _postgres.DisposeAsync();
    }

    public static string Email(string name) => $"{name.ToLowerInvariant()}@example.com";

    /// <summary>Sends with a bearer token; null = without one.</summary>
    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? token, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, new Uri(path, UriKind.RelativeOrAbsolute)) { Content = content };
        if (token is not null)
        {
            request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        }

        using var client = NewClient(Phoenix);
        return await client.SendAsync(request);
    }

    /// <summary>A client that keeps no cookies and follows nothing.</summary>
    public static HttpClient NewClient(PhoenixServer server) =>
        new(new SocketsHttpHandler { AllowAutoRedirect = false, UseCookies = false }) { BaseAddress = new Uri(server.HttpUrl) };

    /// <summary>Makes a user whose password is <see cref="Password"/>; the id.</summary>
    public static async Task<string> CreateUserAsync(PhoenixServer server, string name, string role)
    {
        using var client = NewClient(server);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", AdminSecret);
        using var answer = await client.PostAsJsonAsync(
            "/v1/users", new
            {
                user = new { email = Email(name), username = name, role, auth_method = "LOCAL", password = Password },
                send_welcome_email = false,
            });
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return (await DataAsync(answer)).GetProperty("id").GetString()!;
    }

    /// <summary>Logs in; the access token.</summary>
    public static async Task<string> LogInAsync(PhoenixServer server, string email, string password)
    {
        using var client = NewClient(server);
        using var answer = await client.PostAsJsonAsync("/auth/login", new { email, password });
        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        return Cookie(answer, "phoenix-access-token");
    }

    /// <summary>Value of a cookie that an answer sets.</summary>
    public static string Cookie(HttpResponseMessage answer, string name) =>
        answer.Headers.GetValues("Set-Cookie").Single(cookie => cookie.StartsWith(name + "=", StringComparison.Ordinal))
            .Split(';')[0][(name.Length + 1)..];

    /// <summary>Makes a key of the <paramref name="owner"/> "user" or "system"; its text.</summary>
    public async Task<string> CreateKeyAsync(string token, string owner, string name = "key", DateTimeOffset? expires = null) =>
        (await CreateKeyDataAsync(token, owner, name, expires)).GetProperty("key").GetString()!;

    /// <summary>As <see cref="CreateKeyAsync"/>; everything the answer says.</summary>
    public async Task<JsonElement> CreateKeyDataAsync(string token, string owner, string name = "key", DateTimeOffset? expires = null)
    {
        using var answer = await SendAsync(HttpMethod.Post, $"/v1/{owner}/api_keys", token,
            JsonContent.Create(new { data = new { name, expires_at = expires?.ToString("O") } }));
        Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        return await DataAsync(answer);
    }

    /// <summary>The member <c>data</c> of a JSON answer.</summary>
    public static async Task<JsonElement> DataAsync(HttpResponseMessage answer) =>
        (await answer.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("data");
}
