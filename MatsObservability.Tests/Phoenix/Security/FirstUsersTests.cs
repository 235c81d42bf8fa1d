using System.Diagnostics;
using System.Net;
using MatsObservability.ServiceDefaults;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>The first start with authentication: somebody can log in, or the service is never ready.</summary>
[Trait("Req", "B028")]
public sealed class FirstUsersTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private static readonly (string Key, string Value)[] s_authentication =
        [("PHOENIX_ENABLE_AUTH", "true"), ("PHOENIX_SECRET", SecuredServer.Secret)];

    [Fact]
    public async Task Start_NobodyCouldLogIn_EndsNamingTheSettings()
    {
        string[] ports = ["PHOENIX_PORT", "PHOENIX_GRPC_PORT", "PHOENIX_OTLP_HTTP_PORT", "PHOENIX_METRICS_PORT"];
        var (exitCode, _, error) = await EndingProcess.RunAsync(new ProcessStartInfo("dotnet",
        [
            Path.Combine(AppContext.BaseDirectory, "Phoenix.Service.dll"), .. ports.Select(port => $"--{port}=0"),
            $"--ConnectionStrings:phoenixdb={await postgres.CreateDatabaseAsync()}",
            .. s_authentication.Select(setting => $"--{setting.Key}={setting.Value}"),
        ]));

        Assert.Equal(ExitCodes.Settings, exitCode);
        var line = Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
        Assert.StartsWith("fatal: authentication is on and nobody can log in yet: set ", line, StringComparison.Ordinal);
        Assert.Contains("PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD", line, StringComparison.Ordinal);
        Assert.Contains("PHOENIX_ADMIN_SECRET", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Ready_FirstUserNotMadeYet_IsLaterThanTheSchema()
    {
        var database = await postgres.CreateDatabaseAsync();
        await using (await PhoenixServer.StartAsync(database))
        {
        }

        await using var holder = new NpgsqlConnection(database);
        await holder.OpenAsync();
        await using var hold = new NpgsqlCommand("BEGIN; LOCK TABLE phoenix.users IN ACCESS EXCLUSIVE MODE", holder);
        await hold.ExecuteNonQueryAsync();
        await using var server = await PhoenixServer.StartAsync(
            database, [.. s_authentication, ("PHOENIX_DEFAULT_ADMIN_INITIAL_PASSWORD", SecuredServer.AdminPassword)]);

        using var before = await server.Client.GetAsync("/readyz");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, before.StatusCode);
        Assert.Equal("nobody can log in yet", await before.Content.ReadAsStringAsync());

        await holder.CloseAsync();
        await Eventually.TrueAsync(async () =>
        {
            using var after = await server.Client.GetAsync("/readyz");
            return after.StatusCode == HttpStatusCode.OK;
        });
        await SecuredServer.LogInAsync(server, "admin@localhost", SecuredServer.AdminPassword);
    }
}
