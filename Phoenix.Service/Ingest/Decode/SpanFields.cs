using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using Phoenix.Service.Metrics;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>Where something lies in a span's message.</summary>
internal readonly record struct Slice(int Start, int Length);

/// <summary>The top-level fields of one Span message, read in one pass; lists are left as slices in a <see cref="SpanScratch"/>.</summary>
internal ref struct SpanFields
{
    public ReadOnlySpan<byte> TraceId;
    public ReadOnlySpan<byte> SpanId;
    public ReadOnlySpan<byte> ParentSpanId;
    public ReadOnlySpan<byte> TraceState;
    public ReadOnlySpan<byte> Name;
    public ReadOnlySpan<byte> StatusMessage;
    public ulong StartNanos;
    public ulong EndNanos;
    public int Kind;
    public int StatusCode;
    public uint Flags;
    public uint DroppedAttributes;
    public uint DroppedEvents;
    public uint DroppedLinks;

    /// <summary>The id as PostgreSQL keeps it; of a span without <see cref="Fault"/>.</summary>
    public readonly long Id => BinaryPrimitives.ReadInt64BigEndian(SpanId);

    /// <summary>The parent's id as PostgreSQL keeps it, 0 for none; of a span without <see cref="Fault"/>.</summary>
    public readonly long ParentId => ParentSpanId.IsEmpty ? 0 : BinaryPrimitives.ReadInt64BigEndian(ParentSpanId);

    /// <summary>The status code, unset (0) for one that nobody knows.</summary>
    public readonly short Status => StatusCode is >= 0 and <= 2 ? (short)StatusCode : (short)0;

    /// <summary>The end, or the start where the end lies before it.</summary>
    public readonly long ClampedEnd => Math.Max((long)StartNanos, (long)EndNanos);

    /// <summary>Why the span cannot be stored; null when it can.</summary>
    public readonly string? Fault()
    {
        if (TraceId.Length != 16 || TraceId.IndexOfAnyExcept((byte)0) < 0)
        {
            return "trace_id must be 16 bytes, not all zero";
        }

        if (SpanId.Length != 8 || BinaryPrimitives.ReadUInt64BigEndian(SpanId) == 0)
        {
            return "span_id must be 8 bytes, not all zero";
        }

        if (ParentSpanId.Length is not (0 or 8))
        {
            return "parent_span_id must be 8 bytes or empty";
        }

        return StartNanos > long.MaxValue || EndNanos > long.MaxValue
            ? "start_time_unix_nano and end_time_unix_nano must lie before the year 2262"
            : null;
    }

    /// <summary>Reads the Span <paramref name="message"/>; false when it breaks the encoding.</summary>
    [MethodImpl(MethodImplOptions.NoInlining)]
    public bool TryRead(ReadOnlySpan<byte> message, SpanScratch scratch)
    {
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag))
            {
                return false;
            }

            bool ok;
            ulong number;
            ReadOnlySpan<byte> bytes;
            switch (tag)
            {
                case (TraceFields.SpanAttributes << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out bytes) && scratch.TryAddAttribute(message, bytes);
                    break;
                case (TraceFields.SpanTraceId << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out TraceId);
                    break;
                case (TraceFields.SpanSpanId << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out SpanId);
                    break;
                case (TraceFields.SpanTraceState << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out TraceState);
                    break;
                case (TraceFields.SpanParentSpanId << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out ParentSpanId);
                    break;
                case (TraceFields.SpanName << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out Name);
                    break;
                case (TraceFields.SpanKind << 3) | WireType.Varint:
                    ok = reader.TryReadVarint(out number);
                    Kind = (int)number;
                    break;
                case (TraceFields.SpanStartTime << 3) | WireType.Fixed64:
                    ok = reader.TryReadFixed64(out StartNanos);
                    break;
                case (TraceFields.SpanEndTime << 3) | WireType.Fixed64:
                    ok = reader.TryReadFixed64(out EndNanos);
                    break;
                case (TraceFields.SpanDroppedAttributesCount << 3) | WireType.Varint:
                    ok = reader.TryReadVarint(out number);
                    DroppedAttributes = (uint)number;
                    break;
                case (TraceFields.SpanEvents << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out bytes);
                    scratch.AddEvent(new Slice(message.OffsetOf(bytes), bytes.Length));
                    break;
                case (TraceFields.SpanDroppedEventsCount << 3) | WireType.Varint:
                    ok = reader.TryReadVarint(out number);
                    DroppedEvents = (uint)number;
                    break;
                case (TraceFields.SpanLinks << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out bytes);
                    scratch.AddLink(new Slice(message.OffsetOf(bytes), bytes.Length));
                    break;
                case (TraceFields.SpanDroppedLinksCount << 3) | WireType.Varint:
                    ok = reader.TryReadVarint(out number);
                    DroppedLinks = (uint)number;
                    break;
                case (TraceFields.SpanStatus << 3) | WireType.Bytes:
                    ok = reader.TryReadBytes(out bytes) && TryReadStatus(bytes);
                    break;
                case (TraceFields.SpanFlags << 3) | WireType.Fixed32:
                    ok = reader.TryReadFixed32(out Flags);
                    break;
                default:
                    ok = reader.TrySkip(tag);
                    break;
            }

            if (!ok)
            {
                return false;
            }
        }

        return true;
    }

    private bool TryReadStatus(ReadOnlySpan<byte> message)
    {
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            ulong code = (uint)StatusCode;
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (TraceFields.StatusMessage << 3) | WireType.Bytes => reader.TryReadBytes(out StatusMessage),
                    (TraceFields.StatusCode << 3) | WireType.Varint => reader.TryReadVarint(out code),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }

            StatusCode = (int)code;
        }

        return true;
    }
}

/// <summary>
/// Working memory of one decoding request: the attributes, events and links of the span at hand, and the sums of the request. Kept in a
/// pool by <see cref="SpanDecoder"/>; one thread uses it at a time.
/// </summary>
internal sealed class SpanScratch(AttributePolicy policy, UserLabels users)
{
    private const int SeenSlots = 1024;

    // Per slot of a key's hash, the mark of the span that used it last (high half) and its latest attribute there (low half).
    private readonly uint[] _seen = new uint[SeenSlots];
    private uint _spanMark;
    private Attribute[] _attributes = new Attribute[64];

    /// <summary>Events of the span, in order.</summary>
    public List<Slice> Events { get; } = [];

    /// <summary>Links of the span, in order.</summary>
    public List<Slice> Links { get; } = [];

    /// <summary>Redaction and limits, in use for this request.</summary>
    public AttributeUse Use { get; } = new(policy);

    /// <summary>Sums of the request.</summary>
    public DeltaCollector Deltas { get; } = new(users);

    /// <summary>Whether a key of a dialect was among the attributes.</summary>
    public bool HasDialect { get; private set; }

    /// <summary>Whether a value is longer than what is kept of one.</summary>
    public bool HasLongValue { get; private set; }

    /// <summary>Attributes of the span; overwritten ones have no key.</summary>
    public ReadOnlySpan<Attribute> Attributes => _attributes.AsSpan(0, AttributeCount);

    /// <summary>Attributes read, overwritten ones included.</summary>
    public int AttributeCount { get; private set; }

    /// <summary>Attributes left out because the span has too many.</summary>
    public int ExcessAttributes { get; private set; }

    /// <summary>Events left out because the span has too many.</summary>
    public int ExcessEvents { get; private set; }

    /// <summary>Links left out because the span has too many.</summary>
    public int ExcessLinks { get; private set; }

    /// <summary>Forgets the span before.</summary>
    public void Clear()
    {
        Events.Clear();
        Links.Clear();
        AttributeCount = 0;
        ExcessAttributes = ExcessEvents = ExcessLinks = 0;
        HasDialect = HasLongValue = false;
        if (++_spanMark > ushort.MaxValue)
        {
            Array.Clear(_seen);
            _spanMark = 1;
        }
    }

    /// <summary>Lets go of keys that nobody else remembers, so that a pool of these holds little.</summary>
    public void ForgetLongKeys()
    {
        foreach (ref var attribute in _attributes.AsSpan())
        {
            if (attribute.Key is { Utf8.Length: > AttributeKeys.LongestRemembered })
            {
                attribute.Key = null;
            }
        }
    }

    /// <summary>Notes an event; of more than a span may have attributes, the first ones.</summary>
    public void AddEvent(Slice slice) => ExcessEvents += Add(Events, slice);

    /// <summary>Notes a link; of more than a span may have attributes, the first ones.</summary>
    public void AddLink(Slice slice) => ExcessLinks += Add(Links, slice);

    /// <summary>
    /// Notes the KeyValue <paramref name="pair"/>, a slice of <paramref name="message"/>; false when it breaks the encoding.
    /// </summary>
    public bool TryAddAttribute(ReadOnlySpan<byte> message, ReadOnlySpan<byte> pair)
    {
        if (!AnyValue.TryReadKeyValue(pair, out var utf8, out var value))
        {
            return false;
        }

        if (AttributeCount == policy.MaxAttributes)
        {
            ExcessAttributes++;
            return true;
        }

        if (AttributeCount == _attributes.Length)
        {
            Array.Resize(ref _attributes, AttributeCount * 2);
        }

        // The spans of a sender have mostly the same keys in the same order, so the place is left as the span before had it.
        ref var attribute = ref _attributes[AttributeCount];
        if (attribute.Key is not { } key || !utf8.SequenceEqual(key.Utf8))
        {
            attribute.Key = key = policy.Keys.Get(utf8);
        }

        attribute.Start = message.OffsetOf(value);
        attribute.Length = value.Length;
        HasDialect |= key.IsDialect;
        HasLongValue |= value.Length > policy.MaxBytes && policy.LengthBeforeCut(value) is not null;
        ref var seen = ref _seen[key.Hash % SeenSlots];
        attribute.Before = Attribute.None;
        if (seen >> 16 == _spanMark)
        {
            attribute.Before = (int)(seen & ushort.MaxValue);
            DropOverwritten(key, attribute.Before);
        }

        seen = (_spanMark << 16) | (uint)AttributeCount;
        AttributeCount++;
        return true;
    }

    private int Add(List<Slice> slices, Slice slice)
    {
        if (slices.Count == policy.MaxAttributes)
        {
            return 1;
        }

        slices.Add(slice);
        return 0;
    }

    private void DropOverwritten(AttributeKey key, int latest)
    {
        for (var index = latest; index != Attribute.None; index = _attributes[index].Before)
        {
            ref var earlier = ref _attributes[index];
            if (earlier.Key is { } other
                && (ReferenceEquals(other, key) || (other.Hash == key.Hash && other.Utf8.AsSpan().SequenceEqual(key.Utf8))))
            {
                earlier.Key = null;
                return;
            }
        }
    }

    /// <summary>One attribute: its key (null: overwritten by a later one) and where its AnyValue lies in the span.</summary>
    internal struct Attribute
    {
        /// <summary><see cref="Before"/> of the first attribute of its slot.</summary>
        public const int None = -1;

        public AttributeKey? Key;
        public int Start;
        public int Length;

        /// <summary>The attribute before it in the same slot.</summary>
        public int Before;

        /// <summary>The AnyValue message.</summary>
        public readonly ReadOnlySpan<byte> Value(ReadOnlySpan<byte> span) => span.Slice(Start, Length);
    }
}
