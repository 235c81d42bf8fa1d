using System.Collections.Concurrent;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Protobuf bytes of one ExportTraceServiceRequest to a <see cref="TelemetryBatch"/>: one pass, straight into COPY rows. Structurally broken
/// bytes anywhere make the whole body malformed; a well-formed span that cannot be stored is left out and counted. Safe for any number of threads.
/// </summary>
internal sealed class SpanDecoder(
    ProjectLookup projects, ResourceInterner interner, AttributePolicy policy, SpanNormalizer normalizer, HeadSampler sampler, UserLabels users,
    IOptions<DecodeOptions> options, IOptions<NormalizeOptions> limits)
{
    private const int MaxPooled = 64;

    private readonly ConcurrentQueue<SpanScratch> _pool = new();

    /// <summary>Decodes one body; <paramref name="projectOverride"/> is the header x-project-name and wins over the resources.</summary>
    public DecodeResult Decode(ReadOnlySpan<byte> protobufBody, string? projectOverride)
    {
        if (!_pool.TryDequeue(out var scratch))
        {
            scratch = new SpanScratch(policy, limits.Value.MaxAttributes, users);
        }

        var batch = new TelemetryBatch(Signal.Spans, protobufBody.Length / 4 * 5);
        var request = new SpanRequest(protobufBody, batch, scratch, this, projectOverride);
        var decoded = request.TryDecode();
        scratch.Use.Report(batch.SampledOutCount);
        if (decoded && request.UnknownProjects is null)
        {
            scratch.Deltas.MoveTo(batch);
            Return(scratch);
            return DecodeResult.Decoded(batch);
        }

        batch.Dispose();
        scratch.Deltas.Clear();
        Return(scratch);
        return decoded ? DecodeResult.MissingProjects(request.UnknownProjects!) : DecodeResult.Malformed(request.Error!);
    }

    /// <summary>The id of a project; false when it has to be created first.</summary>
    internal bool TryGetProject(string name, out int id) => projects(name, out id);

    /// <summary>Resources and scopes.</summary>
    internal ResourceInterner Interner => interner;

    /// <summary>Facts, derived attributes and cost of a span.</summary>
    internal SpanNormalizer Normalizer => normalizer;

    /// <summary>Which traces are kept.</summary>
    internal HeadSampler Sampler => sampler;

    /// <summary>Project of resources that name none.</summary>
    internal string DefaultProject => options.Value.DefaultProject;

    private void Return(SpanScratch scratch)
    {
        if (_pool.Count < MaxPooled)
        {
            _pool.Enqueue(scratch);
        }
    }
}
