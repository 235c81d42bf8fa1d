using System.Threading.Channels;
using Google.Protobuf;
using MatsObservability.Benchmarks.Load;
using MatsObservability.Tests.Phoenix.Metrics;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Npgsql;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres;

namespace MatsObservability.Tests.Phoenix.Storage;

/// <summary>When a writer writes, how much, and for how long, by a clock that the test moves; into a real database.</summary>
public sealed class WriterTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    [Trait("Req", "B045")]
    [Trait("Req", "B046")]
    [Trait("Req", "B047")]
    [Trait("Req", "B072")]
    [Trait("Req", "B075")]
    [Trait("Req", "B076")]
    public void Options_Defaults_AreTheDocumentedOnesAndRaiseNoWarning()
    {
        var options = new StorageOptions();

        Assert.Equal((1024, TimeSpan.Zero, TimeSpan.FromSeconds(30)), (options.BatchRecords, options.Linger, options.WriteTimeout));
        Assert.Equal(1d, new global::Phoenix.Service.Ingest.Normalize.NormalizeOptions().SampleRate);
        Assert.Equal(TimeSpan.FromSeconds(30), new global::Phoenix.Service.Ingest.IngestOptions().RequestTimeout);
        Assert.Empty(StorageOptions.Check(options));
        Assert.Empty(StorageOptions.Advise(options));
        Assert.Empty(
            StorageOptions.Advise(new StorageOptions { BatchRecords = 512, Linger = TimeSpan.FromSeconds(5), MaxBatchRecords = 2048 }));
    }

    [Theory]
    [Trait("Req", "B075")]
    [Trait("Req", "B076")]
    [InlineData("BatchRecords", "511")]
    [InlineData("BatchRecords", "1025")]
    [InlineData("MaxBatchRecords", "1500")]
    [InlineData("Linger", "6s")]
    [InlineData("WriteTimeout", "2s")]
    public async Task Start_BatchOrTimeOutsideOfWhatIsGood_WarnsByNameAndRuns(string option, string value)
    {
        var settings = new List<(string, string)> { ($"Phoenix:Storage:{option}", value) };
        await using var server = await PhoenixServer.StartAsync(postgres, [.. settings]);

        var warning = Assert.Single(StorageOptions.Advise(server.Services.GetRequiredService<IOptions<StorageOptions>>().Value));

        Assert.StartsWith($"Phoenix:Storage:{option}", warning, StringComparison.Ordinal);
        using var answer = await server.Client.PostAsync(Otlp.Spans(1));
        answer.EnsureSuccessStatusCode();
    }

    [Fact]
    [Trait("Req", "B041")]
    [Trait("Req", "B075")]
    [Trait("Req", "B076")]
    public async Task Start_BatchAndTimeOutsideOfWhatIsGood_AreInTheLogOfTheProcess()
    {
        await using var process = new PhoenixProcess(new Dictionary<string, string?>
        {
            ["ConnectionStrings__phoenixdb"] = await postgres.CreateDatabaseAsync(), ["Phoenix__Storage__BatchRecords"] = "2000",
            ["Phoenix__Storage__Linger"] = "6s",
        });
        await process.StartAsync(CancellationToken.None);

        await Eventually.GetAsync(
            () => Task.FromResult(process.Output),
            static output => output.Contains(
                    "Configuration: Phoenix:Storage:BatchRecords is best from 512 to 1024, got 2000.", StringComparison.Ordinal)
                && output.Contains("Configuration: Phoenix:Storage:Linger is best at most 5 s, got 00:00:06", StringComparison.Ordinal));
    }

    [Fact]
    [Trait("Req", "B043")]
    [Trait("Req", "B075")]
    [Trait("Req", "B076")]
    public void Check_OutOfBounds_NamesEveryKey()
    {
        var faults =
            StorageOptions.Check(
                new StorageOptions
                {
                    BatchRecords = 0,
                    Linger = TimeSpan.FromSeconds(11),
                    Writers = 33,
                    WriteTimeout = TimeSpan.Zero,
                    MaxBatchRecords = 0,
                }).ToList();

        Assert.Equal(["BatchRecords", "Linger", "MaxBatchRecords", "WriteTimeout", "Writers"],
            faults.Select(fault => fault.Split(' ')[0].Split(':')[^1]).Order(StringComparer.Ordinal));
    }

    [Fact]
    [Trait("Req", "B041")]
    public async Task Write_FewerThanABatch_WaitsForTheLingerAndThenWritesAll()
    {
        await using var writer = await Writer.StartAsync(
            postgres, new StorageOptions { Writers = 1, Linger = TimeSpan.FromSeconds(5), MaxBatchRecords = 2048 });
        var sent = new[] { writer.Send(300), writer.Send(300), writer.Send(300) };
        await Eventually.TrueAsync(() => writer.Time.TimerCount > 0 && writer.Waiting == 0);

        writer.Time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.Equal(0, writer.Time.Fired);
        Assert.All(sent, pending => Assert.False(pending.Done.IsCompleted));
        writer.Time.Advance(TimeSpan.FromSeconds(0.2));

        await Task.WhenAll(sent.Select(pending => pending.Done)).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("900", await writer.GroupsAsync());
    }

    [Fact]
    [Trait("Req", "B041")]
    [Trait("Req", "B046")]
    public async Task Write_AFullBatch_WaitsForNoTimer()
    {
        await using var writer = await Writer.StartAsync(
            postgres, new StorageOptions { Writers = 1, Linger = TimeSpan.FromSeconds(5), MaxBatchRecords = 2048 });

        var sent = new[] { writer.Send(300), writer.Send(300), writer.Send(300), writer.Send(124) };

        await Task.WhenAll(sent.Select(pending => pending.Done)).WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal("1024", await writer.GroupsAsync());
    }

    [Fact]
    [Trait("Req", "B041")]
    public async Task Write_MoreThanFitsIsQueued_NoTransactionPassesTheMaximum()
    {
        await using var writer = await Writer.StartAsync(postgres, new StorageOptions { Writers = 1, MaxBatchRecords = 2048 });
        List<PendingBatch> sent;
        await using (await writer.BlockAsync())
        {
            sent = [writer.Send(1)];
            await Eventually.TrueAsync(async () => await writer.BlockedAsync() == 1);
            sent.AddRange(Enumerable.Range(0, 20).Select(_ => writer.Send(300)));
            sent.Add(writer.Send(3000));
            sent.Add(writer.Send(300));
        }

        var results = await Task.WhenAll(sent.Select(pending => pending.Done)).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.All(results, result => Assert.Equal(WriteStatus.Stored, result.Status));
        Assert.Equal("1 300 600 1800 1800 1800 3000", await writer.GroupsAsync());
    }

    [Fact]
    [Trait("Req", "B046")]
    public async Task Write_SenderHasStoppedWaiting_ItsSpansAreCountedAsFailed()
    {
        await using var writer = await Writer.StartAsync(postgres, new StorageOptions { Writers = 1 });
        List<PendingBatch> sent;
        await using (await writer.BlockAsync())
        {
            sent = [writer.Send(1)];
            await Eventually.TrueAsync(async () => await writer.BlockedAsync() == 1);
            sent.Add(writer.Send(300));
            sent[1].Abandon();
        }

        await Task.WhenAll(sent.Select(pending => pending.Done)).WaitAsync(TimeSpan.FromSeconds(60));

        Assert.Equal((300, 0), (writer.FailedSpans, writer.Failures));
        Assert.Equal("1", await writer.GroupsAsync());
    }

    [Fact]
    [Trait("Req", "B047")]
    public async Task Write_SlowDatabase_IsCancelledAtThirtySecondsAndStoredOnceAfterwards()
    {
        await using var writer = await Writer.StartAsync(postgres, new StorageOptions { Writers = 1 });
        PendingBatch sent;
        await using (await writer.BlockAsync())
        {
            sent = writer.Send(10);
            await Eventually.TrueAsync(async () => await writer.BlockedAsync() == 1);
            writer.Time.Advance(TimeSpan.FromSeconds(29.9));
            Assert.Equal((0, 0d), (writer.Time.Fired, writer.Failures));

            writer.Time.Advance(TimeSpan.FromSeconds(0.2));
            await Eventually.TrueAsync(() => writer.Failures == 1);
            await Eventually.TrueAsync(() => writer.Time.TimerCount == 1);
            Assert.False(sent.Done.IsCompleted);
        }

        // Past the pause before the second try.
        writer.Time.Advance(TimeSpan.FromSeconds(1));
        var result = await sent.Done.WaitAsync(TimeSpan.FromSeconds(60));
        Assert.Equal((WriteStatus.Stored, 0), (result.Status, result.Duplicates));
        Assert.Equal("10", await writer.GroupsAsync());
    }

    [Fact]
    [Trait("Req", "B047")]
    public async Task Write_SlowDatabase_LeavesNoStatementBehindOnTheServer()
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_WORKER_TIMEOUT", "1s"), ("PHOENIX_REQUEST_TIMEOUT", "60s"), ("PHOENIX_MAX_WORKERS", "1"));
        await using var blocker = await server.OpenAsync();
        Task<HttpResponseMessage> sent;
        await using (var transaction = await blocker.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", blocker);
            await command.ExecuteNonQueryAsync();
            sent = server.Client.PostAsync(Otlp.Spans(10));
            var metrics = server.Services.GetRequiredService<IngestMetrics>();
            await Eventually.TrueAsync(() => metrics.InsertionFailures >= 3);
            Assert.InRange(await Writer.BlockedAsync(server), 0, 2);
        }

        using var answer = await sent;
        answer.EnsureSuccessStatusCode();
        Assert.Equal(10, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B047")]
    public async Task Session_Connection_IsOpenedWithTheTimeoutThatReadersDoNotHave()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_WORKER_TIMEOUT", "7s"));
        await using var session = server.Services.GetRequiredService<BatchStore>().OpenSession();

        var connection = await session.ConnectAsync(CancellationToken.None);
        await session.BeginAsync(connection, CancellationToken.None);

        Assert.Equal("7s", await TimeoutAsync(connection));
        await using var reading = await server.Services.GetRequiredService<NpgsqlDataSource>().OpenConnectionAsync();
        Assert.Equal("0", await TimeoutAsync(reading));

        static async Task<string?> TimeoutAsync(NpgsqlConnection connection)
        {
            await using var command = new NpgsqlCommand("SHOW statement_timeout", connection);
            return (string?)await command.ExecuteScalarAsync();
        }
    }

    [Fact]
    [Trait("Req", "B047")]
    public void WithTimeout_OptionsOfTheOperator_AreKept()
    {
        var text = WriterSession.WithTimeout("Host=h;Password=p;Options=-c jit=off", TimeSpan.FromSeconds(1.5));

        var builder = new NpgsqlConnectionStringBuilder(text);
        Assert.Equal(("-c jit=off -c statement_timeout=1500", "p"), (builder.Options, builder.Password));
    }

    [Theory]
    [Trait("Req", "B025")]
    [Trait("Req", "B078")]
    [InlineData("4", 4)]
    [InlineData("1", 1)]
    public async Task Write_MaxWorkers_IsHowManyTransactionsRunAtOnce(string workers, int expected)
    {
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_MAX_WORKERS", workers), ("PHOENIX_REQUEST_TIMEOUT", "5m"));
        await using var blocker = await server.OpenAsync();
        var waiting = new List<Task<HttpResponseMessage>>();
        await using (var transaction = await blocker.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", blocker);
            await command.ExecuteNonQueryAsync();
            for (var busy = 1; busy <= expected; busy++)
            {
                // One by one, because a writer takes all that is queued.
                waiting.Add(server.Client.PostAsync(Otlp.Spans(10)));
                await Eventually.GetAsync(() => Writer.BlockedAsync(server), count => count == busy);
            }

            waiting.AddRange(Enumerable.Range(expected, 12 - expected).Select(_ => server.Client.PostAsync(Otlp.Spans(10))));
            var queue = server.Services.GetRequiredService<global::Phoenix.Service.Ingest.Enqueue.IngestQueue>();
            await Eventually.TrueAsync(() => queue.Reader.Count == 12 - expected);

            // A further writer would have taken some of them while the database is asked.
            Assert.Equal(((long)expected, 12 - expected), (await Writer.BlockedAsync(server), queue.Reader.Count));
        }

        foreach (var answer in await Task.WhenAll(waiting))
        {
            answer.EnsureSuccessStatusCode();
            answer.Dispose();
        }

        Assert.Equal(120, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    [Trait("Req", "B077")]
    public async Task Scrape_WhileTheDatabaseIsStuck_ShowsDepthAndAfterwardsTheLatency()
    {
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_MAX_WORKERS", "1"));
        using var metrics = new HttpClient { BaseAddress = new Uri(server.MetricsUrl) };
        async Task<PrometheusText> ScrapeAsync() => PrometheusText.Parse(await metrics.GetStringAsync("/metrics?collect=phoenix"));
        await using var blocker = await server.OpenAsync();
        var waiting = new List<Task<HttpResponseMessage>>();
        await using (var transaction = await blocker.BeginTransactionAsync())
        {
            await using var command = new NpgsqlCommand("LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", blocker);
            await command.ExecuteNonQueryAsync();
            waiting.AddRange(Enumerable.Range(0, 3).Select(_ => server.Client.PostAsync(Otlp.Spans(20))));

            await Eventually.TrueAsync(async () => (await ScrapeAsync())["phoenix_span_queue_size"] == 60);
            Assert.True((await ScrapeAsync())["phoenix_span_queue_bytes"] > 60 * 100);
        }

        foreach (var answer in await Task.WhenAll(waiting))
        {
            answer.EnsureSuccessStatusCode();
            answer.Dispose();
        }

        var after = await ScrapeAsync();
        Assert.Equal(
            (0d, 3d, 3d), (after["phoenix_span_queue_size"], after["phoenix_span_queue_wait_seconds_count"],
                after["phoenix_ingest_ack_seconds_count", "transport=\"http\""]));
        Assert.True(after["phoenix_span_queue_capacity"] > 0);
    }

    /// <summary>A writer of the test's own, with its clock and queue, beside a running service whose tables it writes.</summary>
    private sealed class Writer : IAsyncDisposable
    {
        private readonly PhoenixServer _server;
        private readonly Channel<PendingBatch> _queue = Channel.CreateUnbounded<PendingBatch>();
        private readonly IngestMetrics _metrics;
        private readonly SpanBatchWriter _writer;

        private Writer(PhoenixServer server, StorageOptions options)
        {
            var services = server.Services;
            (_server, _metrics) = (server, new IngestMetrics(Time));
            _writer = new SpanBatchWriter(
                _queue.Reader, () => _queue.Writer.TryComplete(), services.GetRequiredService<BatchStore>(),
                services.GetRequiredService<ProjectDirectory>(),
                services.GetRequiredService<DatabaseState>(), Options.Create(options), _metrics,
                services.GetRequiredService<TraceMetrics>(),
                services.GetRequiredService<IHostApplicationLifetime>(), Time, NullLogger<SpanBatchWriter>.Instance);
        }

        public TestTime Time { get; } = new(TimeProvider.System.GetUtcNow());

        /// <summary>Requests no writer has taken.</summary>
        public int Waiting => _queue.Reader.Count;

        public double Failures => _metrics.InsertionFailures;

        public double FailedSpans => _metrics.FailedSpans;

        public static async Task<Writer> StartAsync(PostgresFixture postgres, StorageOptions options)
        {
            var server = await PhoenixServer.StartAsync(postgres);
            await server.Services.GetRequiredService<ProjectDirectory>().EnsureAsync(["writer"], CancellationToken.None);
            var writer = new Writer(server, options);
            await writer._writer.StartAsync(CancellationToken.None);
            return writer;
        }

        public PendingBatch Send(int spans)
        {
            var decoded = _server.Services.GetRequiredService<SpanDecoder>().Decode(Otlp.Spans(spans, "writer").ToByteArray(), null);
            var pending = new PendingBatch(decoded.Batch!, new MemoryStream(), Time.GetTimestamp());
            Assert.True(_queue.Writer.TryWrite(pending));
            return pending;
        }

        /// <summary>Spans of each transaction, in order of size.</summary>
        public Task<string> GroupsAsync() =>
            _server.ScalarAsync<string>(
                "SELECT string_agg(spans::text, ' ' ORDER BY spans) FROM (SELECT count(*) AS spans FROM spans GROUP BY xmin::text) AS t");

        /// <summary>Lets no writer through until it is disposed.</summary>
        public async Task<IAsyncDisposable> BlockAsync()
        {
            var connection = await _server.OpenAsync();
            await using var command = new NpgsqlCommand("BEGIN; LOCK TABLE spans IN ACCESS EXCLUSIVE MODE", connection);
            await command.ExecuteNonQueryAsync();
            return connection;
        }

        /// <summary>Writers that wait for the lock.</summary>
        public Task<long> BlockedAsync() => BlockedAsync(_server);

        public static Task<long> BlockedAsync(PhoenixServer server) => server.ScalarAsync<long>(
            $"SELECT count(*) {LockWaits.From} AND query LIKE 'COPY%'");

        public async ValueTask DisposeAsync()
        {
            await _writer.StopAsync(CancellationToken.None);
            _writer.Dispose();
            await _server.DisposeAsync();
        }
    }
}
