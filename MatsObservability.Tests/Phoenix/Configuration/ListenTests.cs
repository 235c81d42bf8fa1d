using System.Net;
using System.Net.NetworkInformation;
using System.Net.Sockets;
using MatsObservability.Tests.Support;
using Phoenix.Service.Listening;

namespace MatsObservability.Tests.Phoenix.Configuration;

/// <summary>Where the service listens.</summary>
public sealed class ListenTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    [Trait("Req", "B022")]
    [Trait("Req", "B040")]
    public async Task Start_PortsGiven_AnswersThere()
    {
        var (http, grpc, otlp) = (FreePort(), FreePort(), FreePort());
        await using var server = await PhoenixServer.StartAsync(
            postgres, ("PHOENIX_PORT", $"{http}"), ("PHOENIX_GRPC_PORT", $"{grpc}"), ("PHOENIX_OTLP_HTTP_PORT", $"{otlp}"));
        using var client = new HttpClient();

        using var page = await client.GetAsync($"http://127.0.0.1:{http}/projects");
        using var spans = await client.PostAsync($"http://127.0.0.1:{http}/v1/traces", Otlp.Content([]));
        using var otlpSpans = await client.PostAsync($"http://127.0.0.1:{otlp}/v1/traces", Otlp.Content([]));

        Assert.Equal(("text/html", HttpStatusCode.OK, HttpStatusCode.OK),
            (page.Content.Headers.ContentType?.MediaType, spans.StatusCode, otlpSpans.StatusCode));
        Assert.EndsWith($":{grpc}", server.GrpcUrl.TrimEnd('/'), StringComparison.Ordinal);
    }

    [Theory]
    [Trait("Req", "B021")]
    [InlineData("127.0.0.1", false)]
    [InlineData("0.0.0.0", true)]
    public async Task Start_Host_IsTheOnlyAddressThatAnswers(string host, bool reachable)
    {
        var port = FreePort();
        await using var server = await PhoenixServer.StartAsync(postgres, ("PHOENIX_HOST", host), ("PHOENIX_PORT", $"{port}"));

        // Every address of 127/8 is this machine's, so another one than 127.0.0.1 is there without a network.
        Assert.Equal((true, reachable), (await AnswersAsync("127.0.0.1", port), await AnswersAsync("127.0.0.2", port)));
        Assert.Equal(
            reachable, IPGlobalProperties.GetIPGlobalProperties().GetActiveTcpListeners()
                .Any(end => end.Port == port && end.Address.Equals(IPAddress.Any)));
    }

    [Fact]
    public void Check_EveryOriginBesideNamedOnes_IsRefused()
    {
        var fault = Assert.Single(ListenOptions.Check(new ListenOptions { CorsOrigins = ["*", "https://a.example"] }));

        Assert.StartsWith("Phoenix:Server:CorsOrigins must be * alone", fault, StringComparison.Ordinal);
        Assert.Empty(ListenOptions.Check(new ListenOptions { CorsOrigins = ["*"] }));
    }

    private static async Task<bool> AnswersAsync(string address, int port)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(IPAddress.Parse(address), port);
            return true;
        }
        catch (SocketException)
        {
            return false;
        }
    }

    private static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }
}
