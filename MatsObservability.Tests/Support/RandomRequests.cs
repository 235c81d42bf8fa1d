using System.Text;
using Google.Protobuf;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Logs.V1;
using OpenTelemetry.Proto.Metrics.V1;
using OpenTelemetry.Proto.Resource.V1;
using OpenTelemetry.Proto.Trace.V1;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Support;

/// <summary>
/// Random export requests of every signal with every field of the messages in use; the same seed gives the same requests.
/// </summary>
internal sealed class RandomRequests(int seed)
{
    private static readonly string[] s_keys =
    [
        "openinference.span.kind", "session.id", "user.id", "llm.model_name", "llm.token_count.prompt",
        "llm.token_count.completion", "input.value",
        "output.value", "llm.provider", "gen_ai.operation.name", "gen_ai.request.model", "gen_ai.input.messages",
        "gen_ai.usage.input_tokens", "ai.operationId",
        "ai.prompt.messages", "traceloop.span.kind", "mcp.method.name", "error.type", "metadata",
    ];

    private static readonly string[] s_texts =
        ["", "LLM", "tool", "a\"b\\c", "line\nbreak\ttab", "naïve café", "日本語テキスト", "🎉🎊", "nul\0inside",
            "[{\"role\":\"user\",\"content\":\"hi\"}]", "12", "-1",
         """[{"role":"user","parts":[{"type":"text","content":"\ud83c half \\ud83c \ud83c\udf89 end"},5,{"type":"tool_call","id":7}]}]""",
         """{"a":[1,{"b":"""];

    private readonly Random _random = new(seed);

    /// <summary>A request of <paramref name="signal"/>.</summary>
    public IMessage Next(Signal signal) => signal switch { Signal.Spans => Next(), Signal.Logs => NextLogs(), _ => NextMetrics() };

    /// <summary>A request of log records.</summary>
    public ExportLogsServiceRequest NextLogs()
    {
        var scope = new ScopeLogs { SchemaUrl = Text(), Scope = new InstrumentationScope { Name = Text(), Version = Text() } };
        for (var i = _random.Next(5); i >= 0; i--)
        {
            var record = new LogRecord
            {
                TimeUnixNano = Time(), ObservedTimeUnixNano = Time(), SeverityNumber = (SeverityNumber)_random.Next(-1, 27),
                SeverityText = Text(), EventName = Text(),
                Body = Value(0), Flags = Small(), DroppedAttributesCount = Small(), TraceId = Bytes(16),
                SpanId = Bytes(_random.Next(4) == 0 ? 3 : 8),
            };
            AddAttributes(record.Attributes, 0);
            scope.LogRecords.Add(record);
        }

        var resource = new ResourceLogs { SchemaUrl = Text(), Resource = new Resource(), ScopeLogs = { scope } };
        AddAttributes(resource.Resource.Attributes, 0);
        return new ExportLogsServiceRequest { ResourceLogs = { resource } };
    }

    /// <summary>A request of metric points of every type.</summary>
    public ExportMetricsServiceRequest NextMetrics()
    {
        var scope = new ScopeMetrics { SchemaUrl = Text(), Scope = new InstrumentationScope { Name = Text(), Version = Text() } };
        scope.Metrics.Add(new Metric
        {
            Name = Text(), Unit = Text(), Description = Text(),
            Gauge = new Gauge
            {
                DataPoints =
                {
                    Point(new NumberDataPoint { TimeUnixNano = Time(), AsDouble = _random.NextDouble() }, point => point.Attributes),
                },
            },
        });
        scope.Metrics.Add(new Metric
        {
            Name = "sum",
            Sum = new Sum
            {
                IsMonotonic = true, AggregationTemporality = AggregationTemporality.Delta,
                DataPoints =
                {
                    Point(new NumberDataPoint
                    {
                        TimeUnixNano = Time(), StartTimeUnixNano = Time(), AsInt = _random.NextInt64(), Flags = Small(),
                        Exemplars = { new Exemplar { TimeUnixNano = Time(), AsDouble = 1, TraceId = Bytes(16), SpanId = Bytes(8) } },
                    }, point => point.Attributes),
                },
            },
        });
        scope.Metrics.Add(new Metric
        {
            Name = "histogram",
            Histogram = new Histogram
            {
                DataPoints =
                {
                    Point(new HistogramDataPoint
                    {
                        TimeUnixNano = Time(), Count = 3, Sum = 4.5, Min = 1, Max = 2,
                        BucketCounts = { 1, 0, 2 }, ExplicitBounds = { 1, 5 },
                    }, point => point.Attributes),
                },
            },
        });
        scope.Metrics.Add(new Metric
        {
            Name = "exponential",
            ExponentialHistogram = new ExponentialHistogram
            {
                DataPoints =
                {
                    Point(new ExponentialHistogramDataPoint
                    {
                        TimeUnixNano = Time(), Count = 9, Sum = -1, Scale = _random.Next(-5, 20), ZeroCount = 1, ZeroThreshold = 0.1,
                        Positive = new() { Offset = _random.Next(-9, 9), BucketCounts = { 1, 2, 3 } },
                        Negative = new() { BucketCounts = { 2 } },
                    }, point => point.Attributes),
                },
            },
        });
        scope.Metrics.Add(new Metric
        {
            Name = "summary",
            Summary = new Summary
            {
                DataPoints =
                {
                    Point(new SummaryDataPoint
                    {
                        TimeUnixNano = Time(), Count = 2, Sum = 3,
                        QuantileValues = { new SummaryDataPoint.Types.ValueAtQuantile { Quantile = 0.5, Value = double.NaN } },
                    }, point => point.Attributes),
                },
            },
        });
        var resource = new ResourceMetrics { SchemaUrl = Text(), Resource = new Resource(), ScopeMetrics = { scope } };
        AddAttributes(resource.Resource.Attributes, 0);
        return new ExportMetricsServiceRequest { ResourceMetrics = { resource } };
    }

    /// <summary>A request of spans.</summary>
    public ExportTraceServiceRequest Next()
    {
        var request = new ExportTraceServiceRequest();
        for (var i = _random.Next(3); i >= 0; i--)
        {
            var resource = new ResourceSpans { SchemaUrl = Text(), Resource = new Resource { DroppedAttributesCount = Small() } };
            AddAttributes(resource.Resource.Attributes, 0);
            for (var j = _random.Next(3); j >= 0; j--)
            {
                var scope = new ScopeSpans
                {
                    SchemaUrl = Text(),
                    Scope = new InstrumentationScope { Name = Text(), Version = Text(), DroppedAttributesCount = Small() },
                };
                AddAttributes(scope.Scope.Attributes, 0);
                for (var k = _random.Next(4); k > 0; k--)
                {
                    scope.Spans.Add(NextSpan());
                }

                resource.ScopeSpans.Add(scope);
            }

            request.ResourceSpans.Add(resource);
        }

        return request;
    }

    private T Point<T>(T point, Func<T, Google.Protobuf.Collections.RepeatedField<KeyValue>> attributes)
    {
        AddAttributes(attributes(point), 0);
        return point;
    }

    private ulong Time() => (ulong)_random.NextInt64(0, 4_000_000_000_000_000_000);

    private Span NextSpan()
    {
        var start = Time();
        var span = new Span
        {
            TraceId = Bytes(16), SpanId = Bytes(8), ParentSpanId = _random.Next(3) == 0
                ? ByteString.Empty
                : Bytes(8), TraceState = Text(), Name = Text(),
            Kind = (Span.Types.SpanKind)_random.Next(-1, 7), StartTimeUnixNano = start,
            EndTimeUnixNano = _random.Next(10) == 0 ? 0 : start + (ulong)_random.Next(),
            Flags = Small(), DroppedAttributesCount = Small(), DroppedEventsCount = Small(), DroppedLinksCount = Small(),
        };
        if (_random.Next(2) == 0)
        {
            span.Status = new Status { Message = Text(), Code = (Status.Types.StatusCode)_random.Next(-1, 4) };
        }

        AddAttributes(span.Attributes, 0);
        for (var i = _random.Next(3); i > 0; i--)
        {
            var item = new Span.Types.Event
            {
                Name = _random.Next(3) == 0 ? "gen_ai.choice" : Text(),
                TimeUnixNano = start,
                DroppedAttributesCount = Small(),
            };
            AddAttributes(item.Attributes, 0);
            span.Events.Add(item);
            var link = new Span.Types.Link
            {
                TraceId = Bytes(16),
                SpanId = Bytes(8),
                TraceState = Text(),
                Flags = Small(),
                DroppedAttributesCount = Small(),
            };
            AddAttributes(link.Attributes, 0);
            span.Links.Add(link);
        }

        return span;
    }

    private void AddAttributes(Google.Protobuf.Collections.RepeatedField<KeyValue> attributes, int depth)
    {
        for (var i = _random.Next(8); i > 0; i--)
        {
            attributes.Add(
                new KeyValue
                {
                    Key = _random.Next(2) == 0 ? s_keys[_random.Next(s_keys.Length)] : $"key {_random.Next(6)}{Text()}",
                    Value = Value(depth),
                });
        }
    }

    private AnyValue? Value(int depth) => _random.Next(depth > 3 ? 7 : 9) switch
    {
        0 => null,
        1 => new AnyValue(),
        2 => new AnyValue { BoolValue = _random.Next(2) == 0 },
        3 => new AnyValue { IntValue = _random.Next(2) == 0 ? _random.NextInt64() : _random.Next(-5, 1000) },
        4 => new AnyValue
        {
            DoubleValue = _random.Next(4) switch
            {
                0 => double.NaN,
                1 => double.PositiveInfinity,
                2 => _random.Next(),
                _ => _random.NextDouble() * 1e20,
            },
        },
        5 => new AnyValue { BytesValue = Bytes(_random.Next(20)) },
        6 => new AnyValue { StringValue = Text() },
        7 => new AnyValue
        {
            ArrayValue = new ArrayValue
            {
                Values = { Enumerable.Range(0, _random.Next(4)).Select(_ => Value(depth + 1) ?? new AnyValue()) },
            },
        },
        _ => KeyValues(depth + 1),
    };

    private AnyValue KeyValues(int depth)
    {
        var list = new KeyValueList();
        AddAttributes(list.Values, depth);
        return new AnyValue { KvlistValue = list };
    }

    private string Text()
    {
        var text = new StringBuilder();
        for (var i = _random.Next(4); i > 0; i--)
        {
            text.Append(
                _random.Next(4) == 0 ? new string((char)_random.Next(1, 0x7F), _random.Next(60)) : s_texts[_random.Next(s_texts.Length)]);
        }

        return text.ToString();
    }

    private ByteString Bytes(int length)
    {
        var bytes = new byte[length];
        _random.NextBytes(bytes);
        return ByteString.CopyFrom(bytes);
    }

    private uint Small() => _random.Next(3) == 0 ? (uint)_random.Next() : 0;
}
