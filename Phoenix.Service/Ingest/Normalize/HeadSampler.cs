using System.Buffers.Binary;
using Microsoft.Extensions.Options;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>
/// Keeps a share of traces by their id alone, so that every replica decides alike, a trace stays whole, and one kept at some rate is kept
/// at every higher rate. The id is mixed first: not all senders put randomness into the same bytes of it.
/// </summary>
internal sealed class HeadSampler(IOptions<NormalizeOptions> options)
{
    private readonly Dictionary<string, double> _projects = NormalizeOptions.Rates(options.Value.ProjectSampleRates);
    private readonly Dictionary<string, double> _services = NormalizeOptions.Rates(options.Value.ServiceSampleRates);

    /// <summary>
    /// The highest mixed id that is kept for telemetry of <paramref name="service"/> in <paramref name="project"/>; null = keep all.
    /// </summary>
    public ulong? LimitFor(string project, string service)
    {
        var rate = _services.TryGetValue(service, out var ofService) ? ofService
            : _projects.TryGetValue(project, out var ofProject) ? ofProject
            : options.Value.SampleRate;
        return rate >= 1 ? null : Limit(rate);
    }

    /// <summary>The highest mixed id that is kept at <paramref name="rate"/>, 0 to 1.</summary>
    public static ulong Limit(double rate) => (ulong)(rate * (1UL << 56));

    /// <summary>Whether the trace is kept under <paramref name="limit"/>.</summary>
    public static bool Keeps(ReadOnlySpan<byte> traceId, ulong limit)
    {
        var mixed =
            BinaryPrimitives.ReadUInt64BigEndian(traceId) ^ (BinaryPrimitives.ReadUInt64BigEndian(traceId[8..]) * 0x9E3779B97F4A7C15);
        mixed = (mixed ^ (mixed >> 33)) * 0xFF51AFD7ED558CCD;
        mixed = (mixed ^ (mixed >> 33)) * 0xC4CEB9FE1A85EC53;
        return (mixed ^ (mixed >> 33)) >> 8 < limit;
    }
}
