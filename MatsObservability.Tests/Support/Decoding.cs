using Google.Protobuf;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;
using AnyValue = OpenTelemetry.Proto.Common.V1.AnyValue;

namespace MatsObservability.Tests.Support;

/// <summary>The service's decoders without its database: every project is known, with id 7, unless the test says otherwise.</summary>
internal sealed class Decoding : IDisposable
{
    private readonly ServiceProvider _services;

    public Decoding(Action<NormalizeOptions>? normalize = null, Action<RedactionOptions>? redact = null, ProjectLookup? projects = null)
    {
        var services = new ServiceCollection();
        services.AddSingleton(projects ?? Known);
        services.Configure(normalize ?? (_ => { }));
        services.Configure(redact ?? (_ => { }));
        _services = services.AddDecoders().BuildServiceProvider();
    }

    public SpanDecoder Spans => _services.GetRequiredService<SpanDecoder>();

    public LogDecoder Logs => _services.GetRequiredService<LogDecoder>();

    /// <summary>Decodes a protobuf body of <paramref name="signal"/>.</summary>
    public DecodeResult Decode(Signal signal, ReadOnlySpan<byte> body, int newProjects = RecordRequest.MaxNewProjects) =>
        new Decoders(Spans, Logs, _services.GetRequiredService<MetricDecoder>()).Decode(
            signal, body, projectOverride: null, newProjects);

    public NormalizeMetrics Metrics => _services.GetRequiredService<NormalizeMetrics>();

    /// <summary>
    /// A span with ids, times and a name, and these attributes; values are string, bool, long, int, double, string[] or AnyValue.
    /// </summary>
    public static Span Span(params (string Key, object Value)[] attributes)
    {
        var span = new Span
        {
            TraceId = ByteString.CopyFrom(Convert.FromHexString("0102030405060708090a0b0c0d0e0f10")),
            SpanId = ByteString.CopyFrom(Convert.FromHexString("1112131415161718")),
            Name = "span",
            StartTimeUnixNano = 1_750_000_000_000_000_000,
            EndTimeUnixNano = 1_750_000_001_000_000_000,
        };
        span.Attributes.AddRange(attributes.Select(pair => Attribute(pair.Key, pair.Value)));
        return span;
    }

    /// <summary>An attribute.</summary>
    public static KeyValue Attribute(string key, object value) => new() { Key = key, Value = Value(value) };

    /// <summary>An AnyValue.</summary>
    public static AnyValue Value(object value) => value switch
    {
        AnyValue any => any,
        string text => new AnyValue { StringValue = text },
        bool flag => new AnyValue { BoolValue = flag },
        int number => new AnyValue { IntValue = number },
        long number => new AnyValue { IntValue = number },
        double number => new AnyValue { DoubleValue = number },
        string[] texts => new AnyValue { ArrayValue = new ArrayValue { Values = { texts.Select(Value) } } },
        byte[] bytes => new AnyValue { BytesValue = ByteString.CopyFrom(bytes) },
        _ => throw new ArgumentOutOfRangeException(nameof(value)),
    };

    /// <summary>A request of these spans.</summary>
    public static ExportTraceServiceRequest Request(params Span[] spans) => new()
    {
        ResourceSpans =
        {
            new ResourceSpans
            {
                Resource = new Resource { Attributes = { Attribute("service.name", "tests") } },
                ScopeSpans = { new ScopeSpans { Scope = new InstrumentationScope { Name = "scope" }, Spans = { spans } } },
            },
        },
    };

    /// <summary>The row of one span.</summary>
    public DecodedSpan Row(params (string Key, object Value)[] attributes) => Row(Span(attributes));

    /// <inheritdoc cref="Row(ValueTuple{string, object}[])"/>
    public DecodedSpan Row(Span span) => Assert.Single(Rows(Request(span)));

    /// <summary>All rows of a request that must decode.</summary>
    public List<DecodedSpan> Rows(ExportTraceServiceRequest request) => Decode(request, DecodedSpan.Read);

    /// <summary>What <paramref name="read"/> makes of the batch of a request that must decode.</summary>
    public T Decode<T>(ExportTraceServiceRequest request, Func<TelemetryBatch, T> read)
    {
        var result = Spans.Decode(request.ToByteArray(), projectOverride: null);
        Assert.Null(result.Error);
        using var batch = result.Batch!;
        return read(batch);
    }

    public void Dispose() => _services.Dispose();

    private static bool Known(string name, out int id)
    {
        id = 7;
        return true;
    }
}
