using System.Diagnostics;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using MatsObservability.ServiceDefaults;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;
using Orchestrator.Agent;

namespace MatsObservability.Tests.Orchestrator;

/// <summary>The orchestrator, and the demo, in front of a Phoenix.Service with TLS and authentication.</summary>
[Trait("Req", "B028")]
[Collection(ExportingOrchestrators.Name)]
[Trait("Req", "B064")]
public sealed class SecuredPhoenixTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Investigation_TlsAndKey_ReadsAndTracesItself()
    {
        using var certificates = new TestCertificates();
        await using var phoenix = await StartPhoenixAsync(certificates);
        var key = await MakeKeyAsync(certificates, phoenix);
        await using var orchestrator = await OrchestratorServer.StartAsync(
            phoenix.ConnectionString, phoenix.HttpUrl,
            [
                ("PHOENIX_API_KEY", key), ("Mats:PhoenixCaFile", certificates.RootFile), ("Telemetry:Export", "true"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", phoenix.GrpcUrl),
                ("Mats:OwnProject", "mats-secured"),
            ]);

        var job = await orchestrator.EndAsync(
            await orchestrator.TroubleshootAsync(new { user_request = "Anything wrong?", project = "shop" }));

        Assert.DoesNotMatch(@"\b401\b", job.ToString());
        Assert.Contains(job.GetProperty("status").GetString(), (string[])["COMPLETED", "PARTIAL"]);
        Assert.Contains("shop", await orchestrator.Services.GetRequiredService<PhoenixClient>().ProjectsAsync(CancellationToken.None));
        await Eventually.TrueAsync(() => phoenix.ScalarAsync<bool>(
            "SELECT EXISTS (SELECT FROM spans JOIN projects p ON p.id = project_id WHERE p.name = 'mats-secured' AND parent_id IS NULL)"));
    }

    [Fact]
    public async Task Projects_WrongKey_IsToldAsARefusal()
    {
        using var certificates = new TestCertificates();
        await using var phoenix = await StartPhoenixAsync(certificates);
        await using var orchestrator = await OrchestratorServer.StartAsync(
            phoenix.ConnectionString, phoenix.HttpUrl, [("PHOENIX_API_KEY", "wrong-key"), ("Mats:PhoenixCaFile", certificates.RootFile)]);

        var refused = await Assert.ThrowsAsync<PhoenixUnavailableException>(
            () => orchestrator.Services.GetRequiredService<PhoenixClient>().ProjectsAsync(CancellationToken.None));

        Assert.True(refused.Denied);
        Assert.DoesNotContain("wrong-key", refused.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Projects_ForeignAuthority_IsNotTrusted()
    {
        using var certificates = new TestCertificates();
        using var others = new TestCertificates();
        await using var phoenix = await StartPhoenixAsync(certificates);
        await using var orchestrator = await OrchestratorServer.StartAsync(
            phoenix.ConnectionString, phoenix.HttpUrl, [("PHOENIX_API_KEY", SecuredServer.AdminSecret),
                ("Mats:PhoenixCaFile", others.RootFile), ("Mats:PhoenixPatience", "00:00:00")]);

        var refused = await Assert.ThrowsAsync<PhoenixUnavailableException>(
            () => orchestrator.Services.GetRequiredService<PhoenixClient>().ProjectsAsync(CancellationToken.None));

        Assert.False(refused.Denied);
    }

    [Theory]
    [InlineData("http://127.0.0.1:4317", null, "x-tenant=a%20b,authorization=Bearer%20k1")]
    [InlineData("http://127.0.0.1:4317", "mine=1", "mine=1")]
    [InlineData("http://collector.example:4317", null, null)]
    public void CompleteExport_Endpoint_GetsTheKeyOnlyOfItsOwnHost(string endpoint, string? given, string? expected)
    {
        var configuration = new Microsoft.Extensions.Configuration.ConfigurationManager
        {
            ["PHOENIX_API_KEY"] = "k1", ["PHOENIX_CLIENT_HEADERS"] = "x-tenant=a%20b", ["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint,
            ["OTEL_EXPORTER_OTLP_HEADERS"] = given,
        };

        new PhoenixAccess(configuration).CompleteExport(configuration);

        Assert.Equal(expected, configuration["OTEL_EXPORTER_OTLP_HEADERS"]);
    }

    [Fact]
    public async Task Start_CaFileMissing_NamesTheKey()
    {
        var fault = await Assert.ThrowsAsync<OptionsValidationException>(
            () => OrchestratorServer.StartAsync("Host=localhost", "https://127.0.0.1:1", [("Mats:PhoenixCaFile", "/nowhere/ca.pem")]));

        Assert.Contains("Mats:PhoenixCaFile must name an existing file", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Demo_WithoutAKey_EndsWithOneLineThatNamesTheSetting()
    {
        await using var phoenix = await PhoenixServer.StartAsync(postgres, SecuredServer.Settings);
        await using var orchestrator = await HttpStub.StartAsync(_ => Task.CompletedTask);

        var (exitCode, error) = await DemoAsync(phoenix, orchestrator, key: null, token: null);

        Assert.Equal(ExitCodes.Settings, exitCode);
        Assert.StartsWith($"demo: {phoenix.HttpUrl}/v1/", error, StringComparison.Ordinal);
        Assert.Contains("set PHOENIX_API_KEY", error, StringComparison.Ordinal);
        Assert.Single(error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Fact]
    public async Task Demo_WithKeyAndToken_ShowsEachToItsOwnService()
    {
        await using var phoenix = await PhoenixServer.StartAsync(postgres, SecuredServer.Settings);
        string? shown = null;
        await using var orchestrator = await HttpStub.StartAsync(context =>
        {
            if (context.Request.Path == "/troubleshoot")
            {
                shown = context.Request.Headers.Authorization;
                context.Response.StatusCode = 401;
            }

            return Task.CompletedTask;
        });

        var (exitCode, error) = await DemoAsync(phoenix, orchestrator, SecuredServer.AdminSecret, "token-of-the-demo");

        // Phoenix.Service has taken everything, since the orchestrator was asked.
        Assert.Equal(ExitCodes.Settings, exitCode);
        Assert.Equal("Bearer token-of-the-demo", shown);
        Assert.Contains($"{orchestrator.Url}/troubleshoot: 401", error, StringComparison.Ordinal);
        Assert.DoesNotContain(SecuredServer.AdminSecret, error, StringComparison.Ordinal);
    }

    private static async Task<(int ExitCode, string Error)> DemoAsync(
        PhoenixServer phoenix, HttpStub orchestrator, string? key, string? token)
    {
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var assembly = Path.GetFullPath(Path.Combine(
            AppContext.BaseDirectory, "..", "..", "MatsObservability.Benchmarks", configuration, "MatsObservability.Benchmarks.dll"));
        var (exitCode, _, error) = await EndingProcess.RunAsync(
            new ProcessStartInfo("dotnet", [assembly, "demo", "--phoenix", phoenix.HttpUrl, "--orchestrator", orchestrator.Url])
            {
                Environment = { ["PHOENIX_API_KEY"] = key, ["Mats__Tokens__0__Token"] = token },
            });
        return (exitCode, error);
    }

    private Task<PhoenixServer> StartPhoenixAsync(TestCertificates certificates)
    {
        var (cert, key) = certificates.WriteFiles(certificates.Issue("phoenix"));
        return PhoenixServer.StartAsync(
            postgres, [.. SecuredServer.Settings, ("PHOENIX_TLS_ENABLED", "true"), ("PHOENIX_TLS_CERT_FILE", cert),
                ("PHOENIX_TLS_KEY_FILE", key)]);
    }

    private static async Task<string> MakeKeyAsync(TestCertificates certificates, PhoenixServer phoenix)
    {
        using var client = certificates.Client(phoenix.HttpUrl);
        client.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", SecuredServer.AdminSecret);
        using var made = await client.PostAsJsonAsync("/v1/system/api_keys", new { data = new { name = "orchestrator" } });
        var trace = new AgentTrace("shop", "assistant", Otlp.NowNanos);
        trace.Add("handle_question", "CHAIN", null, 0, 20);
        await trace.PostAsync(client);
        return (await SecuredServer.DataAsync(made)).GetProperty("key").GetString()!;
    }
}
