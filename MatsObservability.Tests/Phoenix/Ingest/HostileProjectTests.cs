using Google.Protobuf;
using MatsObservability.Tests.Support;
using OpenTelemetry.Proto.Collector.Trace.V1;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace MatsObservability.Tests.Phoenix.Ingest;

/// <summary>A request brings a bounded number of projects into being; what belongs to further ones is rejected alone.</summary>
[Trait("Req", "B002")]
public sealed class HostileProjectTests(PostgresFixture postgres) : IClassFixture<PostgresFixture>
{
    [Fact]
    public async Task Export_MoreNewProjectsThanARequestMayBring_RejectsTheRecordsOfTheRest()
    {
        await using var server = await PhoenixServer.StartAsync(postgres);
        (await server.Client.PostAsync(Otlp.Spans(1, "known"))).EnsureSuccessStatusCode();
        var before = await server.ScalarAsync<long>("SELECT count(*) FROM projects");
        var request = new ExportTraceServiceRequest();
        for (var index = 0; index < RecordRequest.MaxNewProjects + 20; index++)
        {
            request.ResourceSpans.Add(Otlp.Spans(2, $"new-{index}").ResourceSpans);
        }

        request.ResourceSpans.Add(Otlp.Spans(2, "known").ResourceSpans);

        using var response = await server.Client.PostAsync(request);

        response.EnsureSuccessStatusCode();
        var partial = ExportTraceServiceResponse.Parser.ParseFrom(await response.Content.ReadAsByteArrayAsync()).PartialSuccess;
        Assert.Equal(40, partial.RejectedSpans);
        Assert.Contains("resource_spans[100]", partial.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("openinference.project.name", partial.ErrorMessage, StringComparison.Ordinal);
        Assert.Contains("100", partial.ErrorMessage, StringComparison.Ordinal);
        Assert.Equal(before + RecordRequest.MaxNewProjects, await server.ScalarAsync<long>("SELECT count(*) FROM projects"));
        Assert.Equal(1 + (2 * RecordRequest.MaxNewProjects) + 2, await server.ScalarAsync<long>("SELECT count(*) FROM spans"));
    }

    [Fact]
    public void Decode_PointsOfProjectsThatMayNotBeMade_AreCountedOneByOne()
    {
        using var decoding = new Decoding(projects: (string _, out int id) =>
        {
            id = 0;
            return false;
        });
        var request = Otlp.Gauge("gauge", 1, Otlp.NowNanos);
        var points = request.ResourceMetrics[0].ScopeMetrics[0].Metrics[0].Gauge.DataPoints;
        points.Add(points[0].Clone());

        using var batch = decoding.Decode(Signal.MetricPoints, request.ToByteArray(), newProjects: 0).Batch!;

        Assert.Equal((0, 2), (batch.RecordCount, batch.RejectedCount));
    }
}
