using System.Net;
using System.Text;
using Google.Protobuf;
using MatsObservability.Hosting.Run.Postgres;
using MatsObservability.Tests.Conformance;
using MatsObservability.Tests.Support;
using Npgsql;

namespace MatsObservability.Tests.Phoenix.Ingest;

/// <summary>
/// A disk without room: by a real file system that is full, and, where none can be mounted, by the server's own error 53100. The answer is
/// 503 and not 507, because OTLP senders repeat 503 and give 507 up (docs/otlp-conformance.md).
/// </summary>
[Trait("Req", "B003")]
[Trait("Req", "M23")]
public sealed class DiskFullTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string GrpcTraces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    private const string Inject = """
        CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = 'disk_full'; END $$;
        CREATE TRIGGER full_disk BEFORE INSERT ON spans FOR EACH ROW EXECUTE FUNCTION disk_full();
        CREATE TRIGGER full_disk BEFORE INSERT ON logs FOR EACH ROW EXECUTE FUNCTION disk_full();
        CREATE TRIGGER full_disk BEFORE INSERT ON metric_points FOR EACH ROW EXECUTE FUNCTION disk_full();
        CREATE TRIGGER full_disk BEFORE INSERT ON projects FOR EACH ROW EXECUTE FUNCTION disk_full();
        SELECT 1
        """;

    [Fact]
    public async Task Export_DatabaseSaysDiskFull_EverySignalAndTransportIsRefusedRetryableUntilItIsNot()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var grpc = new HttpClient { BaseAddress = new Uri(server.GrpcUrl) };
        IMessage[] requests = [Otlp.Spans(3), Otlp.Log("kept"), Otlp.Gauge("kept", 1, Otlp.NowNanos),
            Otlp.Spans(2, "a project to be made")];
        var byGrpc = Otlp.Spans(4).ToByteArray();
        using (var before = await server.Client.PostAsync(Otlp.Spans(1)))
        {
            Assert.Equal(HttpStatusCode.OK, before.StatusCode);
        }

        await server.ScalarAsync<int>(Inject);
        foreach (var request in requests)
        {
            using var refused = await server.Client.PostAsync(request);
            Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
            Assert.Equal(TimeSpan.FromSeconds(5), refused.Headers.RetryAfter!.Delta);
            Assert.Contains("no space left on its disk",
                Encoding.UTF8.GetString(await refused.Content.ReadAsByteArrayAsync()), StringComparison.Ordinal);
        }

        var answer = await OtlpGrpcTests.GrpcCalls.CallAsync(grpc, GrpcTraces, byGrpc);
        Assert.Equal("14", answer.Status);
        Assert.Contains("google.rpc.RetryInfo", Encoding.UTF8.GetString(answer.Details!), StringComparison.Ordinal);
        Assert.Contains("no space left on its disk", answer.Text, StringComparison.Ordinal);
        Assert.StartsWith("Degraded: the database has no space left",
            await server.Client.GetStringAsync("/health"), StringComparison.Ordinal);
        Assert.Contains("\"degraded\":", await server.Client.GetStringAsync("/readyz"), StringComparison.Ordinal);

        await server.ScalarAsync<int>("DROP FUNCTION disk_full() CASCADE; SELECT 1");
        foreach (var request in requests)
        {
            await AcceptedAsync(server.Client, request);
        }

        Assert.Equal("0", (await OtlpGrpcTests.GrpcCalls.CallAsync(grpc, GrpcTraces, byGrpc)).Status);
        Assert.Equal((10L, 1L, 1L), (
            await server.ScalarAsync<long>("SELECT count(*) FROM spans"), await server.ScalarAsync<long>("SELECT count(*) FROM logs"),
            await server.ScalarAsync<long>("SELECT count(*) FROM metric_points")));
        Assert.Equal("Healthy", await server.Client.GetStringAsync("/health"));
        Assert.Equal("{}", await server.Client.GetStringAsync("/readyz"));
    }

    [SmallDiskFact]
    public async Task Export_FileSystemFull_LosesAndDoublesNothingAndGoesOnWhenSpaceIsFreed()
    {
        using var disk = SmallDisk.Mount(96);
        await using var server = await TestPostgres.StartAsync();
        await ExecuteAsync(
            server.ConnectionString("postgres"), $"COPY (SELECT 1) TO PROGRAM 'mkdir -m 700 {disk.Path}/data && cat > /dev/null'");
        await ExecuteAsync(server.ConnectionString("postgres"), $"CREATE TABLESPACE small LOCATION '{disk.Path}/data'");
        await ExecuteAsync(server.ConnectionString("postgres"), "CREATE DATABASE small TABLESPACE small");
        await using var phoenix = await PhoenixServer.StartAsync(server.ConnectionString("small"));

        await FillAndRecoverAsync(phoenix, disk);
    }

    [SmallDiskFact]
    public async Task Export_WriteAheadLogFull_PostgresDiesAndAllThatWasAcknowledgedIsThereAfterItsRestart()
    {
        using var disk = SmallDisk.Mount(144);
        await using var server = await PostgresServer.StartAsync(new PostgresServerOptions
        {
            DataDirectory = Path.Combine(disk.Path, "data"),
            Password = Guid.NewGuid().ToString("N"),
            Settings = new Dictionary<string, string>(StringComparer.Ordinal) { ["max_wal_size"] = "64MB", ["min_wal_size"] = "32MB" },
        });
        await using var phoenix = await PhoenixServer.StartAsync(server.ConnectionString("postgres"), ("PHOENIX_REQUEST_TIMEOUT", "1s"));
        var stored = Otlp.Spans(500);
        await AcceptedAsync(phoenix.Client, stored);

        disk.Fill(0);
        try
        {
            // A new segment of the log finds no room: the server ends with PANIC.
            for (var segment = 0; segment < 20; segment++)
            {
                await ExecuteAsync(server.ConnectionString("postgres"),
                    "SELECT pg_switch_wal(), pg_logical_emit_message(true, 'fill', repeat('x', 1000000))");
            }
        }
        catch (NpgsqlException)
        {
            // That it dies is what the test wants.
        }

        var request = Otlp.Spans(7);
        using var refused = await phoenix.Client.PostAsync(request);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);

        disk.Free();
        await server.RestartAsync(immediate: true);
        await AcceptedAsync(phoenix.Client, request);
        await AcceptedAsync(phoenix.Client, stored);
        Assert.Equal(507, await phoenix.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    private static async Task FillAndRecoverAsync(PhoenixServer phoenix, SmallDisk disk)
    {
        await AcceptedAsync(phoenix.Client, Otlp.Spans(1));
        disk.Fill(4 * 1024 * 1024);
        var requests = Enumerable.Range(0, 120).Select(_ => Otlp.Spans(500)).ToList();
        var (accepted, message) = (new HashSet<int>(), "");
        for (var index = 0; index < requests.Count; index++)
        {
            using var answer = await phoenix.Client.PostAsync(requests[index]);
            if (answer.StatusCode == HttpStatusCode.OK)
            {
                accepted.Add(index);
                continue;
            }

            Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
            Assert.NotNull(answer.Headers.RetryAfter);
            message = Encoding.UTF8.GetString(await answer.Content.ReadAsByteArrayAsync());
            if (index - accepted.Count > 8)
            {
                break;
            }
        }

        Assert.NotEmpty(accepted);
        Assert.Contains("no space left on its disk", message, StringComparison.Ordinal);
        Assert.StartsWith("Degraded", await phoenix.Client.GetStringAsync("/health"), StringComparison.Ordinal);

        disk.Free();
        foreach (var request in requests)
        {
            await AcceptedAsync(phoenix.Client, request);
        }

        const string Distinct = "SELECT count(DISTINCT (trace_id, span_id)) FROM spans";
        Assert.Equal(
            (60_001L, 60_001L), (await phoenix.ScalarAsync<long>("SELECT count(*) FROM spans"), await phoenix.ScalarAsync<long>(Distinct)));
        Assert.Equal("Healthy", await phoenix.Client.GetStringAsync("/health"));
    }

    /// <summary>Sends until it is taken, as a sender does.</summary>
    private static Task AcceptedAsync(HttpClient client, IMessage request) => Eventually.TrueAsync(async () =>
    {
        using var answer = await client.PostAsync(request);
        return answer.StatusCode == HttpStatusCode.OK;
    });

    private static async Task ExecuteAsync(string connectionString, string sql)
    {
        await using var connection = new NpgsqlConnection(
            new NpgsqlConnectionStringBuilder(connectionString) { Pooling = false }.ConnectionString);
        await connection.OpenAsync();
        await using var command = new NpgsqlCommand(sql, connection);
        await command.ExecuteNonQueryAsync();
    }
}
