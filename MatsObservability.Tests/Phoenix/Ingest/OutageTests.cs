using System.Net;
using Google.Protobuf;
using MatsObservability.Benchmarks.Crash;
using MatsObservability.Hosting.Run.Endpoints;
using MatsObservability.Tests.Conformance;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Npgsql;
using Phoenix.Service.Ingest.Enqueue;

namespace MatsObservability.Tests.Phoenix.Ingest;

public sealed class OutageTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const string GrpcTraces = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";

    [Theory]
    [InlineData(nameof(CrashMode.Server))]
    [InlineData(nameof(CrashMode.Postgres))]
    [InlineData(nameof(CrashMode.Replicas))]
    [InlineData(nameof(CrashMode.Twice))]
    [Trait("Req", "B003")]
    [Trait("Req", "B079")]
    public async Task Crash_UnderLoad_LosesAndDoublesNothing(string mode)
    {
        var tally = await CrashBenchmark.RunAsync(Enum.Parse<CrashMode>(mode), trials: 1, connections: 2, CancellationToken.None);

        Assert.True(tally.Acknowledged > 0);
        Assert.Equal((0, 0), (tally.Lost, tally.Duplicates));
    }

    [Fact]
    [Trait("Req", "A13")]
    public async Task Start_BeforePostgres_RefusesWithRetryAndBecomesReadyByItself()
    {
        var port = FreePort.Next();
        var password = Guid.NewGuid().ToString("N");
        await using var server =
            await PhoenixServer.StartUnreadyAsync($"Host=127.0.0.1;Port={port};Username=postgres;Password={password};Database=postgres");
        using var live = await server.Client.GetAsync("/healthz");
        using var notReady = await server.Client.GetAsync("/readyz");
        using var refused = await server.Client.PostAsync(Otlp.Spans(1));

        await using var late = await TestPostgres.StartAsync(port, password);
        using var ready = await WaitForAsync(server, "/readyz", HttpStatusCode.OK);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable, HttpStatusCode.ServiceUnavailable),
            (live.StatusCode, notReady.StatusCode, refused.StatusCode));
        Assert.NotNull(refused.Headers.RetryAfter);
    }

    [Fact]
    [Trait("Req", "B047")]
    public async Task Export_DatabaseStuck_EndsAtTheDeadlineAndIsStoredOnceAfterwards()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_REQUEST_TIMEOUT", "1s"), ("PHOENIX_MAX_WORKERS", "1"));
        using var client = new HttpClient { BaseAddress = new Uri(server.GrpcUrl) };
        var request = Otlp.Spans(10);
        await using var connection = await server.OpenAsync();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", connection);
            await command.ExecuteNonQueryAsync();

            using var http = await server.Client.PostAsync(request);
            var grpc = await OtlpGrpcTests.GrpcCalls.CallAsync(client, GrpcTraces, request.ToByteArray(), timeout: "300m");

            Assert.Equal((HttpStatusCode.ServiceUnavailable, "4"), (http.StatusCode, grpc.Status));
            Assert.NotNull(http.Headers.RetryAfter);
        }

        // Each of these has one second as well.
        await Eventually.TrueAsync(async () =>
        {
            using var again = await server.Client.PostAsync(request);
            return again.StatusCode == HttpStatusCode.OK;
        });
        Assert.Equal(10L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B026")]
    public async Task Export_MoreThanTheQueueHolds_IsRefusedRetryableAndNothingIsLost()
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_MAX_SPANS_QUEUE_SIZE", "100"), ("PHOENIX_MAX_WORKERS", "1"));
        using var client = new HttpClient { BaseAddress = new Uri(server.GrpcUrl) };
        await using var connection = await server.OpenAsync();
        var waiting = new List<Task<HttpResponseMessage>>();
        await using (var transaction = await connection.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", connection);
            await command.ExecuteNonQueryAsync();
            waiting.Add(server.Client.PostAsync(Otlp.Spans(60)));
            waiting.Add(server.Client.PostAsync(Otlp.Spans(60)));
            var queue = server.Services.GetRequiredService<IngestQueue>();
            await Eventually.TrueAsync(() => queue.Records == 120);

            using var http = await server.Client.PostAsync(Otlp.Spans(1));
            var grpc = await OtlpGrpcTests.GrpcCalls.CallAsync(client, GrpcTraces, Otlp.Spans(1).ToByteArray());

            Assert.Equal((HttpStatusCode.TooManyRequests, "8"), (http.StatusCode, grpc.Status));
            Assert.Equal(TimeSpan.FromSeconds(1), http.Headers.RetryAfter!.Delta);
            Assert.Contains("google.rpc.RetryInfo", System.Text.Encoding.UTF8.GetString(grpc.Details!), StringComparison.Ordinal);
        }

        foreach (var answer in await Task.WhenAll(waiting))
        {
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            answer.Dispose();
        }

        using var after = await server.Client.PostAsync(Otlp.Spans(1));
        Assert.Equal(HttpStatusCode.OK, after.StatusCode);
        Assert.Equal(121L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    public async Task Export_ConnectionsKilledUnderLoad_StoresEachSpanOnce()
    {
        const string Kill =
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' AND pid <> pg_backend_pid()";
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var blocker = await server.OpenAsync();
        Task<HttpStatusCode[]> sending;
        var killed = 0L;
        await using (var transaction = await blocker.BeginTransactionAsync())
        {
            // Held up until the first is struck, however fast they are.
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", blocker);
            await command.ExecuteNonQueryAsync();
            sending = Task.WhenAll(Enumerable.Range(0, 60).Select(async _ =>
            {
                using var response = await server.Client.PostAsync(Otlp.Spans(100));
                return response.StatusCode;
            }));
            await Eventually.TrueAsync(async () => (killed += await server.ScalarAsync<long>(Kill)) > 0);
        }

        using var stop = new CancellationTokenSource();
        var killer = Task.Run(async () =>
        {
            // So many and no more: a machine on which a write takes longer than the time between two strikes would store nothing.
            using var strike = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
            while (killed < 9 && !stop.IsCancellationRequested && await strike.WaitForNextTickAsync())
            {
                killed += await server.ScalarAsync<long>(Kill);
            }
        });

        var answers = await sending;
        await stop.CancelAsync();
        await killer;

        Assert.All(answers, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(
            (6000L, 6000L), (await server.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await server.ScalarAsync<long>("SELECT count(DISTINCT (trace_id, span_id)) FROM spans")));
    }

    /// <summary>The commit is under way when the connection breaks, so what is written again is stored already.</summary>
    [Theory]
    [InlineData("spans", 3L)]
    [InlineData("metric_points", 1L)]
    [InlineData("logs", 2L)] // one record, twice: nothing in it tells that it is the same
    [Trait("Req", "B003")]
    public async Task Export_AnswerOfTheCommitIsLost_LosesNothingAndDoublesOnlyLogs(string table, long stored)
    {
        var direct = new NpgsqlConnectionStringBuilder(await postgres.CreateDatabaseAsync()) { SearchPath = "phoenix" };
        await using var gate = TcpGate.To(direct.Port);
        var through = new NpgsqlConnectionStringBuilder(direct.ConnectionString)
        {
            // The second is for the time after the gate is closed.
            Host = $"{direct.Host}:{gate.Port},{direct.Host}:{direct.Port}",
        };
        await using var database = NpgsqlDataSource.Create(direct.ConnectionString);
        await using var server = await PhoenixServer.StartAsync(through.ConnectionString);
        await using var trigger = database.CreateCommand($"""
            CREATE FUNCTION hold_commit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END';
            CREATE CONSTRAINT TRIGGER hold_commit AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION hold_commit()
            """);
        await trigger.ExecuteNonQueryAsync();
        await using var waiting = database.CreateCommand(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory' AND query = 'COMMIT'");
        await using var rows = database.CreateCommand($"SELECT count(*) FROM {table}");
        IMessage request = table switch
        {
            "spans" => Otlp.Spans(3),
            "logs" => Otlp.Log("once"),
            _ => Otlp.Gauge("once", 1, Otlp.NowNanos),
        };

        Task<HttpResponseMessage> sending;
        await using var blocker = await database.OpenConnectionAsync();
        await using (var transaction = await blocker.BeginTransactionAsync())
        {
            await using var hold = new NpgsqlCommand("SELECT pg_advisory_xact_lock(1)", blocker);
            await hold.ExecuteNonQueryAsync();
            sending = server.Client.PostAsync(request);
            await Eventually.TrueAsync(async () => await waiting.ExecuteScalarAsync() is 1L);
            gate.Close();
        }

        using var answer = await sending;
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await Eventually.TrueAsync(async () => await rows.ExecuteScalarAsync() is long count && count == stored);
    }

    [Fact]
    [Trait("Req", "A18")]
    public async Task Stop_WithRequestsInFlight_AnswersAllAndKeepsWhatItAcknowledged()
    {
        var database = await postgres.CreateDatabaseAsync();
        var server = await PhoenixServer.StartAsync(database);
        var sending = Enumerable.Range(0, 30).Select(async _ =>
        {
            try
            {
                using var response = await server.Client.PostAsync(Otlp.Spans(100));
                return response.StatusCode == HttpStatusCode.OK ? 100 : 0;
            }
            catch (HttpRequestException)
            {
                return 0;
            }
        }).ToList();

        await Task.WhenAny(sending);
        await server.StopAsync();
        var acknowledged = (await Task.WhenAll(sending)).Sum();

        Assert.InRange(await server.ScalarAsync<long>("SELECT count(*) FROM spans"), acknowledged, 3000);
        await server.DisposeAsync();
    }

    private static Task<HttpResponseMessage> WaitForAsync(PhoenixServer server, string path, HttpStatusCode status) =>
        Eventually.GetAsync(() => server.Client.GetAsync(path), response => response.StatusCode == status, TimeSpan.FromSeconds(180));
}
