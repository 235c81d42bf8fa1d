using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>The decoder of each signal.</summary>
internal sealed class Decoders(SpanDecoder spans, LogDecoder logs, MetricDecoder metrics)
{
    /// <summary>
    /// Decodes the protobuf export request of <paramref name="signal"/>; the records of more than <paramref name="newProjects"/> unknown
    /// projects are rejected.
    /// </summary>
    public DecodeResult Decode(
        Signal signal, ReadOnlySpan<byte> body, string? projectOverride, int newProjects = RecordRequest.MaxNewProjects) => signal switch
        {
            Signal.Spans => spans.Decode(body, projectOverride, newProjects),
            Signal.Logs => logs.Decode(body, projectOverride, newProjects),
            _ => metrics.Decode(body, projectOverride, newProjects),
        };
}
