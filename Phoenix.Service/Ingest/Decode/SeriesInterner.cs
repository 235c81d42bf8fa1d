using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>What the series of one metric of one scope have in common; made once for all its points, on one thread.</summary>
internal sealed class SeriesHead(int projectId, long resourceId, long scopeId, byte[] digest)
{
    /// <summary>Project, resource and scope of the metric.</summary>
    public (int Project, long Resource, long Scope) Owner { get; } = (projectId, resourceId, scopeId);

    /// <summary>SHA-256 of everything beside the attributes.</summary>
    public byte[] Digest { get; } = digest;

    /// <summary>The texts of the metric as they are kept; null until a series is new.</summary>
    public (string Name, string? Unit, string? Description)? Texts { get; set; }
}

/// <summary>
/// Metric series by the hash of what names them: project, resource, scope, metric name, unit, type, temporality, monotonicity, and the
/// point attributes in key order. Known ones are remembered by the hash of their bytes as sent, so that a point of a known series costs one
/// hash and no JSON. Safe for any number of threads.
/// </summary>
internal sealed class SeriesInterner(AttributePolicy policy)
{
    /// <summary>Longest description that is kept: every series is stored with that of its metric.</summary>
    public const int MaxDescriptionBytes = 2 * 1024;

    private const int MaxRemembered = 100_000;
    private const int LongestRemembered = 4 * 1024;

    private readonly ConcurrentDictionary<UInt128, InternedSeries> _remembered = new();

    /// <summary>What all series of <paramref name="metric"/> have in common.</summary>
    public static SeriesHead HeadOf(int projectId, long resourceId, long scopeId, in MetricHeader metric)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> head = stackalloc byte[32];
        BinaryPrimitives.WriteInt32LittleEndian(head, projectId);
        BinaryPrimitives.WriteInt64LittleEndian(head[4..], resourceId);
        BinaryPrimitives.WriteInt64LittleEndian(head[12..], scopeId);
        BinaryPrimitives.WriteInt16LittleEndian(head[20..], (short)metric.Type);
        BinaryPrimitives.WriteInt16LittleEndian(head[22..], metric.Temporality);
        head[24] = metric.Monotonic ? (byte)1 : (byte)0;
        hash.AppendData(head);
        ResourceInterner.Append(hash, metric.Name);
        ResourceInterner.Append(hash, metric.Unit);
        ResourceInterner.Append(hash, metric.Description);
        return new SeriesHead(projectId, resourceId, scopeId, hash.GetHashAndReset());
    }

    /// <summary>The series of a point of <paramref name="metric"/>; null when its attributes break the encoding.</summary>
    public InternedSeries? Find(SeriesHead head, in MetricHeader metric, ReadOnlySpan<byte> point, int attributesField)
    {
        using var attributes = new KeyValueList(policy.MaxAttributes);
        if (!attributes.TryRead(point, attributesField))
        {
            return null;
        }

        var key = KeyOf(head, point, attributes);
        if (_remembered.TryGetValue(key, out var known))
        {
            return known;
        }

        if (!ResourceInterner.TryWriteSorted(point, attributes, policy, out var json, out var original))
        {
            return null;
        }

        var (name, unit, description) = head.Texts ??= TextsOf(metric);
        var (projectId, resourceId, scopeId) = head.Owner;
        var id = ResourceInterner.IdOf([
            "series", Text(projectId), Text(resourceId), Text(scopeId), name, unit, Text((short)metric.Type), Text(metric.Temporality),
            metric.Monotonic ? "1" : "0", json, .. original]);
        var series = new InternedSeries(
            id, projectId, name, description, unit, (short)metric.Type, metric.Temporality, metric.Monotonic, resourceId, scopeId, json);
        if (json.Length + series.TextLength <= LongestRemembered)
        {
            if (_remembered.Count >= MaxRemembered)
            {
                _remembered.Clear();
            }

            _remembered[key] = series;
        }

        return series;
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private (string Name, string? Unit, string? Description) TextsOf(in MetricHeader metric)
    {
        var use = new AttributeUse(policy);
        return (JsonText.ToText(use.Label(default, metric.Name)),
            metric.Unit.IsEmpty ? null : JsonText.ToText(use.Label(default, metric.Unit)),
            metric.Description.IsEmpty ? null : JsonText.ToText(use.Keep(default, metric.Description, MaxDescriptionBytes)));
    }

    private static UInt128 KeyOf(SeriesHead head, ReadOnlySpan<byte> point, KeyValueList attributes)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(head.Digest);
        for (var index = 0; index < attributes.Count; index++)
        {
            ResourceInterner.Append(hash, attributes.Key(point, index));
            ResourceInterner.Append(hash, attributes.Value(point, index));
        }

        Span<byte> digest = stackalloc byte[32];
        hash.GetHashAndReset(digest);
        return BinaryPrimitives.ReadUInt128BigEndian(digest);
    }
}
