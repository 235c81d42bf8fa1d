using MatsObservability.Tests.Support;
using Microsoft.Extensions.Options;

namespace MatsObservability.Tests.Phoenix.Security;

[Trait("Req", "B028")]
public sealed class AuthOptionsTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Good = SecuredServer.Secret;

    [Theory]
    [InlineData("", "", "", "must be set: authentication is on")]
    [InlineData("tooshort1", "", "", "must have at least 32 characters")]
    [InlineData("only-letters-though-there-are-many-of-them", "", "", "among them a digit")]
    [InlineData(Good, Good, "", "differ from")]
    [InlineData(Good, "tooshort1", "", "PHOENIX_ADMIN_SECRET")]
    [InlineData(Good, "", "short", "PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD")]
    public void Build_WrongSecrets_AreToldByTheirKeysAlone(string secret, string adminSecret, string password, string expected)
    {
        var fault = Assert.Single(
            Faults(("PHOENIX_ENABLE_AUTH", "true"), ("PHOENIX_SECRET", secret), ("PHOENIX_ADMIN_SECRET", adminSecret),
                ("PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD", password)));

        Assert.Contains(expected, fault, StringComparison.Ordinal);
        Assert.All(new[] { secret, adminSecret, password }.Where(text => text.Length > 0),
            text => Assert.DoesNotContain(text, fault, StringComparison.Ordinal));
    }

    [Fact]
    public void Build_EverythingWrong_IsToldAtOnce()
    {
        var faults = Faults(
            ("PHOENIX_AUTH_ENABLED", "1"), ("PHOENIX_JWT_SECRET_FILE", "/nowhere"), ("PHOENIX_ACCESS_TOKEN_EXPIRY_MINUTES", "0"),
            ("PHOENIX_COOKIES_PATH", "x"),
            ("PHOENIX_CSRF_TRUSTED_ORIGINS", "here"), ("PHOENIX_TLS_ENABLED", "true"));

        Assert.All(
            ["PHOENIX_JWT_SECRET_FILE", "PHOENIX_ACCESS_TOKEN_EXPIRY_MINUTES", "PHOENIX_COOKIES_PATH", "PHOENIX_CSRF_TRUSTED_ORIGINS",
                "PHOENIX_SSL_CERT_PATH", "PHOENIX_SSL_KEY_PATH"],
            name => Assert.Single(faults, fault => fault.Contains(name, StringComparison.Ordinal)));
        Assert.Equal(6, faults.Count);
    }

    [Fact]
    public async Task Start_SecretFromAFile_SignsTheSameTokens()
    {
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(folder.File("secret"), Good + "\n");
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_AUTH_ENABLED", "true"), ("PHOENIX_JWT_SECRET_FILE", folder.File("secret")),
            ("PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD", SecuredServer.AdminPassword));

        var token = await SecuredServer.LogInAsync(server, "admin@localhost", SecuredServer.AdminPassword);

        Assert.Equal(global::Phoenix.Service.Security.Refusal.None,
            new global::Phoenix.Service.Security.TokenFormat(Good).Read(token, out _, out _));
    }

    private static List<string> Faults(params (string Key, string Value)[] settings) =>
        [.. Assert.Throws<OptionsValidationException>(() => global::Phoenix.Service.Program.Build(
            ["--ConnectionStrings:phoenixdb=Host=localhost", .. settings.Select(setting => $"--{setting.Key}={setting.Value}")])).Failures];
}
