using System.Runtime.InteropServices;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Metrics;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>One stored span as the roll-ups see it. Texts are slices of the request body.</summary>
internal ref struct SpanFigures
{
    public int ProjectId;
    public Guid TraceId;
    public long SpanId;
    public long ParentId;
    public int OtlpBytes;
    public SpanError Error;
    public long StartNanos;
    public long EndNanos;
    public ReadOnlySpan<byte> Name;
    public string Service;
    public TextCache Texts;
    public short SpanKind;
    public short Status;
    public ReadOnlySpan<byte> SessionId;
    public bool SessionIsUsers;
    public ReadOnlySpan<byte> UserId;
    public CachedText Model;
    public CachedText Provider;
    public long PromptTokens;
    public long CompletionTokens;
    public long CostPicoUsd;
}

/// <summary>
/// Sums the spans of one request into <see cref="TraceDelta"/>s and <see cref="MinuteDelta"/>s. Reused from request to request.
/// </summary>
internal sealed class DeltaCollector(UserLabels users)
{
    private const long NanosPerMinute = 60_000_000_000;

    // About 3 MB of room: a request of more makes its own, because what is kept here is never given back.
    private const int MostKept = 32 * 1024;

    // About what one holds in memory, a trace with its root.
    private const int TraceBytes = 320;
    private const int MinuteBytes = 256;

    private readonly Dictionary<(int Project, Guid Trace), int> _traceIndex = [];
    private readonly Dictionary<MinuteSlot, MinuteDelta> _minutes = [];
    private readonly List<TraceDelta> _traces = [];
    private (int Project, Guid Trace) _lastTraceKey;
    private int _lastTrace = -1;
    private long _lastMinuteStart;
    private long _lastMinuteNumber;
    private MinuteSlot _lastMinuteSlot;
    private MinuteDelta? _lastMinute;
    private CachedText _lastUser = TextCache.Empty;
    private string _lastUserLabel = string.Empty;
    private readonly CallLinks _calls = new();

    /// <summary>Whether a request has left so much room that it should not be kept.</summary>
    public bool IsLarge =>
        _traceIndex.Capacity > 2 * MostKept || _minutes.Capacity > 2 * MostKept || _traces.Capacity > MostKept
        || _calls.Capacity > MostKept;

    /// <summary>Forgets the request before.</summary>
    public void Clear()
    {
        _traceIndex.Clear();
        _minutes.Clear();
        _traces.Clear();
        _calls.Clear();
        _lastTrace = -1;
        _lastMinute = null;
    }

    /// <summary>Counts one span that was encoded.</summary>
    public void Add(in SpanFigures span)
    {
        AddToTrace(span);
        AddToMinute(span);
    }

    /// <summary>Hands the sums to <paramref name="batch"/>.</summary>
    public void MoveTo(TelemetryBatch batch)
    {
        _calls.MoveTo(_traces);
        batch.Traces.AddRange(_traces);
        batch.ByteCount += ((long)_traces.Count * TraceBytes) + ((long)_minutes.Count * MinuteBytes);

        batch.Minutes.EnsureCapacity(_minutes.Count);
        foreach (var minute in _minutes.Values)
        {
            batch.Minutes.Add(minute);
        }

        Clear();
    }

    private void AddToTrace(in SpanFigures span)
    {
        // The spans of a trace mostly follow each other.
        if (_lastTrace < 0 || _lastTraceKey.Trace != span.TraceId || _lastTraceKey.Project != span.ProjectId)
        {
            _lastTraceKey = (span.ProjectId, span.TraceId);
            ref var index = ref CollectionsMarshal.GetValueRefOrAddDefault(_traceIndex, _lastTraceKey, out var exists);
            if (!exists)
            {
                index = _traces.Count;
                _traces.Add(new TraceDelta { ProjectId = span.ProjectId, TraceId = span.TraceId });
            }

            _lastTrace = index;
        }

        var trace = _traces[_lastTrace];
        trace.Spans++;
        trace.StartNanos = Math.Min(trace.StartNanos, span.StartNanos);
        trace.EndNanos = Math.Max(trace.EndNanos, span.EndNanos);
        trace.CostPicoUsd = HeldSum.Of(trace.CostPicoUsd, span.CostPicoUsd);
        trace.OtlpBytes += span.OtlpBytes;
        trace.HasEmbeddings |= span.SpanKind == SpanKinds.Embedding;
        _calls.Add(_lastTrace, span.SpanId, span.ParentId,
            span.SpanKind == SpanKinds.Llm && (span.PromptTokens | span.CompletionTokens) != 0);
        if (span.Status == 2)
        {
            trace.Errors++;
        }

        // Tokens of embeddings and of wrappers are not part of a trace's totals.
        if (span.SpanKind == SpanKinds.Llm)
        {
            trace.PromptTokens = HeldSum.Of(trace.PromptTokens, span.PromptTokens);
            trace.CompletionTokens = HeldSum.Of(trace.CompletionTokens, span.CompletionTokens);
        }

        if (span.ParentId == 0 && (trace.Root is not { } root || span.StartNanos < root.StartNanos
            || (span.StartNanos == root.StartNanos && span.SpanId < root.SpanId)))
        {
            trace.Root = new RootSpan(span.SpanId, span.Texts.Get(span.Name).Text, span.Service, span.SpanKind, span.Status)
            {
                StartNanos = span.StartNanos,
            };
        }

        var rank = TraceDelta.RankOf(span.StartNanos, span.SessionIsUsers);
        if (!span.SessionId.IsEmpty && IsEarlier(span.Texts, span.SessionId, rank, trace.SessionId, trace.SessionRank, out var session))
        {
            (trace.SessionId, trace.SessionRank) = (session, rank);
        }

        if (!span.UserId.IsEmpty && IsEarlier(span.Texts, span.UserId, span.StartNanos, trace.UserId, trace.UserNanos, out var user))
        {
            (trace.UserId, trace.UserNanos) = (user, span.StartNanos);
        }
    }

    /// <summary>Whether a span names its session or user before the one known; of two at the same time the smaller name counts.</summary>
    private static bool IsEarlier(TextCache texts, ReadOnlySpan<byte> text, long nanos, string? known, long knownNanos, out string? earlier)
    {
        earlier = nanos <= knownNanos ? texts.Get(text).Text : null;
        return earlier is not null && (known is null || nanos < knownNanos || string.CompareOrdinal(earlier, known) < 0);
    }

    private void AddToMinute(in SpanFigures span)
    {
        var (model, provider) = (span.Model, span.Provider);
        var slot = new MinuteSlot(MinuteOf(span.StartNanos), span.ProjectId, model.Id, provider.Id, span.SpanKind, span.Status);
        if (_lastMinute is not { } delta || _lastMinuteSlot != slot)
        {
            ref var known = ref CollectionsMarshal.GetValueRefOrAddDefault(_minutes, slot, out _);
            delta = known ??= new MinuteDelta
            {
                Key = new MinuteKey(span.ProjectId, slot.Minute, model.Text, provider.Text, span.SpanKind, span.Status),
            };
            (_lastMinute, _lastMinuteSlot) = (delta, slot);
        }

        delta.Spans++;
        if (span.Error != SpanError.None || !span.UserId.IsEmpty)
        {
            delta.AddPart(UserLabel(span), span.Error);
        }

        if (span.SpanKind is SpanKinds.Llm or SpanKinds.Embedding)
        {
            delta.PromptTokens = HeldSum.Of(delta.PromptTokens, span.PromptTokens);
            delta.CompletionTokens = HeldSum.Of(delta.CompletionTokens, span.CompletionTokens);
        }

        delta.CostPicoUsd = HeldSum.Of(delta.CostPicoUsd, span.CostPicoUsd);
        var duration = (double)(span.EndNanos - span.StartNanos);
        delta.DurationNanos += duration;
        delta.Buckets[Bucket(duration / 1e9)]++;
    }

    /// <summary>The user as metrics name it; asked once for spans of one user in a row.</summary>
    private string UserLabel(in SpanFigures span)
    {
        if (!span.UserId.SequenceEqual(_lastUser.Utf8))
        {
            _lastUser = span.Texts.Get(span.UserId);
            _lastUserLabel = users.Admit(_lastUser.Text);
        }

        return _lastUserLabel;
    }

    /// <summary>The minute since 1970; a division is done only where it is not the one of the span before.</summary>
    private long MinuteOf(long nanos)
    {
        if ((ulong)(nanos - _lastMinuteStart) >= NanosPerMinute)
        {
            _lastMinuteStart = nanos - ((nanos % NanosPerMinute) + NanosPerMinute) % NanosPerMinute;
            _lastMinuteNumber = _lastMinuteStart / NanosPerMinute;
        }

        return _lastMinuteNumber;
    }

    private static int Bucket(double seconds)
    {
        var bounds = MinuteDelta.DurationBounds;
        var bucket = 0;
        while (bucket < bounds.Length && seconds > bounds[bucket])
        {
            bucket++;
        }

        return bucket;
    }

    private readonly record struct MinuteSlot(long Minute, int Project, int Model, int Provider, short SpanKind, short Status);
}
