using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Globalization;
using System.Security.Cryptography;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// Metric series by the hash of what names them: project, resource, scope, metric name, unit, type, temporality, monotonicity, and the
/// point attributes in key order. Known ones are remembered by the hash of their bytes as sent, so that a point of a known series costs one
/// hash and no JSON. Safe for any number of threads.
/// </summary>
internal sealed class SeriesInterner(AttributePolicy policy)
{
    private const int MaxRemembered = 100_000;
    private const int LongestRemembered = 4 * 1024;

    private readonly ConcurrentDictionary<UInt128, InternedSeries> _remembered = new();

    /// <summary>The series of a point; null when its attributes break the encoding.</summary>
    public InternedSeries? Find(
        int projectId, long resourceId, long scopeId, in MetricHeader metric, ReadOnlySpan<byte> point, int attributesField)
    {
        using var attributes = new KeyValueList(policy.MaxAttributes);
        if (!attributes.TryRead(point, attributesField))
        {
            return null;
        }

        var key = KeyOf(projectId, resourceId, scopeId, metric, point, attributes);
        if (_remembered.TryGetValue(key, out var known))
        {
            return known;
        }

        if (!ResourceInterner.TryWriteSorted(point, attributes, policy, out var json))
        {
            return null;
        }

        var use = new AttributeUse(policy);
        var name = JsonText.ToText(use.Label(default, metric.Name));
        var unit = metric.Unit.IsEmpty ? null : JsonText.ToText(metric.Unit);
        var id = ResourceInterner.IdOf(
            "series", Text(projectId), Text(resourceId), Text(scopeId), name, unit, Text((short)metric.Type), Text(metric.Temporality),
            metric.Monotonic ? "1" : "0", json);
        var series = new InternedSeries(
            id, projectId, name,
            metric.Description.IsEmpty ? null : JsonText.ToText(use.Keep(default, metric.Description, policy.MaxBytes)), unit,
            (short)metric.Type, metric.Temporality,
            metric.Monotonic, resourceId, scopeId, json);
        if (json.Length <= LongestRemembered)
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

    private static UInt128 KeyOf(
        int projectId, long resourceId, long scopeId, in MetricHeader metric, ReadOnlySpan<byte> point, KeyValueList attributes)
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
        Append(hash, metric.Name);
        Append(hash, metric.Unit);
        Append(hash, metric.Description);
        for (var index = 0; index < attributes.Count; index++)
        {
            Append(hash, attributes.Key(point, index));
            Append(hash, attributes.Value(point, index));
        }

        Span<byte> digest = stackalloc byte[32];
        hash.GetHashAndReset(digest);
        return BinaryPrimitives.ReadUInt128BigEndian(digest);
    }

    private static void Append(IncrementalHash hash, ReadOnlySpan<byte> part)
    {
        Span<byte> length = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(length, part.Length);
        hash.AppendData(length);
        hash.AppendData(part);
    }
}
