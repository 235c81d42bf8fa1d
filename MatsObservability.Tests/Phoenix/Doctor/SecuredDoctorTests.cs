using MatsObservability.Tests.Support;
using Phoenix.Service.Doctor;

namespace MatsObservability.Tests.Phoenix.Doctor;

/// <summary><c>doctor</c> against a service that asks for credentials.</summary>
[Trait("Req", "M15")]
public sealed class SecuredDoctorTests(SecuredServer server) : IClassFixture<SecuredServer>
{
    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Doctor_ServiceWithAuthentication_NeedsTheKeyAndPrintsNoSecret(bool withKey)
    {
        (string Key, string Value)[] settings =
        [
            ("PHOENIX_PORT", $"{new Uri(server.Phoenix.HttpUrl).Port}"), ("PHOENIX_GRPC_PORT", $"{new Uri(server.Phoenix.GrpcUrl).Port}"),
            ("PHOENIX_OTLP_HTTP_PORT", $"{new Uri(server.Phoenix.OtlpHttpUrl).Port}"),
            ("PHOENIX_METRICS_PORT", $"{new Uri(server.Phoenix.MetricsUrl).Port}"),
            .. SecuredServer.Settings, .. withKey ? [("PHOENIX_API_KEY", server.Keys["ADMIN"])] : Array.Empty<(string, string)>(),
        ];
        using var output = new StringWriter();

        var exit = await DoctorCommand.RunAsync(
            [.. settings.Select(setting => $"--{setting.Key}={setting.Value}")], output, CancellationToken.None);

        var text = output.ToString();
        Assert.True(exit == (withKey ? 0 : 1), text);
        Assert.Equal(!withKey, text.Contains("[export_refused]", StringComparison.Ordinal));
        Assert.Equal(withKey ? 0 : 3, text.Split("FAIL ports        [unauthorized]").Length - 1);
        Assert.Equal(withKey ? 0 : 4, text.Split("set PHOENIX_API_KEY").Length - 1);
        Assert.All(
            [SecuredServer.Secret, SecuredServer.AdminSecret, SecuredServer.AdminPassword, server.Keys["ADMIN"]],
            secret => Assert.DoesNotContain(secret, text));
    }
}
