using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Trace;

namespace MatsObservability.Tests.Phoenix.Security;

/// <summary>OTLP by every transport and signal, with and without credentials.</summary>
[Trait("Req", "B028")]
[Trait("Req", "B042")]
public sealed class OtlpAuthTests(SecuredServer server) : IClassFixture<SecuredServer>
{
    public static IEnumerable<object[]> Doors =>
        from door in (string[])["http", "otlp", "grpc"]
        from signal in (string[])["traces", "logs", "metrics"]
        select new object[] { door, signal };

    [Theory]
    [MemberData(nameof(Doors))]
    public async Task Export_ByDoorAndSignal_NeedsACredentialThatWrites(string door, string signal)
    {
        var missing = await SendAsync(door, signal, token: null);
        var wrong = await SendAsync(door, signal, server.Keys["MEMBER"] + "x");
        var viewer = await SendAsync(door, signal, server.Keys["VIEWER"]);

        Assert.Equal(door == "grpc" ? ["16", "16", "7"] : ["401", "401", "403"], new[] { missing, wrong, viewer });
        foreach (var caller in new[] { server.Keys["MEMBER"], server.Keys["SYSTEM"], server.Keys["ADMIN"], SecuredServer.AdminSecret })
        {
            Assert.Equal(door == "grpc" ? "0" : "200", await SendAsync(door, signal, caller));
        }
    }

    [Fact]
    public async Task Export_Refused_StoresNothing()
    {
        var before = await server.Phoenix.ScalarAsync<long>("SELECT count(*) FROM projects WHERE name = 'intruder'");
        using var refused = await server.SendAsync(
            HttpMethod.Post, "/v1/traces", token: null, Otlp.Content(Otlp.Spans(1, "intruder").ToByteArray()));

        Assert.Equal((HttpStatusCode.Unauthorized, 0L), (refused.StatusCode, before));
        Assert.Equal(0L, await server.Phoenix.ScalarAsync<long>("SELECT count(*) FROM projects WHERE name = 'intruder'"));
    }

    [Theory]
    [InlineData(OtlpExportProtocol.Grpc, true)]
    [InlineData(OtlpExportProtocol.HttpProtobuf, true)]
    [InlineData(OtlpExportProtocol.Grpc, false)]
    [InlineData(OtlpExportProtocol.HttpProtobuf, false)]
    public async Task Export_OpenTelemetrySdkWithTheHeader_IsStored(OtlpExportProtocol protocol, bool withKey)
    {
        var name = $"sdk-{Guid.NewGuid():N}";
        using var source = new ActivitySource(name);
        using (var tracing = Sdk.CreateTracerProviderBuilder().AddSource(name).AddOtlpExporter(options =>
        {
            (options.Endpoint, options.Protocol) =
                (new Uri(protocol == OtlpExportProtocol.Grpc ? server.Phoenix.GrpcUrl : $"{server.Phoenix.OtlpHttpUrl}/v1/traces"),
                    protocol);
            options.Headers = withKey ? $"authorization=Bearer {server.Keys["MEMBER"]}" : null;
        }).Build())
        {
            source.StartActivity(name)!.Dispose();
            tracing.ForceFlush(10_000);
        }

        Assert.Equal(withKey ? 1L : 0L, await server.Phoenix.ScalarAsync<long>($"SELECT count(*) FROM spans WHERE name = '{name}'"));
    }

    private async Task<string> SendAsync(string door, string signal, string? token)
    {
        IMessage message = signal switch
        {
            "traces" => Otlp.Spans(1),
            "logs" => Otlp.Log("by key"),
            _ => Otlp.Gauge("by.key", 1, Otlp.NowNanos),
        };
        using var client = new HttpClient
        {
            BaseAddress = new Uri(
                door switch { "http" => server.Phoenix.HttpUrl, "otlp" => server.Phoenix.OtlpHttpUrl, _ => server.Phoenix.GrpcUrl }),
            DefaultRequestVersion = door == "grpc" ? HttpVersion.Version20 : HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        client.DefaultRequestHeaders.Authorization = token is null ? null : new AuthenticationHeaderValue("Bearer", token);
        if (door != "grpc")
        {
            using var answer = await client.PostAsync(message);
            return ((int)answer.StatusCode).ToString(System.Globalization.CultureInfo.InvariantCulture);
        }

        var service = signal switch
        {
            "traces" => "trace.v1.TraceService",
            "logs" => "logs.v1.LogsService",
            _ => "metrics.v1.MetricsService",
        };
        var bytes = message.ToByteArray();
        byte[] frame = [0, (byte)(bytes.Length >> 24), (byte)(bytes.Length >> 16), (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes];
        using var call = await client.PostAsync($"/opentelemetry.proto.collector.{service}/Export",
            Otlp.Content(frame, "application/grpc"));
        Assert.Equal((HttpStatusCode.OK, "application/grpc"), (call.StatusCode, call.Content.Headers.ContentType?.MediaType));
        await call.Content.ReadAsByteArrayAsync();
        return call.TrailingHeaders.GetValues("grpc-status").Single();
    }
}
