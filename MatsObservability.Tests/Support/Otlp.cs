using System.Net.Http.Headers;
using Google.Protobuf;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Proto.Metrics.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.Support;

/// <summary>Builds OTLP requests with the generated messages and posts them.</summary>
internal static class Otlp
{
    /// <summary>Now, in Unix nanoseconds.</summary>
    public static ulong NowNanos => (ulong)(TimeProvider.System.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;

    /// <summary>A request of <paramref name="count"/> spans of one new trace.</summary>
    public static ExportTraceServiceRequest Spans(int count, string? project = null, ulong? startNanos = null) =>
        Spans(Guid.NewGuid(), count, project, startNanos);

    /// <summary>A request of <paramref name="count"/> spans, ids 1 to count, of the trace <paramref name="traceId"/>.</summary>
    public static ExportTraceServiceRequest Spans(Guid traceId, int count, string? project = null, ulong? startNanos = null)
    {
        var start = startNanos ?? NowNanos;
        var scope = new ScopeSpans { Scope = new InstrumentationScope { Name = "tests", Version = "1" } };
        for (var index = 1; index <= count; index++)
        {
            var span = new Span
            {
                TraceId = ByteString.CopyFrom(traceId.ToByteArray(bigEndian: true)),
                SpanId = ByteString.CopyFrom(BitConverter.GetBytes(System.Buffers.Binary.BinaryPrimitives.ReverseEndianness((long)index))),
                Name = $"span {index}",
                StartTimeUnixNano = start + (ulong)index,
                EndTimeUnixNano = start + 1_000_000,
            };
            span.Attributes.Add(Text("openinference.span.kind", "LLM"));
            span.Attributes.Add(Text("llm.model_name", "gpt-4o"));
            scope.Spans.Add(span);
        }

        return new ExportTraceServiceRequest
        {
            ResourceSpans = { new ResourceSpans { Resource = Resource(project), ScopeSpans = { scope } } },
        };
    }

    /// <summary>A request of one log record.</summary>
    public static ExportLogsServiceRequest Log(string body, string? project = null) => new()
    {
        ResourceLogs =
        {
            new ResourceLogs
            {
                Resource = Resource(project),
                ScopeLogs = { new ScopeLogs { LogRecords = { new LogRecord { TimeUnixNano = NowNanos,
                    Body = new AnyValue { StringValue = body }, SeverityNumber = SeverityNumber.Error } } } },
            },
        },
    };

    /// <summary>A request of one gauge point.</summary>
    public static ExportMetricsServiceRequest Gauge(string name, double value, ulong timeNanos) => new()
    {
        ResourceMetrics =
        {
            new ResourceMetrics
            {
                Resource = Resource(null),
                ScopeMetrics =
                {
                    new ScopeMetrics
                    {
                        Metrics = { new Metric { Name = name,
                            Gauge = new Gauge { DataPoints = { new NumberDataPoint { TimeUnixNano = timeNanos, AsDouble = value } } } } },
                    },
                },
            },
        },
    };

    /// <summary>A string attribute.</summary>
    public static KeyValue Text(string key, string value) => new() { Key = key, Value = new AnyValue { StringValue = value } };

    /// <summary>Protobuf content.</summary>
    public static ByteArrayContent Content(byte[] bytes, string type = "application/x-protobuf", string? encoding = null)
    {
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(type);
        if (encoding is not null)
        {
            content.Headers.ContentEncoding.Add(encoding);
        }

        return content;
    }

    /// <summary>Posts <paramref name="message"/> as protobuf to the path of its signal.</summary>
    public static Task<HttpResponseMessage> PostAsync(this HttpClient client, IMessage message) => client.PostAsync(message switch
    {
        ExportLogsServiceRequest => "/v1/logs",
        ExportMetricsServiceRequest => "/v1/metrics",
        _ => "/v1/traces",
    }, Content(message.ToByteArray()));

    private static Resource Resource(string? project)
    {
        var resource = new Resource { Attributes = { Text("service.name", "tests") } };
        if (project is not null)
        {
            resource.Attributes.Add(Text("openinference.project.name", project));
        }

        return resource;
    }
}
