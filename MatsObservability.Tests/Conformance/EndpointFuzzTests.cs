using System.Buffers.Binary;
using System.IO.Compression;
using System.Net;
using System.Text;
using Google.Protobuf;
using MatsObservability.Tests.Support;
using Microsoft.Extensions.DependencyInjection;
using Phoenix.Service.Ingest.Enqueue;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Conformance;

/// <summary>
/// Mutated requests through the real ports into the real database, every signal by every transport and encoding: no fault of the server, no
/// request without an answer, nothing held back afterwards. One for every ten of <see cref="Mutations.Count"/>.
/// </summary>
[Trait("Req", "B002")]
public sealed class EndpointFuzzTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    private const int Senders = 4;
    private static readonly JsonFormatter s_formatter = new(JsonFormatter.Settings.Default);

    [Fact]
    public async Task Export_MutatedRequests_NeverFailTheServer()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        using var grpc = new HttpClient { BaseAddress = new Uri(server.GrpcUrl) };
        var kinds =
            from signal in Enum.GetValues<Signal>()
            from encoding in (string[])["protobuf", "json", "gzip inside", "gzip outside", "grpc", "grpc frame"]
            select (signal, encoding);

        foreach (var (signal, encoding) in kinds)
        {
            var count = Mutations.Count / 10 / 18;
            await Task.WhenAll(Enumerable.Range(1, Senders).Select(sender => Task.Run(async () =>
            {
                var mutations = new Mutations(sender, [.. Enumerable.Range(1, 20).Select(seed => Body(signal, encoding, seed))]);
                for (var index = 0; index <= count / Senders; index++)
                {
                    await SendAsync(server.Client, grpc, signal, encoding, mutations.Next());
                }
            })));
        }

        using var sound = await server.Client.PostAsync(Otlp.Spans(3, "after the storm"));
        Assert.Equal(HttpStatusCode.OK, sound.StatusCode);
        Assert.Equal(
            3, await server.ScalarAsync<long>(
                "SELECT count(*) FROM spans JOIN projects p ON p.id = project_id WHERE p.name = 'after the storm'"));
        var queue = server.Services.GetRequiredService<IngestQueue>();
        Assert.Equal((0, 0), (queue.Records, queue.Bytes));
    }

    private static byte[] Body(Signal signal, string encoding, int seed)
    {
        var message = new RandomRequests(seed).Next(signal);
        return encoding switch
        {
            "json" => Encoding.UTF8.GetBytes(s_formatter.Format(message)),
            "gzip outside" => Gzip(message.ToByteArray()),
            "grpc frame" => Frame(message.ToByteArray()),
            _ => message.ToByteArray(),
        };
    }

    private static async Task SendAsync(HttpClient http, HttpClient grpc, Signal signal, string encoding, byte[] body)
    {
        if (encoding is "grpc" or "grpc frame")
        {
            var service = signal switch { Signal.Spans => "trace.v1.Trace", Signal.Logs => "logs.v1.Logs", _ => "metrics.v1.Metrics" };
            var answer = await OtlpGrpcTests.GrpcCalls.CallAsync(
                grpc, $"/opentelemetry.proto.collector.{service}Service/Export", [], body: encoding == "grpc" ? Frame(body) : body);
            Assert.True(
                answer.Status is "0" or "3" or "8"
                    or "12", $"{encoding}: {answer.Status} {answer.Text} for {Convert.ToBase64String(body)}");
            return;
        }

        var path = signal switch { Signal.Spans => "/v1/traces", Signal.Logs => "/v1/logs", _ => "/v1/metrics" };
        using var content = Otlp.Content(
            encoding == "gzip inside" ? Gzip(body) : body, encoding == "json" ? "application/json" : "application/x-protobuf",
            encoding.StartsWith("gzip", StringComparison.Ordinal) ? "gzip" : null);
        using var response = await http.PostAsync(path, content);
        Assert.True(
            response.StatusCode is HttpStatusCode.OK or HttpStatusCode.BadRequest or HttpStatusCode.RequestEntityTooLarge,
            $"{encoding}: {response.StatusCode} for {Convert.ToBase64String(body)}");
    }

    private static byte[] Frame(byte[] message)
    {
        byte[] frame = [0, 0, 0, 0, 0, .. message];
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(1), message.Length);
        return frame;
    }

    private static byte[] Gzip(byte[] bytes)
    {
        using var output = new MemoryStream();
        using (var stream = new GZipStream(output, CompressionLevel.Fastest))
        {
            stream.Write(bytes);
        }

        return output.ToArray();
    }
}
