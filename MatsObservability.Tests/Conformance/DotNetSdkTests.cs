using System.Diagnostics;
using System.Diagnostics.Metrics;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.Logging;
using Npgsql;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Logs;
using OpenTelemetry.Metrics;
using OpenTelemetry.Resources;
using OpenTelemetry.Trace;

namespace MatsObservability.Tests.Conformance;

/// <summary>The unmodified OpenTelemetry SDK for .NET exports all three signals, and every value comes back as it was recorded.</summary>
[Trait("Req", "B002")]
[Trait("Req", "A06")]
public sealed partial class DotNetSdkTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Theory]
    [InlineData(OtlpExportProtocol.Grpc)]
    [InlineData(OtlpExportProtocol.HttpProtobuf)]
    public async Task Export_AllSignals_AreStoredAsRecorded(OtlpExportProtocol protocol)
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        var name = $"sdk-{Guid.NewGuid():N}";
        var resource = ResourceBuilder.CreateEmpty().AddService(name, serviceVersion: "9.1");
        Uri Endpoint(string signal) => new(protocol == OtlpExportProtocol.Grpc ? server.GrpcUrl : $"{server.OtlpHttpUrl}/v1/{signal}");
        void Otlp(OtlpExporterOptions options, string signal) => (options.Endpoint, options.Protocol) = (Endpoint(signal), protocol);
        using var source = new ActivitySource(name);
        using var meter = new Meter(name);
        Activity span;
        using (var tracing = Sdk.CreateTracerProviderBuilder().SetResourceBuilder(resource).AddSource(name)
            .AddOtlpExporter(options => Otlp(options, "traces")).Build())
        using (var metrics = Sdk.CreateMeterProviderBuilder().SetResourceBuilder(resource).AddMeter(name)
            .AddOtlpExporter(options => Otlp(options, "metrics")).Build())
        using (var logging = LoggerFactory.Create(
            builder =>
                builder.AddOpenTelemetry(logs => logs.SetResourceBuilder(resource).AddOtlpExporter(options => Otlp(options, "logs")))))
        {
            using (span = source.StartActivity("chat", ActivityKind.Client)!)
            {
                span.SetTag("text", "naïve ☂").SetTag("count", 9_007_199_254_740_993L).SetTag("ratio", 0.1).SetTag("yes", true)
                    .SetTag("list", new[] { "a", "b" });
                span.AddEvent(new ActivityEvent("first token", tags: new ActivityTagsCollection { ["n"] = 1 }));
                Told(logging.CreateLogger(name), 42);
                meter.CreateCounter<long>("calls").Add(3);
            }

            Assert.True(tracing.ForceFlush(10_000) && metrics.ForceFlush(10_000));
        }

        var id = new Guid(Convert.FromHexString(span.TraceId.ToHexString()), bigEndian: true);
        await using var connection = await server.OpenAsync();
        await using var command = new NpgsqlCommand("""
            SELECT to_hex(span_id), start_ns, end_ns, name, kind, spans.attributes, events, resources.attributes FROM spans JOIN resources ON resources.id = resource_id WHERE trace_id = $1
            """, connection);
        command.Parameters.AddWithValue(id);
        await using (var row = await command.ExecuteReaderAsync())
        {
            Assert.True(await row.ReadAsync());
            Assert.Equal(span.SpanId.ToHexString(), row.GetString(0).PadLeft(16, '0'));
            Assert.Equal((Nanos(span.StartTimeUtc), Nanos(span.StartTimeUtc + span.Duration)), (row.GetInt64(1), row.GetInt64(2)));
            Assert.Equal(("chat", (short)3), (row.GetString(3), row.GetInt16(4)));
            using var attributes = System.Text.Json.JsonDocument.Parse(row.GetString(5));
            Assert.Equal("naïve ☂", attributes.RootElement.GetProperty("text").GetString());
            Assert.Equal(9_007_199_254_740_993L, attributes.RootElement.GetProperty("count").GetInt64());
            Assert.Equal("0.1", attributes.RootElement.GetProperty("ratio").GetRawText());
            Assert.True(attributes.RootElement.GetProperty("yes").GetBoolean());
            Assert.Equal("""["a","b"]""", attributes.RootElement.GetProperty("list").GetRawText());
            Assert.Contains("first token", row.GetString(6), StringComparison.Ordinal);
            Assert.Contains("9.1", row.GetString(7), StringComparison.Ordinal);
        }

        Assert.Equal(1L, await server.ScalarAsync<long>($"SELECT count(*) FROM logs WHERE trace_id = '{id}' AND attributes LIKE '%42%'"));
        Assert.Equal(
            3L, await server.ScalarAsync<long>(
                "SELECT int_value FROM metric_points JOIN metric_series ON id = series_id WHERE name = 'calls'"));
    }

    private static long Nanos(DateTime time) => (time - DateTime.UnixEpoch).Ticks * 100;

    [LoggerMessage(1, LogLevel.Error, "The answer is {Answer}")]
    private static partial void Told(ILogger logger, int answer);
}
