using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Protobuf bytes of one ExportTraceServiceRequest to a <see cref="TelemetryBatch"/>: one pass, straight into COPY rows. Structurally
/// broken bytes anywhere make the whole body malformed; a well-formed span that cannot be stored is left out and counted. Safe for any
/// number of threads.
/// </summary>
internal sealed class SpanDecoder(
    ProjectLookup projects, ResourceInterner interner, AttributePolicy policy, SpanNormalizer normalizer,
    HeadSampler sampler, UserLabels users,
    IOptions<DecodeOptions> options)
{
    private const int MaxPooled = 64;

    private readonly ConcurrentQueue<SpanScratch> _pool = new();

    /// <summary>Decodes one body; <paramref name="projectOverride"/> is the header x-project-name and wins over the resources.</summary>
    public DecodeResult Decode(
        ReadOnlySpan<byte> protobufBody, string? projectOverride, int newProjects = RecordRequest.MaxNewProjects)
    {
        if (!_pool.TryDequeue(out var scratch))
        {
            scratch = new SpanScratch(policy, users);
        }

        var batch = new TelemetryBatch(Signal.Spans, protobufBody.Length / 4 * 5);
        var result = new SpanRequest(batch, projects, interner, options.Value, projectOverride, scratch, normalizer, sampler).Decode(
            protobufBody, newProjects);
        scratch.Use.ReportOf(result);
        if (result.Batch is null)
        {
            scratch.Deltas.Clear();
        }
        else
        {
            scratch.Deltas.MoveTo(batch);
        }

        Return(scratch);
        return result;
    }

    private void Return(SpanScratch scratch)
    {
        if (_pool.Count < MaxPooled && !scratch.Deltas.IsLarge)
        {
            scratch.ForgetLongKeys();
            _pool.Enqueue(scratch);
        }
    }
}
