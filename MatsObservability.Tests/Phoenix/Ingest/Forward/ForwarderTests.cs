using System.Globalization;
using System.IO.Pipelines;
using Google.Protobuf;
using MatsObservability.Tests.Phoenix.Metrics;
using MatsObservability.Tests.Support;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest;
using Phoenix.Service.Ingest.Forward;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Ingest.Receive;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest.Forward;

/// <summary>When a forwarder sends, repeats and gives up, by a clock that the test moves, to a real endpoint.</summary>
[Trait("Req", "B042")]
public sealed class ForwarderTests
{
    [Fact]
    public async Task Forward_NotNow_IsRepeatedAfterFiveToThirtySecondsForThreeHundred()
    {
        await using var unit = await Unit.StartAsync(static context => Status(context, 503));
        unit.Send(records: 7);

        var waited = TimeSpan.Zero;
        var repeats = 0;
        foreach (var pause in new double[] { 5, 10, 20, 30, 30, 30, 30, 30, 30, 30, 30 })
        {
            await unit.PausesAsync(++repeats);
            unit.Time.Advance(TimeSpan.FromSeconds(pause * .74));
            Assert.Equal((1, repeats), (unit.Time.TimerCount, unit.Sink.Requests.Length));
            unit.Time.Advance(TimeSpan.FromSeconds(pause * .27));
            waited += TimeSpan.FromSeconds(pause * 1.01);
        }

        // The last attempt is made when the time is up.
        await unit.PausesAsync(++repeats);
        unit.Time.Advance(TimeSpan.FromSeconds(299.9) - waited);
        Assert.Equal((1, repeats, 0d), (unit.Time.TimerCount, unit.Sink.Requests.Length, unit.Metrics.DroppedRecords(DropReason.Expired)));
        unit.Time.Advance(TimeSpan.FromSeconds(0.2));

        await Eventually.TrueAsync(() => unit.Metrics.DroppedRecords(DropReason.Expired) == 7);
        Assert.Equal((13, 12d, 0d), (unit.Sink.Requests.Length, unit.Metrics.Retries, unit.Metrics.SentRecords));
        Assert.Contains(
            unit.Log, static line => line.Contains("7 records were not forwarded", StringComparison.Ordinal)
                && line.Contains("503", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData(429)]
    [InlineData(502)]
    [InlineData(503)]
    [InlineData(504)]
    [InlineData(null)]
    public async Task Forward_NotNowOrCutConnection_IsRepeatedAndSent(int? status)
    {
        await using var unit = await Unit.StartAsync();
        unit.Sink.Answer = context =>
        {
            if (status is null && unit.Sink.Requests.Length == 1)
            {
                context.Abort();
            }

            return Status(context, unit.Sink.Requests.Length == 1 ? status ?? 200 : 200);
        };
        unit.Send(records: 7);

        await unit.PausesAsync(1);
        unit.Time.Advance(TimeSpan.FromSeconds(6.3));

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 7);
        Assert.Equal((2, 1d), (unit.Sink.Requests.Length, unit.Metrics.Retries));
    }

    [Theory]
    [InlineData("header", 42)]
    [InlineData("date", 50)]
    [InlineData("retry_info", 17)]
    public async Task Forward_TheOtherSideAsksForAPause_WaitsThatLong(string how, int seconds)
    {
        await using var unit = await Unit.StartAsync();
        unit.Sink.Answer = async context =>
        {
            if (unit.Sink.Requests.Length > 1)
            {
                return;
            }

            context.Response.StatusCode = 429;
            if (how == "retry_info")
            {
                context.Response.ContentType = "application/x-protobuf";
                await context.Response.Body.WriteAsync(
                    OtlpAnswer.Status(GrpcCode.Unavailable, "busy", TimeSpan.FromSeconds(seconds), json: false));
            }
            else
            {
                context.Response.Headers.RetryAfter = how == "header"
                    ? $"{seconds}"
                    : unit.Time.GetUtcNow().AddSeconds(seconds + 1).ToString("R", CultureInfo.InvariantCulture);
            }
        };
        unit.Send(records: 1);
        await unit.PausesAsync(1);

        unit.Time.Advance(TimeSpan.FromSeconds(seconds - 0.1));
        Assert.Equal((1, 1), (unit.Time.TimerCount, unit.Sink.Requests.Length));
        unit.Time.Advance(TimeSpan.FromSeconds(1.1));

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 1);
    }

    [Theory]
    [InlineData(400)]
    [InlineData(401)]
    [InlineData(404)]
    [InlineData(413)]
    [InlineData(307)]
    [InlineData(500)]
    public async Task Forward_RefusedForGood_IsDroppedAtOnceAndTheNextGoesOn(int status)
    {
        await using var unit = await Unit.StartAsync(options: new ForwardOptions { Connections = 1 });
        unit.Sink.Answer = context =>
        {
            context.Response.Headers.Location = "/elsewhere";
            return Status(context, unit.Sink.Requests.Length > 1 ? 200 : status);
        };

        unit.Send(records: 3);
        unit.Send(records: 4);

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 4);
        Assert.Equal((3d, 0d, 2), (unit.Metrics.DroppedRecords(DropReason.Refused), unit.Metrics.Retries, unit.Sink.Requests.Length));
    }

    [Fact]
    [Trait("Req", "B047")]
    public async Task Forward_NoAnswer_IsCancelledAtThirtySecondsAndRepeated()
    {
        using var release = new SemaphoreSlim(0);
        await using var unit = await Unit.StartAsync();
        unit.Sink.Answer = context => unit.Sink.Requests.Length == 1 ? release.WaitAsync(context.RequestAborted) : Task.CompletedTask;
        unit.Send(records: 1);
        await Eventually.TrueAsync(() => unit.Sink.Requests.Length == 1);

        unit.Time.Advance(TimeSpan.FromSeconds(29.9));
        Assert.Equal(0, unit.Metrics.Retries);
        unit.Time.Advance(TimeSpan.FromSeconds(0.2));
        await unit.PausesAsync(1);
        unit.Time.Advance(TimeSpan.FromSeconds(5));

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 1);
        Assert.Contains(unit.Log, static line => line.Contains("no answer within 00:00:30", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Enqueue_MoreThanTheBoundHolds_CountsAndLogsWhatIsNotForwardedAndForwardsTheRest()
    {
        using var release = new SemaphoreSlim(0);
        await using var unit = await Unit.StartAsync(options: new ForwardOptions { Connections = 1, MaxQueueBytes = 1024 * 1024 });
        unit.Sink.Answer = context => release.WaitAsync(context.RequestAborted);
        for (var i = 0; i < 6; i++)
        {
            unit.Send(records: 10, bytes: 200_000);
        }

        Assert.Equal(20, unit.Metrics.DroppedRecords(DropReason.QueueFull));
        Assert.Equal(1024 * 1024, (await unit.ScrapeAsync())["phoenix_forward_queue_bytes"]);
        Assert.Contains(
            unit.Log, static line => line.Contains("10 records were not forwarded; they are stored here", StringComparison.Ordinal));
        release.Release(10);

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 40);
        Assert.Equal((0d, 0d),
            ((await unit.ScrapeAsync())["phoenix_forward_queue_bytes"], (await unit.ScrapeAsync())["phoenix_forward_queue_requests"]));
    }

    [Fact]
    public async Task Enqueue_OneRequestLargerThanTheBound_IsLetIn()
    {
        await using var unit = await Unit.StartAsync(options: new ForwardOptions { MaxQueueBytes = 1024 * 1024 });

        unit.Send(records: 10, bytes: 3_000_000);

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 10);
    }

    [Fact]
    public async Task Stop_WithRequestsWaiting_SendsThemAllFirst()
    {
        using var release = new SemaphoreSlim(0);
        await using var unit = await Unit.StartAsync(options: new ForwardOptions { Connections = 2 });
        unit.Sink.Answer = context => release.WaitAsync(context.RequestAborted);
        for (var i = 0; i < 20; i++)
        {
            unit.Send(records: 1);
        }

        var stopped = unit.Forwarder.StopAsync(CancellationToken.None);
        Assert.False(stopped.IsCompleted);
        release.Release(20);
        await stopped.WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal((20d, 20), (unit.Metrics.SentRecords, unit.Sink.Requests.Length));
        unit.Send(records: 1);
        Assert.Equal(1, unit.Metrics.DroppedRecords(DropReason.Stopped));
    }

    [Fact]
    public async Task Stop_TheOtherSideIsAway_TriesEachOnceMoreAndSaysWhatIsLost()
    {
        await using var unit = await Unit.StartAsync(static context => Status(context, 503), new ForwardOptions { Connections = 1 });
        unit.Send(records: 2);
        unit.Send(records: 3);
        await unit.PausesAsync(1);

        await unit.Forwarder.StopAsync(CancellationToken.None).WaitAsync(TimeSpan.FromSeconds(30));

        Assert.Equal((5d, 3), (unit.Metrics.DroppedRecords(DropReason.Stopped), unit.Sink.Requests.Length));
        Assert.Equal(
            5, unit.Log.Where(static line => line.Contains("records were not forwarded", StringComparison.Ordinal))
                .Sum(static line => int.Parse(line.Split(' ')[0], CultureInfo.InvariantCulture)));
    }

    [Fact]
    public async Task Stop_TheOtherSideHangs_EndsAfterTheDrainTime()
    {
        using var release = new SemaphoreSlim(0);
        await using var unit = await Unit.StartAsync(context => release.WaitAsync(context.RequestAborted),
            new ForwardOptions { Connections = 1, DrainTimeout = TimeSpan.FromSeconds(8) });
        unit.Send(records: 2);
        unit.Send(records: 3);
        await Eventually.TrueAsync(() => unit.Sink.Requests.Length == 1);

        var stopped = unit.Forwarder.StopAsync(CancellationToken.None);
        unit.Time.Advance(TimeSpan.FromSeconds(7.9));
        Assert.False(stopped.IsCompleted);
        unit.Time.Advance(TimeSpan.FromSeconds(0.2));

        await stopped.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Equal(5, unit.Metrics.DroppedRecords(DropReason.Stopped));
    }

    [Fact]
    public async Task Forward_PartialSuccess_IsCountedAndLogged()
    {
        await using var unit = await Unit.StartAsync(static async context =>
        {
            context.Response.ContentType = "application/x-protobuf";
            await context.Response.Body.WriteAsync(
                OtlpAnswer.Success(Signal.Spans, new IngestOutcome(IngestStatus.Accepted, "span_id is zero", 2), json: false));
        });

        unit.Send(records: 10);

        await Eventually.TrueAsync(() => unit.Metrics.SentRecords == 8);
        await Eventually.TrueAsync(
            () => unit.Log.Any(
                static line => line.Contains("2 of their records rejected by the other side: span_id is zero", StringComparison.Ordinal)));
        Assert.Equal(2, unit.Metrics.DroppedRecords(DropReason.Rejected));
    }

    [Fact]
    public async Task Forward_TheOtherSideRepeatsTheKey_TheLogDoesNot()
    {
        await using var unit = await Unit.StartAsync(static async context =>
        {
            context.Response.StatusCode = 401;
            context.Response.ContentType = "application/x-protobuf";
            await context.Response.Body.WriteAsync(
                OtlpAnswer.Status(GrpcCode.Unauthenticated, $"not known: {context.Request.Headers.Authorization}",
                    retryAfter: null, json: false));
        }, new ForwardOptions { Headers = ["authorization=Bearer%20s3cret-of-the-forwarder"] });

        unit.Send(records: 1);

        await Eventually.TrueAsync(() => unit.Metrics.DroppedRecords(DropReason.Refused) == 1);
        await Eventually.TrueAsync(
            () => unit.Log.Any(static line => line.Contains("401 Unauthorized: not known: ***", StringComparison.Ordinal)));
        Assert.Equal("Bearer s3cret-of-the-forwarder", unit.Sink.Requests[0].Headers["authorization"]);
        Assert.All(unit.Log, static line => Assert.DoesNotContain("s3cret", line, StringComparison.Ordinal));
    }

    private static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }

    /// <summary>A forwarder with a clock, an endpoint, metrics and a log of its own.</summary>
    private sealed class Unit : IAsyncDisposable
    {
        private readonly RecordedLog<Forwarder> _log = new();
        private readonly ForwardClient _client;

        private Unit(OtlpSink sink, ForwardOptions options)
        {
            Sink = sink;
            options.Endpoint = sink.Url;
            _client = new ForwardClient(Options.Create(options), Time);
            Forwarder = new Forwarder(_client, new ForwardFilter(Options.Create(new RedactionOptions())),
                Options.Create(options), Metrics, Time, _log);
        }

        public OtlpSink Sink { get; }

        public Forwarder Forwarder { get; }

        public ForwardMetrics Metrics { get; } = new();

        public TestTime Time { get; } = new(TimeProvider.System.GetUtcNow());

        public string[] Log => _log.Lines;

        public static async Task<Unit> StartAsync(Func<HttpContext, Task>? answer = null, ForwardOptions? options = null)
        {
            var sink = await OtlpSink.StartAsync();
            sink.Answer = answer ?? sink.Answer;
            var unit = new Unit(sink, options ?? new ForwardOptions());
            await unit.Forwarder.StartAsync(CancellationToken.None);
            return unit;
        }

        /// <summary>Enqueues a request of one span whose name makes it so long.</summary>
        public void Send(int records, int bytes = 100)
        {
            var message = Otlp.Spans(1);
            message.ResourceSpans[0].ScopeSpans[0].Spans[0].Name = new string('x', bytes);
            var request = new IngestRequest
            {
                Signal = Signal.Spans,
                Transport = IngestTransport.Http,
                Body = PipeReader.Create(Stream.Null),
            };
            using var batch = new TelemetryBatch(Signal.Spans) { RecordCount = records };
            Forwarder.Enqueue(Forwarder.Hold(request, message.ToByteArray(), batch)!);
        }

        /// <summary>Waits until the forwarder pauses for the given time.</summary>
        public Task PausesAsync(int times) => Eventually.TrueAsync(() => Metrics.Retries == times && Time.TimerCount == 1);

        public async Task<PrometheusText> ScrapeAsync()
        {
            var writer = new PrometheusWriter(openMetrics: false);
            await Metrics.WriteAsync(writer, CancellationToken.None);
            return PrometheusText.Parse(writer.Finish());
        }

        public async ValueTask DisposeAsync()
        {
            // A hanging endpoint must not hold a failed test up.
            var stopped = Forwarder.StopAsync(CancellationToken.None);
            Time.Advance(TimeSpan.FromMinutes(1));
            await stopped;
            Forwarder.Dispose();
            _client.Dispose();
            await Sink.DisposeAsync();
        }
    }
}
