using System.Numerics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// What a request says about LLM spans that lie above other spans (Schema/0030_nested_calls.sql): which of its LLM spans have usage, and
/// which parents are such spans or are not in the request. In doubt a parent counts as one: the roll-ups then look at the trace and find
/// nothing. Reused from request to request; not thread-safe.
/// </summary>
internal sealed class CallLinks
{
    private Link[] _links = new Link[512];
    private int[] _slots = new int[2048];
    private int _count;

    /// <summary>Spans it has room for.</summary>
    public int Capacity => _links.Length;

    /// <summary>Forgets the request before.</summary>
    public void Clear() => _count = 0;

    /// <summary>Notes a span of the trace with index <paramref name="trace"/>; <paramref name="parentId"/> 0 = root.</summary>
    public void Add(int trace, long spanId, long parentId, bool isCall)
    {
        if (_count == _links.Length)
        {
            Array.Resize(ref _links, _count * 2);
        }

        _links[_count++] = new Link(spanId, parentId, trace, isCall);
    }

    /// <summary>Puts the findings into <paramref name="traces"/>.</summary>
    public void MoveTo(List<TraceDelta> traces)
    {
        if (_slots.Length < _count * 4)
        {
            _slots = new int[BitOperations.RoundUpToPowerOf2((uint)_count * 4)];
        }

        var links = _links.AsSpan(0, _count);
        for (var index = 0; index < links.Length; index++)
        {
            // A later span may take the slot; what is found in it is compared, so old entries do no harm either.
            _slots[Slot(links[index].Trace, links[index].SpanId)] = index;
        }

        foreach (ref readonly var link in links)
        {
            if (link.IsCall)
            {
                var trace = traces[link.Trace];
                trace.LlmCalls++;
                trace.LlmMask |= Bit(link.SpanId);
            }

            if (link.ParentId != 0)
            {
                var index = _slots[Slot(link.Trace, link.ParentId)];
                if ((uint)index >= (uint)links.Length || links[index].SpanId != link.ParentId || links[index].Trace != link.Trace
                    || links[index].IsCall)
                {
                    traces[link.Trace].OpenMask |= Bit(link.ParentId);
                }
            }
        }

        _count = 0;
    }

    /// <summary>The bit of a span's id, as <c>1::bigint &lt;&lt; (span_id &amp; 63)</c> in the roll-ups' SQL.</summary>
    private static long Bit(long spanId) => 1L << (int)(spanId & 63);

    private int Slot(int trace, long spanId) =>
        (int)((((ulong)spanId ^ ((ulong)trace * 0x9E3779B97F4A7C15)) * 0xD6E8FEB86659FD93) >> 40) & (_slots.Length - 1);

    private readonly record struct Link(long SpanId, long ParentId, int Trace, bool IsCall);
}
