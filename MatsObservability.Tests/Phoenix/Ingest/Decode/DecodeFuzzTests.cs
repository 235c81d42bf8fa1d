using System.Diagnostics;
using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest.Decode;

/// <summary>
/// Mutated requests: nothing throws, nothing hangs, memory stays flat, and what is accepted reads back as rows with valid JSON. 8,000
/// mutations a test; the longer run sets MATS_FUZZ_COUNT=1000000 (docs/otlp-conformance.md).
/// </summary>
[Trait("Req", "B002")]
public sealed class DecodeFuzzTests : IDisposable
{
    private static readonly JsonFormatter s_formatter = new(JsonFormatter.Settings.Default);

    private readonly Decoding _decoding = new();


    public void Dispose() => _decoding.Dispose();

    [Theory]
    [InlineData(Signal.Spans)]
    [InlineData(Signal.Logs)]
    [InlineData(Signal.MetricPoints)]
    public async Task Decode_MutatedProtobuf_NeverThrows(Signal signal)
    {
        var mutations = new Mutations(1, [.. Enumerable.Range(1, 40).Select(seed => new RandomRequests(seed).Next(signal).ToByteArray())]);
        await RunAsync(index =>
        {
            var result = _decoding.Decode(signal, mutations.Next());
            using var batch = result.Batch;
            Assert.True(batch is null ? result.Error is not null : batch.RecordCount == batch.Days.Sum(static day => day.Rows.RowCount));
            if (batch is not null && signal == Signal.Spans && index % 16 == 0)
            {
                Check(DecodedSpan.Read(batch));
            }
        });
    }

    [Theory]
    [InlineData(Signal.Spans)]
    [InlineData(Signal.Logs)]
    [InlineData(Signal.MetricPoints)]
    public async Task Transcode_MutatedJson_NeverThrows(Signal signal)
    {
        var mutations = new Mutations(2,
            [.. Enumerable.Range(1, 20).Select(seed => Encoding.UTF8.GetBytes(s_formatter.Format(new RandomRequests(seed).Next(signal))))]);
        using var output = new ProtobufWriter();
        await RunAsync(_ =>
        {
            output.Clear();
            if (OtlpJson.Transcode(signal, mutations.Next(), output) is null)
            {
                var result = _decoding.Decode(signal, output.Written);
                Assert.Null(result.Error);
                result.Batch!.Dispose();
            }
        });
    }

    [Fact]
    public void Decode_HostileShapes_EndSoon()
    {
        var manyKeys = Decoding.Span([.. Enumerable.Range(0, 100_000).Select(i => ($"k{i}", (object)i))]);
        var sameKey = Decoding.Span([.. Enumerable.Range(0, 100_000).Select(_ => ("k", (object)"v"))]);
        var secrets = Decoding.Span(("text", string.Concat(Enumerable.Repeat("ask-", 250_000))),
            ("more", string.Concat(Enumerable.Repeat("Bearer ", 150_000))));

        var manyDays = Decoding.Request([.. Enumerable.Range(0, 5_000).Select(OnDay)]);
        var manyResources = new ExportTraceServiceRequest();
        manyResources.ResourceSpans.AddRange(Enumerable.Range(0, 50_000).Select(i => new ResourceSpans
        {
            Resource = new Resource { Attributes = { Decoding.Attribute("n", i) } },
            ScopeSpans = { new ScopeSpans { Spans = { Decoding.Span() } } },
        }));
        var clock = Stopwatch.StartNew();

        Assert.Equal((400, 4_600), _decoding.Decode(manyDays, batch => (batch.RecordCount, batch.RejectedCount)));
        Assert.Equal(50_000, _decoding.Decode(manyResources, batch => batch.Resources.Count));
        Assert.Equal(4096, _decoding.Row(manyKeys).Attributes.EnumerateObject().Count());
        Assert.Single(_decoding.Row(sameKey).Attributes.EnumerateObject());
        _decoding.Row(secrets);

        Assert.True(clock.Elapsed < TimeSpan.FromSeconds(60), $"took {clock.Elapsed}");
    }

    private static Span OnDay(int day)
    {
        var span = Decoding.Span();
        span.StartTimeUnixNano = span.EndTimeUnixNano = (ulong)day * 86_400_000_000_000;
        return span;
    }

    private static async Task RunAsync(Action<int> body)
    {
        for (var index = 0; index < 2000; index++)
        {
            body(index);
        }

        var before = GC.GetTotalMemory(forceFullCollection: true);
        for (var index = 2000; index < Mutations.Count; index++)
        {
            body(index);
        }

        // Tests beside this one hold memory for a while; what was lost here stays.
        await Eventually.GetAsync(
            () => Task.FromResult(GC.GetTotalMemory(forceFullCollection: true) - before), static grown => grown < 64 * 1024 * 1024);
    }

    private static void Check(List<DecodedSpan> rows)
    {
        foreach (var row in rows)
        {
            // Reading them parses them: JSON columns must be JSON whatever came in.
            _ = (row.Attributes, row.Events, row.Links, row.Extra, row.Derived("phoenix.cost"), row.Name, row.EndNanos >= row.StartNanos);
        }
    }
}
