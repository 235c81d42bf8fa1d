using System.Net;
using System.Net.Http.Json;
using MatsObservability.Tests.Support;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>Logging in and out, renewal, limits; programs and browsers.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B060")]
public sealed class SessionTests(SecuredServer server, PostgresFixture postgres)
    : IClassFixture<SecuredServer>, IClassFixture<PostgresFixture>
{
    private const string Access = "phoenix-access-token";
    private const string Refresh = "phoenix-refresh-token";

    [Fact]
    public async Task Login_RightPassword_SetsBothCookiesForThisSiteAlone()
    {
        using var answer = await LogInAsync(server.Phoenix);

        Assert.Equal(HttpStatusCode.NoContent, answer.StatusCode);
        var cookies = answer.Headers.GetValues("Set-Cookie").Order(StringComparer.Ordinal).ToList();
        Assert.Matches("^phoenix-access-token=[^;]+; max-age=600; path=/; samesite=strict; httponly$", cookies[0]);
        Assert.Matches("^phoenix-refresh-token=[^;]+; max-age=604800; path=/; samesite=strict; httponly$", cookies[1]);
    }

    [Theory]
    [InlineData("admin@localhost", "wrong")]
    [InlineData("nobody@localhost", "wrong")]
    [InlineData("system@localhost", "wrong")]
    public async Task Login_WrongPasswordOrUser_IsTheSame401(string email, string password)
    {
        using var answer = await LogInAsync(server.Phoenix, email, password);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("unknown address or wrong password", await answer.Content.ReadAsStringAsync());
        Assert.False(answer.Headers.Contains("Set-Cookie"));
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"email":"admin@localhost"}""")]
    [InlineData("no json")]
    public async Task Login_IncompleteBody_Is422(string body)
    {
        using var client = SecuredServer.NewClient(server.Phoenix);
        using var answer = await client.PostAsync("/auth/login", new StringContent(body, System.Text.Encoding.UTF8, "application/json"));

        Assert.Equal(HttpStatusCode.UnprocessableEntity, answer.StatusCode);
    }

    [Theory]
    [InlineData("application/json")]
    [InlineData("application/x-www-form-urlencoded")]
    public async Task Login_BodyThatIsTooLarge_Is413(string type)
    {
        using var client = SecuredServer.NewClient(server.Phoenix);
        using var answer = await client.PostAsync(
            "/auth/login", new StringContent(new string(type.Contains("json", StringComparison.Ordinal) ? ' ' : 'x', 20_000), System.Text.Encoding.UTF8, type));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
    }

    [Fact]
    public async Task Login_PageOfAnotherOrigin_Is401()
    {
        using var client = SecuredServer.NewClient(server.Phoenix);
        client.DefaultRequestHeaders.Add("Origin", "http://127.0.0.1:1");

        using var answer = await client.PostAsJsonAsync(
            "/auth/login", new { email = "admin@localhost", password = SecuredServer.AdminPassword });

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
    }

    [Fact]
    public async Task Refresh_Session_RotatesAndRevokesTheOldPair()
    {
        using var login = await LogInAsync(server.Phoenix);
        using var first = await RefreshAsync(server.Phoenix, login);
        using var again = await RefreshAsync(server.Phoenix, login);

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Unauthorized), (first.StatusCode, again.StatusCode));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server.Phoenix, login));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server.Phoenix, first));
    }

    [Fact]
    public async Task Refresh_ManyAtOnce_OnlyOneGetsANewPair()
    {
        using var login = await LogInAsync(server.Phoenix);

        var answers = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => RefreshAsync(server.Phoenix, login)));

        Assert.Equal(1, answers.Count(answer => answer.StatusCode == HttpStatusCode.NoContent));
    }

    [Fact]
    public async Task Logout_Session_IsRevokedAndCookiesAreTaken()
    {
        using var login = await LogInAsync(server.Phoenix);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server.Phoenix, login));
        using var client = WithCookies(server.Phoenix, login);

        using var answer = await client.GetAsync("/auth/logout");

        Assert.Equal((HttpStatusCode.Redirect, "/login"), (answer.StatusCode, answer.Headers.Location!.OriginalString));
        Assert.All(answer.Headers.GetValues("Set-Cookie"),
            cookie => Assert.Contains("=; expires=Thu, 01 Jan 1970", cookie, StringComparison.Ordinal));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server.Phoenix, login));
        using var refreshed = await RefreshAsync(server.Phoenix, login);
        Assert.Equal(HttpStatusCode.Unauthorized, refreshed.StatusCode);
    }

    [Theory]
    [InlineData("http://127.0.0.1:1", false)]
    [InlineData("null", false)]
    [InlineData("https://trusted.example", true)]
    [InlineData(null, true)]
    public async Task Cookie_FromAPageOfAnotherOrigin_ChangesNothing(string? origin, bool allowed)
    {
        await using var trusting = await PhoenixServer.StartAsync(
            postgres, [.. SecuredServer.Settings, ("PHOENIX_CSRF_TRUSTED_ORIGINS", "https://trusted.example")]);
        using var login = await LogInAsync(trusting);
        using var client = WithCookies(trusting, login);
        if (origin is not null)
        {
            client.DefaultRequestHeaders.Add("Origin", origin);
        }

        using var answer = await client.PostAsJsonAsync("/v1/projects", new { name = "made" });

        Assert.Equal(allowed ? HttpStatusCode.OK : HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync("/v1/projects")).StatusCode);
    }

    [Fact]
    public async Task Page_AccessTokenGone_IsRenewedByTheRefreshTokenOnTheWay()
    {
        using var login = await LogInAsync(server.Phoenix);
        using var client = SecuredServer.NewClient(server.Phoenix);
        client.DefaultRequestHeaders.Add("Cookie", $"{Refresh}={SecuredServer.Cookie(login, Refresh)}");

        using var page = await client.GetAsync("/projects?q=x");

        Assert.Equal((HttpStatusCode.Redirect, "/projects?q=x"), (page.StatusCode, page.Headers.Location!.OriginalString));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server.Phoenix, page));
        using var again = await client.GetAsync("/projects?q=x");
        Assert.Equal("/login?returnUrl=%2Fprojects%3Fq%3Dx", again.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task Page_SeveralAtOnceWithOneRefreshToken_KeepTheUserSignedIn()
    {
        using var login = await LogInAsync(server.Phoenix);
        using var client = SecuredServer.NewClient(server.Phoenix);
        client.DefaultRequestHeaders.Add("Cookie", $"{Refresh}={SecuredServer.Cookie(login, Refresh)}");

        var pages = await Task.WhenAll(Enumerable.Range(0, 6).Select(_ => client.GetAsync("/projects?q=x")));

        // Whichever answer the browser takes last, what it has at the end is the one new pair.
        var first = Assert.Single(pages, page => page.Headers.Contains("Set-Cookie"));
        var others = pages.Where(page => page != first).ToList();
        Assert.All(others, page => Assert.Equal("/login?returnUrl=%2Fprojects%3Fq%3Dx", page.Headers.Location!.OriginalString));
        using var browser = WithCookies(server.Phoenix, first);
        using var back = await browser.GetAsync(others[0].Headers.Location);
        Assert.Equal((HttpStatusCode.Redirect, "/projects?q=x"), (back.StatusCode, back.Headers.Location!.OriginalString));
        Assert.Equal(HttpStatusCode.OK, (await browser.GetAsync(back.Headers.Location)).StatusCode);

        // Without the new pair the way ends at the login.
        Assert.Equal(HttpStatusCode.OK, (await client.GetAsync(others[0].Headers.Location)).StatusCode);
    }

    [Theory]
    [InlineData("/projects?q=x", "/projects?q=x")]
    [InlineData("//evil.example/x", "/")]
    [InlineData("/\\evil.example", "/")]
    [InlineData("https://evil.example", "/")]
    [InlineData("", "/")]
    public async Task LoginForm_RightPassword_LeadsBackWithinThisServer(string returnUrl, string expected)
    {
        using var client = SecuredServer.NewClient(server.Phoenix);

        using var answer = await client.PostAsync("/auth/login", Form("admin@localhost", SecuredServer.AdminPassword, returnUrl));

        Assert.Equal((HttpStatusCode.SeeOther, expected), (answer.StatusCode, answer.Headers.Location!.OriginalString));
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(server.Phoenix, answer));
    }

    [Fact]
    public async Task LoginForm_WrongPassword_ShowsThePageAgain()
    {
        using var client = SecuredServer.NewClient(server.Phoenix);

        using var answer = await client.PostAsync("/auth/login", Form("mallory@localhost", "wrong", "/projects"));
        var page = await client.GetStringAsync(answer.Headers.Location);

        Assert.Equal(HttpStatusCode.SeeOther, answer.StatusCode);
        Assert.Contains("Unknown address or wrong password.", page, StringComparison.Ordinal);
        Assert.Contains("value=\"/projects\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Login_FiveWrongPasswords_LockTheAccountEvenForTheRightOne()
    {
        await using var guarded = await PhoenixServer.StartAsync(postgres, [.. SecuredServer.Settings, ("Phoenix:Auth:LockTime", "5m")]);
        foreach (var email in new[] { "admin@localhost", "nobody@localhost" })
        {
            for (var attempt = 0; attempt < 5; attempt++)
            {
                using var wrong = await LogInAsync(guarded, email, "wrong");
                Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
            }

            using var locked = await LogInAsync(guarded, email, SecuredServer.AdminPassword);
            Assert.Equal(HttpStatusCode.TooManyRequests, locked.StatusCode);
            Assert.InRange(locked.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 300);
        }
    }

    [Fact]
    public async Task Login_TwelveWrongPasswordsAtOnce_OnlyFiveAreLookedAt()
    {
        var answers = await Task.WhenAll(
            Enumerable.Range(0, 12).Select(guess => LogInAsync(server.Phoenix, "guessed@localhost", $"wrong{guess}")));

        Assert.Equal(5, answers.Count(answer => answer.StatusCode == HttpStatusCode.Unauthorized));
        Assert.Equal(7, answers.Count(answer => answer.StatusCode == HttpStatusCode.TooManyRequests));
    }

    [Fact]
    public async Task Login_MoreThanTheRate_Is429WithRetryAfter()
    {
        await using var limited = await PhoenixServer.StartAsync(
            postgres, [.. SecuredServer.Settings, ("Phoenix:Auth:RequestsPerMinute", "1")]);
        using var first = await LogInAsync(limited, "user1@localhost", "wrong");
        using var second = await LogInAsync(limited, "user2@localhost", "wrong");

        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode));
        Assert.InRange(second.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 60);
        using var form = SecuredServer.NewClient(limited);
        using var page = await form.PostAsync("/auth/login", Form("user@localhost", "wrong", ""));
        Assert.Equal("/login?problem=busy", page.Headers.Location!.OriginalString);
    }

    [Fact]
    public async Task Password_Changed_EndsTheSessionsAndOpensTheNext()
    {
        await SecuredServer.CreateUserAsync(server.Phoenix, "changer", "VIEWER");
        var email = SecuredServer.Email("changer");
        using var login = await LogInAsync(server.Phoenix, email, SecuredServer.Password);
        using var client = WithCookies(server.Phoenix, login);

        using var wrong = await client.PostAsJsonAsync("/auth/password", new { current_password = "wrong", new_password = "a-better-one" });
        using var weak = await client.PostAsJsonAsync(
            "/auth/password", new { current_password = SecuredServer.Password, new_password = "short" });
        using var changed = await client.PostAsJsonAsync(
            "/auth/password", new { current_password = SecuredServer.Password, new_password = "a-better-one" });

        Assert.Equal(
            (HttpStatusCode.Unauthorized, HttpStatusCode.UnprocessableEntity, HttpStatusCode.NoContent),
            (wrong.StatusCode, weak.StatusCode, changed.StatusCode));
        Assert.Equal(HttpStatusCode.Unauthorized, await StatusAsync(server.Phoenix, login));
        using var old = await LogInAsync(server.Phoenix, email, SecuredServer.Password);
        using var next = await LogInAsync(server.Phoenix, email, "a-better-one");
        Assert.Equal((HttpStatusCode.Unauthorized, HttpStatusCode.NoContent), (old.StatusCode, next.StatusCode));
    }

    [Fact]
    public async Task Password_WrongUntilTheLock_Is429EvenForTheRightOne()
    {
        using var client = await ClientOfAsync("locked");
        for (var attempt = 0; attempt < 5; attempt++)
        {
            using var wrong = await ChangeAsync(client, "wrong");
            Assert.Equal(HttpStatusCode.Unauthorized, wrong.StatusCode);
        }

        using var locked = await ChangeAsync(client, SecuredServer.Password);

        Assert.Equal(HttpStatusCode.TooManyRequests, locked.StatusCode);
        Assert.InRange(locked.Headers.RetryAfter!.Delta!.Value.TotalSeconds, 1, 300);
    }

    [Fact]
    public async Task Password_RightAfterWrongOnes_ForgetsThem()
    {
        using var client = await ClientOfAsync("forgetful");
        for (var attempt = 0; attempt < 4; attempt++)
        {
            using var wrong = await ChangeAsync(client, "wrong");
        }

        using var changed = await ChangeAsync(client, SecuredServer.Password);
        using var mistyped = await LogInAsync(server.Phoenix, SecuredServer.Email("forgetful"), "wrong");
        using var next = await LogInAsync(server.Phoenix, SecuredServer.Email("forgetful"), "a-better-one");

        Assert.Equal((HttpStatusCode.NoContent, HttpStatusCode.Unauthorized, HttpStatusCode.NoContent),
            (changed.StatusCode, mistyped.StatusCode, next.StatusCode));
    }

    [Theory]
    [InlineData("192.0.2.7", "192.0.2.7")]
    [InlineData("::ffff:192.0.2.7", "192.0.2.7")]
    [InlineData("2001:db8:1:2::7", "20010DB800010002")]
    [InlineData("2001:db8:1:2:3:4:5:6", "20010DB800010002")]
    [InlineData("2001:db8:1:3::7", "20010DB800010003")]
    public void Network_Address_IsWhatItsOwnerCannotChoose(string address, string expected) =>
        Assert.Equal(expected, global::Phoenix.Service.Security.SecurityServices.Network(IPAddress.Parse(address)));

    [Fact]
    public async Task Database_HoldsNoPasswordAndNoToken()
    {
        var key = await server.CreateKeyAsync(SecuredServer.AdminSecret, "system", "named");
        var rows = await server.Phoenix.ScalarAsync<string>(
            "SELECT (SELECT string_agg(u::text, ' ') FROM users u) || (SELECT string_agg(t::text, ' ') FROM auth_tokens t)");

        Assert.DoesNotContain(SecuredServer.AdminPassword, rows, StringComparison.Ordinal);
        Assert.DoesNotContain(key.Split('.')[2], rows, StringComparison.Ordinal);
        Assert.Contains("pbkdf2-sha256$600000$", rows, StringComparison.Ordinal);
    }

    private static async Task<HttpResponseMessage> LogInAsync(
        PhoenixServer phoenix, string email = "admin@localhost", string password = SecuredServer.AdminPassword)
    {
        using var client = SecuredServer.NewClient(phoenix);
        return await client.PostAsJsonAsync("/auth/login", new { email, password });
    }

    private async Task<HttpClient> ClientOfAsync(string name)
    {
        await SecuredServer.CreateUserAsync(server.Phoenix, name, "VIEWER");
        using var login = await LogInAsync(server.Phoenix, SecuredServer.Email(name), SecuredServer.Password);
        return WithCookies(server.Phoenix, login);
    }

    private static Task<HttpResponseMessage> ChangeAsync(HttpClient client, string current) =>
        client.PostAsJsonAsync("/auth/password", new { current_password = current, new_password = "a-better-one" });

    private static async Task<HttpResponseMessage> RefreshAsync(PhoenixServer phoenix, HttpResponseMessage session)
    {
        using var client = WithCookies(phoenix, session);
        return await client.PostAsync("/auth/refresh", content: null);
    }

    private static async Task<HttpStatusCode> StatusAsync(PhoenixServer phoenix, HttpResponseMessage session)
    {
        using var client = WithCookies(phoenix, session);
        return (await client.GetAsync("/v1/user")).StatusCode;
    }

    private static HttpClient WithCookies(PhoenixServer phoenix, HttpResponseMessage session)
    {
        var client = SecuredServer.NewClient(phoenix);
        client.DefaultRequestHeaders.Add(
            "Cookie", $"{Access}={SecuredServer.Cookie(session, Access)}; {Refresh}={SecuredServer.Cookie(session, Refresh)}");
        return client;
    }

    private static FormUrlEncodedContent Form(string email, string password, string returnUrl) =>
        new(new Dictionary<string, string> { ["email"] = email, ["password"] = password, ["returnUrl"] = returnUrl });
}
