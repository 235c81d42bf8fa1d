using System.Buffers.Binary;
using System.Collections.Concurrent;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using OpenTelemetry.Proto.Collector.Logs.V1;
using OpenTelemetry.Proto.Collector.Metrics.V1;
using OpenTelemetry.Proto.Collector.Trace.V1;
using OpenTelemetry.Proto.Trace.V1;

namespace MatsObservability.Tests.ServiceDefaults;

/// <summary>A real OTLP receiver on two loopback ports, HTTP/protobuf and gRPC, that keeps what it is sent.</summary>
internal sealed class OtlpReceiver : IAsyncDisposable
{
    private const int GrpcFrameHeader = 5;
    private readonly WebApplication _app;

    private OtlpReceiver(WebApplication app)
    {
        _app = app;
        var addresses = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.ToList();
        (HttpUrl, GrpcUrl) = (addresses[0], addresses[1]);
    }

    public string HttpUrl { get; }

    public string GrpcUrl { get; }

    public ConcurrentQueue<ExportTraceServiceRequest> Traces { get; } = new();

    public ConcurrentQueue<ExportMetricsServiceRequest> Metrics { get; } = new();

    public ConcurrentQueue<ExportLogsServiceRequest> Logs { get; } = new();

    public ConcurrentQueue<string?> ApiKeys { get; } = new();

    public IEnumerable<Span> Spans => Traces.SelectMany(request => request.ResourceSpans).SelectMany(resource => resource.ScopeSpans)
        .SelectMany(scope => scope.Spans);

    public static async Task<OtlpReceiver> StartAsync()
    {
        var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http1);
            kestrel.Listen(System.Net.IPAddress.Loopback, 0, endpoint => endpoint.Protocols = HttpProtocols.Http2);
        });
        var app = builder.Build();
        var receiver = default(OtlpReceiver);
        app.Run(context => receiver!.ReceiveAsync(context));
        await app.StartAsync();
        return receiver = new OtlpReceiver(app);
    }

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private async Task ReceiveAsync(HttpContext context)
    {
        using var body = new MemoryStream();
        await context.Request.Body.CopyToAsync(body);
        var isGrpc = context.Request.ContentType?.StartsWith("application/grpc", StringComparison.Ordinal) == true;
        var message = isGrpc ? Unframe(body.ToArray()) : body.ToArray();
        ApiKeys.Enqueue(context.Request.Headers["x-api-key"]);
        var path = context.Request.Path.Value!;
        if (path.Contains("trace", StringComparison.Ordinal))
        {
            Traces.Enqueue(ExportTraceServiceRequest.Parser.ParseFrom(message));
        }
        else if (path.Contains("metrics", StringComparison.Ordinal))
        {
            Metrics.Enqueue(ExportMetricsServiceRequest.Parser.ParseFrom(message));
        }
        else
        {
            Logs.Enqueue(ExportLogsServiceRequest.Parser.ParseFrom(message));
        }

        if (isGrpc)
        {
            context.Response.ContentType = "application/grpc";
            context.Response.AppendTrailer("grpc-status", "0");
            await context.Response.Body.WriteAsync(new byte[GrpcFrameHeader]);
        }
    }

    private static byte[] Unframe(byte[] frame)
    {
        Assert.Equal(0, frame[0]);
        Assert.Equal(frame.Length - GrpcFrameHeader, BinaryPrimitives.ReadInt32BigEndian(frame.AsSpan(1)));
        return frame[GrpcFrameHeader..];
    }
}
