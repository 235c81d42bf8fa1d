using System.Net;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using OpenTelemetry.Proto.Collector.Trace.V1;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;
using Phoenix.Service.Storage.Postgres.Indexes;

namespace MatsObservability.Tests.Phoenix.Ingest;

public sealed class WritePathTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    [Trait("Req", "M22")]
    public async Task Export_SameRequestTwice_StoresEachSpanOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var request = Otlp.Spans(100);

        await PostAsync(server, request);
        await PostAsync(server, request);

        Assert.Equal(100L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "M22")]
    public async Task Export_HalfSeenRequest_IsCompleted()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var (trace, start) = (Guid.NewGuid(), Otlp.NowNanos);
        await PostAsync(server, Otlp.Spans(trace, 40, startNanos: start));

        await PostAsync(server, Otlp.Spans(trace, 100, startNanos: start));

        Assert.Equal(
            (100L, 100L), (await server.ScalarAsync<long>("SELECT count(*) FROM spans"),
                await server.ScalarAsync<long>("SELECT count(DISTINCT span_id) FROM spans")));
    }

    [Fact]
    public async Task Export_SameSpanTwiceInOneRequest_IsStoredOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var request = Otlp.Spans(3);
        var spans = request.ResourceSpans[0].ScopeSpans[0].Spans;
        spans.Add(spans[0].Clone());

        await PostAsync(server, request);

        Assert.Equal(3L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B003")]
    public async Task Export_ManySendersEveryRequestTwiceAtOnce_StoresEachSpanOnce()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_MAX_WORKERS", "4"));
        var requests = Enumerable.Range(0, 40).Select(_ => Otlp.Spans(25)).ToList();

        await Task.WhenAll(requests.Concat(requests).Select(request => PostAsync(server, request)));

        Assert.Equal(1000L, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    public async Task Export_OneSpanPostgresRefuses_IsRejectedAloneAmongMany()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using (var connection = await server.OpenAsync())
        await using (var command = new Npgsql.NpgsqlCommand(
            "CREATE INDEX ON spans ((1 / CASE name WHEN 'refused' THEN 0 ELSE 1 END))", connection))
        {
            await command.ExecuteNonQueryAsync();
        }

        var request = Otlp.Spans(64);
        request.ResourceSpans[0].ScopeSpans[0].Spans[20].Name = "refused";

        var others = Enumerable.Range(0, 8).Select(_ => PostAsync(server, Otlp.Spans(10))).ToList();
        using var response = await server.Client.PostAsync(request);
        var answers = await Task.WhenAll(others);
        var answer = ExportTraceServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync());

        Assert.Equal((HttpStatusCode.OK, 1L), (response.StatusCode, answer.PartialSuccess?.RejectedSpans ?? 0));
        Assert.NotEmpty(answer.PartialSuccess!.ErrorMessage);
        Assert.All(answers, Assert.Empty);
        Assert.Equal(63L + 80, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B086")]
    public async Task Export_LateSpans_GetAPartitionOfTheirOwnDay()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var late = Otlp.NowNanos - (40UL * 86_400_000_000_000);

        await PostAsync(server, Otlp.Spans(Guid.NewGuid(), 5, startNanos: late));

        var day = DateTimeOffset.FromUnixTimeSeconds((long)(late / 1_000_000_000))
            .ToString("yyyy_MM_dd", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal($"spans_{day}", await server.ScalarAsync<string>("SELECT DISTINCT tableoid::regclass::text FROM spans"));
    }

    [Fact]
    public async Task Export_TimesOfOtherCenturies_ShareTheDefaultPartition()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        foreach (var years in Enumerable.Range(1, 30))
        {
            await PostAsync(server, Otlp.Spans(Guid.NewGuid(), 1, startNanos: (ulong)years * 365UL * 86_400_000_000_000));
            await PostAsync(server, Otlp.Spans(Guid.NewGuid(), 1, startNanos: Otlp.NowNanos + ((ulong)years * 365UL * 86_400_000_000_000)));
        }

        Assert.Equal(60L, await server.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
        Assert.InRange(await server.ScalarAsync<long>("SELECT count(*) FROM pg_inherits WHERE inhparent = 'spans'::regclass"), 5, 6);
    }

    [Fact]
    [Trait("Req", "B086")]
    public async Task Partitions_MonthPeriod_MoveRowsOutOfTheDefaultPartition()
    {
        var start = Otlp.NowNanos - (80UL * 86_400_000_000_000);
        var database = await postgres.CreateDatabaseAsync();
        await using (var daily = await PhoenixServer.StartAsync(database, ("Phoenix:Storage:PartitionsBackDays", "1")))
        {
            await PostAsync(daily, Otlp.Spans(Guid.NewGuid(), 7, startNanos: start));
            Assert.Equal(7L, await daily.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
        }

        await using var monthly = await PhoenixServer.StartAsync(database, ("PHOENIX_PARTITION_PERIOD", "month"));
        await PostAsync(monthly, Otlp.Spans(Guid.NewGuid(), 1, startNanos: start));

        Assert.Equal(0L, await monthly.ScalarAsync<long>("SELECT count(*) FROM spans_default"));
        Assert.Matches("^spans_\\d{4}_\\d{2}$", await monthly.ScalarAsync<string>("SELECT tableoid::regclass::text FROM spans LIMIT 1"));
        Assert.Equal(8L, await monthly.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B086")]
    public async Task Partitions_MadeAgain_ChangesNothing()
    {
        const string Tables = "SELECT string_agg(relname, ',' ORDER BY relname) FROM pg_class WHERE relname LIKE 'spans%'";
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var partitions = new Partitions(
            server.Services.GetRequiredService<NpgsqlDataSource>(), server.Services.GetRequiredService<AttributeIndexes>(),
            server.Services.GetRequiredService<IOptions<StorageOptions>>(), new TestTime(TimeProvider.System.GetUtcNow()),
            NullLogger<Partitions>.Instance);
        await partitions.EnsureAheadAsync(CancellationToken.None);
        var before = await server.ScalarAsync<string>(Tables);

        await partitions.EnsureAheadAsync(CancellationToken.None);

        Assert.Equal(before, await server.ScalarAsync<string>(Tables));
    }

    [Fact]
    [Trait("Req", "B086")]
    public async Task Partitions_RowsOnTheirBounds_LieInTheirDayAndARangeReadsNoOther()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        const ulong Day = 86_400_000_000_000;
        var midnight = Otlp.NowNanos / Day * Day;
        foreach (var start in (ulong[])[midnight - 1, midnight])
        {
            var request = Otlp.Spans(1);
            request.ResourceSpans[0].ScopeSpans[0].Spans[0].StartTimeUnixNano = start;
            await PostAsync(server, request);
        }

        string Leaf(ulong nanos) => "spans_"
            + DateTimeOffset.FromUnixTimeSeconds((long)(nanos / 1_000_000_000))
                .ToString("yyyy_MM_dd", System.Globalization.CultureInfo.InvariantCulture);
        Assert.Equal(
            $"{Leaf(midnight - 1)}={midnight - 1} {Leaf(midnight)}={midnight}",
            await server.ScalarAsync<string>("SELECT string_agg(tableoid::regclass || '=' || start_ns, ' ' ORDER BY start_ns) FROM spans"));
        await using var connection = await server.OpenAsync();
        await using var explain =
            new NpgsqlCommand($"EXPLAIN SELECT count(*) FROM spans WHERE start_ns >= {midnight} AND start_ns < {midnight + Day}",
                connection);
        var plan = new List<string>();
        await using var reader = await explain.ExecuteReaderAsync();
        while (await reader.ReadAsync())
        {
            plan.Add(reader.GetString(0));
        }

        Assert.Contains(Leaf(midnight), string.Join('\n', plan), StringComparison.Ordinal);
        Assert.DoesNotContain(Leaf(midnight - 1), string.Join('\n', plan), StringComparison.Ordinal);
        Assert.DoesNotContain("spans_default", string.Join('\n', plan), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("SELECT count(*) FROM spans WHERE llm_model = 'gpt-4o' AND start_ns BETWEEN 5 AND 6", "llm_model")]
    [InlineData("SELECT count(*) FROM spans WHERE status = 2 AND end_ns - start_ns > 1000000", "status")]
    [Trait("Req", "B088")]
    [Trait("Req", "B089")]
    public async Task Indexes_ModelAndSlowErrors_AreUsed(string query, string index)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        await using var connection = await server.OpenAsync();
        await using var off = new NpgsqlCommand("SET enable_seqscan = off; SET enable_bitmapscan = off", connection);
        await off.ExecuteNonQueryAsync();

        var plan = new List<string>();
        await using var explain = new NpgsqlCommand($"EXPLAIN {query}", connection);
        await using (var reader = await explain.ExecuteReaderAsync())
        {
            while (await reader.ReadAsync())
            {
                plan.Add(reader.GetString(0));
            }
        }

        Assert.Contains(plan, line => line.Contains("Index", StringComparison.Ordinal) && line.Contains(index, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Export_ReadOnlyServer_IsRefusedRetryableAndRecoversByItself()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var database = new NpgsqlConnectionStringBuilder(server.ConnectionString).Database;
        await PostAsync(server, Otlp.Spans(1));
        await server.ScalarAsync<int>($"ALTER DATABASE {database} SET default_transaction_read_only = on; SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()");

        using var refused = await PostUntilAsync(server, HttpStatusCode.ServiceUnavailable);
        await server.ScalarAsync<int>($"SET default_transaction_read_only = off; ALTER DATABASE {database} SET default_transaction_read_only = off; SELECT count(pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE datname = '{database}' AND pid <> pg_backend_pid()");
        using var accepted = await PostUntilAsync(server, HttpStatusCode.OK);

        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Equal(HttpStatusCode.OK, accepted.StatusCode);
    }

    private static async Task<HttpResponseMessage> PostUntilAsync(PhoenixServer server, HttpStatusCode status)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (true)
        {
            var response = await server.Client.PostAsync(Otlp.Spans(1));
            if (response.StatusCode == status)
            {
                return response;
            }

            response.Dispose();
            deadline.Token.ThrowIfCancellationRequested();
        }
    }

    private static async Task<byte[]> PostAsync(PhoenixServer server, IMessage request)
    {
        using var response = await server.Client.PostAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        return await response.Content.ReadAsByteArrayAsync();
    }
}
