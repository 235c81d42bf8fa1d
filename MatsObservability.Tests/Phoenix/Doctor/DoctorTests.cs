using System.Diagnostics;
using System.Net.Http.Json;
using System.Text.Json;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Tests.Orchestrator;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Http;
using Npgsql;
using Phoenix.Service.Doctor;

namespace MatsObservability.Tests.Phoenix.Doctor;

/// <summary><c>doctor</c> against a real service: what is well is said, and each injected fault has its name.</summary>
[Trait("Req", "M15")]
public sealed class DoctorTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string Secret = "s3cret-Pa55word";

    [Fact, Trait("Req", "B112")]
    public async Task Doctor_HealthySystem_ReadsItsSpanBackAndFindsNothing()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);

        var (exit, lines) = await ExamineAsync(server, [("PHOENIX_API_KEY", Secret)]);

        Assert.True(exit == 0, string.Join('\n', lines));
        Assert.Equal(
            ["ui", "exporter", "read_back", "ports", "ports", "ports", "ports", "database", "pipeline",
                "session", "projects", "traceparent"],
            lines.Where(line => line.StartsWith("ok ", StringComparison.Ordinal) || line.StartsWith("skip", StringComparison.Ordinal))
                .Select(line => line[5..].Split(' ')[0]));
        Assert.Equal("Nothing is wrong.", lines[^1]);
        Assert.Contains("set  PHOENIX_API_KEY = ***", lines);
        Assert.DoesNotContain(Secret, string.Join('\n', lines));

        using var export = await server.Client.GetAsync($"/v1/projects/{DoctorSpan.Project}/export?signals=spans");
        var span = (await export.Content.ReadAsStringAsync()).Split('\n')
            .Select(line => line.Length > 0 ? JsonElement.Parse(line) : default)
            .First(line => line.ValueKind == JsonValueKind.Object && line.TryGetProperty("span", out _)).GetProperty("span");
        Assert.Equal("adk-troubleshoot-test", span.GetProperty("name").GetString());
        Assert.NotEmpty(span.GetProperty("attributes").GetProperty("test.run_id").GetString()!);
        Assert.Equal("ok", span.GetProperty("attributes").GetProperty("status").GetString());
        Assert.Equal("performing_troubleshooting_event", span.GetProperty("events")[0].GetProperty("name").GetString());
        Assert.InRange(span.GetProperty("end_ns").GetInt64() - span.GetProperty("start_ns").GetInt64(), 400_000_000, 300_000_000_000);
    }

    [Theory]
    [InlineData("yes", "https")]
    [InlineData("off", "http")]
    public void Read_TlsAsTheServiceUnderstandsIt_IsTheSchemeOfTheAddress(string tls, string scheme)
    {
        var (target, _, faults) = DoctorTarget.Read([$"--PHOENIX_TLS_ENABLED={tls}", "--PHOENIX_PORT=6106"]);

        Assert.Empty(faults);
        Assert.Equal($"{scheme}://127.0.0.1:6106/", target.Http.ToString());
    }

    [Fact]
    public async Task Read_FileOfTheEnvironment_CountsAsForTheService()
    {
        var environment = $"doctor-{Guid.NewGuid():N}";
        var file = Path.Combine(AppContext.BaseDirectory, $"appsettings.{environment}.json");
        await File.WriteAllTextAsync(file, """{"Phoenix":{"Server":{"Port":6106,"GrpcPort":4417}}}""");
        try
        {
            var (target, _, faults) = DoctorTarget.Read([$"--environment={environment}", "--PHOENIX_GRPC_PORT=4517"]);

            Assert.Empty(faults);
            Assert.Equal((6106, 4517), (target.Http.Port, target.Grpc.Port));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Fact]
    public void Read_Host_IsTheOneOfEveryDoor()
    {
        var (target, _, _) = DoctorTarget.Read(["--PHOENIX_HOST=127.0.0.2"]);

        Assert.All([target.Http, target.Grpc, target.Otlp, target.Metrics], door => Assert.Equal("127.0.0.2", door.Host));
    }

    [Theory, Trait("Req", "B110")]
    [InlineData("nothing at the port", "FAIL ui", "nothing_listening")]
    [InlineData("another program at the port", "FAIL ui", "not_phoenix")]
    [InlineData("nothing at the gRPC port", "FAIL ports", "port_closed")]
    [InlineData("another program at the gRPC port", "FAIL ports", "port_")]
    [InlineData("another program at the metrics port", "FAIL ports", "port_wrong")]
    [InlineData("database down", "FAIL database", "database_unreachable")]
    [InlineData("no such database", "FAIL database", "database_missing")]
    [InlineData("database without schema", "FAIL database", "migrations_missing")]
    [InlineData("schema of a newer release", "FAIL database", "schema_too_new")]
    [InlineData("agents in two projects", "FAIL projects", "agents_split")]
    [InlineData("a port that is none", "FAIL settings", "configuration")]
    [InlineData("a variable of another program", "warn settings", "unknown_variable")]
    public async Task Doctor_InjectedFault_IsNamedAndNothingSecretIsPrinted(string fault, string check, string code)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var other = await HttpStub.StartAsync(context =>
        {
            context.Response.StatusCode = 404;
            return context.Response.WriteAsync("Hello");
        });
        var otherPort = $"{new Uri(other.Url).Port}";

        var (exit, lines) = await ExamineAsync(server, fault switch
        {
            "nothing at the port" => [("PHOENIX_PORT", $"{FreePort.Next()}")],
            "another program at the port" => [("PHOENIX_PORT", otherPort)],
            "nothing at the gRPC port" => [("PHOENIX_GRPC_PORT", $"{FreePort.Next()}")],
            "another program at the gRPC port" => [("PHOENIX_GRPC_PORT", otherPort)],
            "another program at the metrics port" => [("PHOENIX_METRICS_PORT", otherPort)],
            "database down" => [("ConnectionStrings:phoenixdb", ""),
                ("PHOENIX_SQL_DATABASE_URL", $"postgresql://phoenix:{Secret}@127.0.0.1:{FreePort.Next()}/phoenixdb")],
            "no such database" => [("ConnectionStrings:phoenixdb",
                new NpgsqlConnectionStringBuilder(server.ConnectionString) { Database = "doctor_no_such" }.ConnectionString)],
            "database without schema" => [("ConnectionStrings:phoenixdb", await postgres.CreateDatabaseAsync())],
            "schema of a newer release" => await NewerAsync(server),
            "agents in two projects" => await SplitAsync(server),
            "a port that is none" => [("PHOENIX_PORT", "http")],
            _ => [("PHOENIX_SPANISH_QUEUE", "1")],
        });

        Assert.Equal(check.StartsWith("FAIL", StringComparison.Ordinal) ? 1 : 0, exit);
        Assert.True(
            lines.Exists(line => line.StartsWith(check, StringComparison.Ordinal) && line.Contains($"[{code}", StringComparison.Ordinal)),
            string.Join('\n', lines));
        Assert.Equal(exit, lines.Count(line => line.StartsWith("FAIL", StringComparison.Ordinal)));
        Assert.DoesNotContain(Secret, string.Join('\n', lines));
        Assert.All(lines, line => Assert.DoesNotContain('\u001b', line));
    }

    [Fact]
    public async Task Doctor_ServiceWithoutItsDatabase_SaysThatItIsNotReady()
    {
        await using var server =
            await PhoenixServer.StartUnreadyAsync($"Host=127.0.0.1;Port={FreePort.Next()};Username=phoenix;Password={Secret};Database=phoenixdb");

        var (exit, lines) = await ExamineAsync(server, [("ConnectionStrings:phoenixdb", "")]);

        Assert.Equal(1, exit);
        Assert.Contains(lines,
            line => line.StartsWith("FAIL pipeline", StringComparison.Ordinal) && line.Contains("[not_ready]", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("FAIL exporter", StringComparison.Ordinal));
        Assert.Contains(lines, line => line.StartsWith("skip database", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(2, "status 503")]
    [InlineData(60, "no answer within 10 s")]
    public async Task Doctor_ExportAnsweredLateOrNever_IsNotTakenForStored(int seconds, string said)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var slow = await HttpStub.StartAsync(async context =>
        {
            context.Response.Headers["x-mats-observability-version"] = "0";
            if (context.Request.ContentType == "application/x-protobuf")
            {
                await Task.Delay(TimeSpan.FromSeconds(seconds), context.RequestAborted);
                context.Response.StatusCode = 503;
            }
        });

        var (exit, lines) = await ExamineAsync(server, [("PHOENIX_PORT", $"{new Uri(slow.Url).Port}")]);

        Assert.Equal(1, exit);
        Assert.Contains(lines, line => line.StartsWith("FAIL exporter", StringComparison.Ordinal) && line.EndsWith(said, StringComparison.Ordinal));
        Assert.DoesNotContain(lines, line => line.Contains("read_back", StringComparison.Ordinal));
    }

    [Fact]
    public async Task DoctorProcess_WithNothingListening_EndsWithExitCodeOne()
    {
        var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
        var assembly = Path.GetFullPath(
            Path.Combine(AppContext.BaseDirectory, "..", "..", "Phoenix.Service", configuration, "Phoenix.Service.dll"));
        var (exitCode, output, _) = await EndingProcess.RunAsync(new ProcessStartInfo("dotnet", [assembly, "doctor"])
        {
            Environment = { ["PHOENIX_PORT"] = $"{FreePort.Next()}",
                ["PHOENIX_SQL_DATABASE_URL"] = $"postgresql://u:{Secret}@127.0.0.1:{FreePort.Next()}/db" },
        });

        Assert.Equal(1, exitCode);
        Assert.Contains("FAIL ui           [nothing_listening]", output);
        Assert.Contains("FAIL database     [database_unreachable]", output);
        Assert.Contains("2 checks failed.", output);
        Assert.Contains("PHOENIX_SQL_DATABASE_URL = postgresql://u:***@127.0.0.1:", output);
        Assert.DoesNotContain(Secret, output);
    }

    private static async Task<(int Exit, List<string> Lines)> ExamineAsync(PhoenixServer server, (string Key, string Value)[] settings)
    {
        var all = new Dictionary<string, string>
        {
            ["PHOENIX_PORT"] = $"{new Uri(server.HttpUrl).Port}", ["PHOENIX_GRPC_PORT"] = $"{new Uri(server.GrpcUrl).Port}",
            ["PHOENIX_OTLP_HTTP_PORT"] = $"{new Uri(server.OtlpHttpUrl).Port}",
            ["PHOENIX_METRICS_PORT"] = $"{new Uri(server.MetricsUrl).Port}",
            ["ConnectionStrings:phoenixdb"] = server.ConnectionString,
        };
        foreach (var (key, value) in settings)
        {
            all[key] = value;
        }

        // The first page a service shows may take longer than the doctor allows.
        using var first = await server.Client.GetAsync("/");
        using var output = new StringWriter();
        var exit = await DoctorCommand.RunAsync(
            [.. all.Where(pair => pair.Value.Length > 0).Select(pair => $"--{pair.Key}={pair.Value}")], output, CancellationToken.None);
        return (exit, [.. output.ToString().Split('\n', StringSplitOptions.RemoveEmptyEntries)]);
    }

    private static async Task<(string, string)[]> NewerAsync(PhoenixServer server)
    {
        await server.ScalarAsync<int>("INSERT INTO schema_versions (version, name) VALUES (9999, 'later') RETURNING version");
        return [];
    }

    private static async Task<(string, string)[]> SplitAsync(PhoenixServer server)
    {
        var now = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds() * 1_000_000;
        foreach (var project in new[] { "finoptiagents-MATS", "finoptiagents-sre" })
        {
            using var answer = await server.Client.PostAsJsonAsync("/v1/traces", new
            {
                resourceSpans = new[]
                {
                    new
                    {
                        resource = new { attributes = new[] { new { key = "openinference.project.name",
                            value = new { stringValue = project } } } },
                        scopeSpans = new[]
                        {
                            new
                            {
                                spans = new[]
                                {
                                    new { traceId = Guid.NewGuid().ToString("N"), spanId = Guid.NewGuid().ToString("N")[..16],
                                        name = "sre_log_analysis", startTimeUnixNano = $"{now}", endTimeUnixNano = $"{now + 1}" },
                                },
                            },
                        },
                    },
                },
            });
            Assert.True(answer.IsSuccessStatusCode, await answer.Content.ReadAsStringAsync());
        }

        return [];
    }
}
