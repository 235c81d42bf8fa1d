using System.Diagnostics;
using System.Diagnostics.Metrics;
using MatsObservability.ServiceDefaults;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using OpenTelemetry.Proto.Common.V1;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.ServiceDefaults;

/// <summary>
/// Activity sources are process wide, so a receiver may also see requests of tests that run beside it: each test looks for routes of its
/// own.
/// </summary>
public sealed class TelemetryExportTests
{
    [Theory]
    [InlineData("http/protobuf")]
    [InlineData("grpc")]
    [Trait("Req", "A15")]
    [Trait("Req", "A17")]
    [Trait("Req", "A18")]
    public async Task Request_Routed_ExportsNamedServerSpanBeforeTheHostEnds(string protocol)
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var route = $"/things-{Guid.NewGuid():N}/{{id}}";
        await using (var service = await StartAsync(receiver, protocol, app => app.MapGet(route, (string id) => id)))
        {
            await service.Client.GetStringAsync(route.Replace("{id}", "42", StringComparison.Ordinal));
            await service.StopAsync();
        }

        var span = Assert.Single(receiver.Spans, span => span.Name == $"GET {route}");
        Assert.Equal(Span.Types.SpanKind.Server, span.Kind);
        Assert.Equal(route, Value(span.Attributes, "http.route"));
        Assert.Equal("200", Value(span.Attributes, "http.response.status_code"));
        Assert.Equal("GET", Value(span.Attributes, "http.request.method"));
        var resource = receiver.Traces.SelectMany(request => request.ResourceSpans)
            .First(resource => resource.ScopeSpans.Any(scope => scope.Spans.Contains(span))).Resource;
        Assert.Equal("my-project", Value(resource.Attributes, "openinference.project.name"));
        Assert.Equal("renamed", Value(resource.Attributes, "service.name"));
        Assert.All(receiver.ApiKeys, key => Assert.Equal("abc", key));
    }

    [Fact]
    public async Task Request_HandlerThrows_MarksTheSpanAsError()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var route = $"/throws-{Guid.NewGuid():N}";
        await using (var service = await StartAsync(
            receiver, "http/protobuf", app => app.MapGet(route, IResult () => throw new InvalidTimeZoneException())))
        {
            using var response = await service.Client.GetAsync(route);
        }

        var span = Assert.Single(receiver.Spans, span => span.Name == $"GET {route}");
        Assert.Equal(Status.Types.StatusCode.Error, span.Status.Code);
        Assert.Equal(typeof(InvalidTimeZoneException).FullName, Value(span.Attributes, "error.type"));
    }

    [Fact]
    public async Task Request_UntracedPath_MakesNoSpanNorDoesWhatItCalls()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var source = $"source-{Guid.NewGuid():N}";
        using var activities = new ActivitySource(source);
        var (quiet, loud) = ($"/quiet-{Guid.NewGuid():N}", $"/loud-{Guid.NewGuid():N}");
        await using (var service = await StartAsync(
            receiver,
            "http/protobuf",
            app =>
            {
                app.MapGet(quiet, () => Traced("below quiet"));
                app.MapGet(loud, () => Traced("below loud"));
            },
            telemetry =>
            {
                telemetry.Sources.Add(source);
                telemetry.UntracedPaths.Add(quiet);
            }))
        {
            await service.Client.GetStringAsync(quiet);
            await service.Client.GetStringAsync(loud);
        }

        Assert.Contains(receiver.Spans, span => span.Name == "below loud");
        Assert.DoesNotContain(receiver.Spans, span => span.Name == "below quiet" || Value(span.Attributes, "url.path") == quiet);

        string Traced(string name)
        {
            using var activity = activities.StartActivity(name);
            return name;
        }
    }

    [Theory]
    [InlineData("/health")]
    [InlineData("/health/ready")]
    [InlineData("/healthz")]
    [InlineData("/metrics")]
    public void UntracedPaths_Default_HoldTheProbes(string path) =>
        Assert.True(new UntracedPaths(new TelemetryOptions().UntracedPaths).Contains(path));

    [Fact]
    public async Task LogsAndMetrics_OfTheService_AreExported()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        var name = $"meter-{Guid.NewGuid():N}";
        using var meter = new Meter(name);
        var counter = meter.CreateCounter<int>("orders");
        await using (var service = await StartAsync(receiver, "http/protobuf", _ => { }, telemetry => telemetry.Meters.Add(name)))
        {
            counter.Add(3);
            service.Services.GetRequiredService<ILoggerFactory>().CreateLogger("orders").LogWarning("Order {Id} is late", 7);
        }

        var metrics = receiver.Metrics.SelectMany(request => request.ResourceMetrics).SelectMany(resource => resource.ScopeMetrics)
            .SelectMany(scope => scope.Metrics);
        Assert.Contains(metrics, metric => metric.Name == "orders" && metric.Sum.DataPoints[0].AsInt == 3);
        var logs = receiver.Logs.SelectMany(request => request.ResourceLogs).SelectMany(resource => resource.ScopeLogs)
            .SelectMany(scope => scope.LogRecords);
        Assert.Contains(logs, log => log.Body.StringValue == "Order 7 is late");
    }

    [Fact]
    public async Task Export_SwitchedOff_SendsNothingThoughAnEndpointIsSet()
    {
        await using var receiver = await OtlpReceiver.StartAsync();
        await using (var service = await StartAsync(
            receiver, "http/protobuf", app => app.MapGet("/x", () => "x"), telemetry => telemetry.Export = false))
        {
            await service.Client.GetStringAsync("/x");
        }

        Assert.Empty(receiver.ApiKeys);
    }

    private static Task<TestService> StartAsync(
        OtlpReceiver receiver, string protocol, Action<WebApplication> map, Action<TelemetryOptions>? configure = null) =>
        TestService.StartAsync(
        map,
        builder => builder.AddServiceDefaults(telemetry =>
        {
            telemetry.ProjectName = "my-project";
            configure?.Invoke(telemetry);
        }),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", protocol == "grpc" ? receiver.GrpcUrl : receiver.HttpUrl),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=abc"),
        ("OTEL_SERVICE_NAME", "renamed"));

    private static string? Value(IEnumerable<KeyValue> attributes,
        string key) => attributes.FirstOrDefault(attribute => attribute.Key == key)?.Value switch
        {
            { HasStringValue: true } text => text.StringValue,
            { HasIntValue: true } number => $"{number.IntValue}",
            _ => null,
        };
}
