using System.Buffers.Binary;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// One ExportTraceServiceRequest on its way into a batch. 1. every ResourceSpans: resource and project; 2. every ScopeSpans: scope; 3. every span:
/// fields and attribute slices, 4. facts of the known attributes, 5. the row, 6. the sums.
/// </summary>
internal ref struct SpanRequest(ReadOnlySpan<byte> body, TelemetryBatch batch, SpanScratch scratch, SpanDecoder decoder, string? projectOverride)
{
    private const long NanosPerDay = 86_400_000_000_000;

    private readonly ReadOnlySpan<byte> _body = body;
    private ResourceEntry _resource = null!;
    private InternedScope _scope = null!;
    private int _projectId;
    private int _resourceIndex;
    private int _scopeIndex;
    private int _spanIndex;
    private ulong? _sampleLimit;
    private int _lastDay = int.MinValue;
    private CopyRows? _lastRows;

    /// <summary>Projects to create first; null when all are known.</summary>
    public List<string>? UnknownProjects { get; private set; }

    /// <summary>What is wrong with the body; set when <see cref="TryDecode"/> is false.</summary>
    public string? Error { get; private set; }

    /// <summary>Decodes the body into the batch; false when it breaks the encoding.</summary>
    public bool TryDecode()
    {
        var reader = new ProtobufReader(_body);
        while (!reader.AtEnd)
        {
            var start = reader.Position;
            if (!reader.TryReadTag(out var tag))
            {
                return Malformed("the request", start);
            }

            if (tag != ((ExportFields.RequestResources << 3) | WireType.Bytes))
            {
                if (!reader.TrySkip(tag))
                {
                    return Malformed("the request", start);
                }

                continue;
            }

            if (!reader.TryReadBytes(out var resourceSpans))
            {
                return Malformed($"resource_spans[{_resourceIndex}] is cut short", start);
            }

            if (!TryDecodeResource(resourceSpans))
            {
                return false;
            }

            _resourceIndex++;
        }

        foreach (var day in batch.Days)
        {
            batch.RecordCount += day.Rows.RowCount;
            batch.ByteCount += day.Rows.Written.Length;
        }

        return true;
    }

    private bool TryDecodeResource(ReadOnlySpan<byte> message)
    {
        if (!TryReadEnvelope(message, out var resource, out var schemaUrl) || decoder.Interner.Resource(resource, schemaUrl) is not { } entry)
        {
            return Malformed($"resource_spans[{_resourceIndex}]", _body.OffsetOf(message));
        }

        _resource = entry;
        var project = projectOverride ?? entry.ProjectName ?? decoder.DefaultProject;
        if (!decoder.TryGetProject(project, out _projectId))
        {
            UnknownProjects ??= [];
            if (!UnknownProjects.Contains(project))
            {
                UnknownProjects.Add(project);
            }

            return true;
        }

        _sampleLimit = decoder.Sampler.LimitFor(project, entry.Row.ServiceName);
        batch.Refer(entry.Row);

        _scopeIndex = 0;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != ((ExportFields.ResourceScopes << 3) | WireType.Bytes))
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var scopeSpans);
            if (!TryDecodeScope(scopeSpans))
            {
                return false;
            }

            _scopeIndex++;
        }

        return true;
    }

    private bool TryDecodeScope(ReadOnlySpan<byte> message)
    {
        if (!TryReadEnvelope(message, out var scope, out var schemaUrl) || decoder.Interner.Scope(scope, schemaUrl) is not { } row)
        {
            return Malformed($"resource_spans[{_resourceIndex}].scope_spans[{_scopeIndex}]", _body.OffsetOf(message));
        }

        _scope = row;
        batch.Refer(row);

        _spanIndex = 0;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            reader.TryReadTag(out var tag);
            if (tag != ((ExportFields.ScopeRecords << 3) | WireType.Bytes))
            {
                reader.TrySkip(tag);
                continue;
            }

            reader.TryReadBytes(out var span);
            if (!TryDecodeSpan(span))
            {
                return Malformed(
                    $"resource_spans[{_resourceIndex}].scope_spans[{_scopeIndex}].spans[{_spanIndex}]", _body.OffsetOf(span));
            }

            _spanIndex++;
        }

        return true;
    }

    /// <summary>
    /// The first and third field of ResourceSpans or ScopeSpans: both may follow the list between them, so the whole message is walked once
    /// before its list is decoded; false when it breaks the encoding.
    /// </summary>
    internal static bool TryReadEnvelope(ReadOnlySpan<byte> message, out ReadOnlySpan<byte> owner, out ReadOnlySpan<byte> schemaUrl)
    {
        owner = schemaUrl = default;
        var reader = new ProtobufReader(message);
        while (!reader.AtEnd)
        {
            if (!reader.TryReadTag(out var tag)
                || !(tag switch
                {
                    (ExportFields.ResourceResource << 3) | WireType.Bytes => reader.TryReadBytes(out owner),
                    (ExportFields.ResourceSchemaUrl << 3) | WireType.Bytes => reader.TryReadBytes(out schemaUrl),
                    _ => reader.TrySkip(tag),
                }))
            {
                return false;
            }
        }

        return true;
    }

    private bool TryDecodeSpan(ReadOnlySpan<byte> message)
    {
        scratch.Clear();
        var fields = default(SpanFields);
        if (!fields.TryRead(message, scratch))
        {
            return false;
        }

        if (fields.Fault() is { } fault)
        {
            Reject(fault);
            return true;
        }

        if (!batch.CanTake((int)(fields.StartNanos / NanosPerDay)))
        {
            Reject($"start_time_unix_nano lies on one day more than the {TelemetryBatch.MaxDays} a request may span");
            return true;
        }

        if (_sampleLimit is { } limit && !HeadSampler.Keeps(fields.TraceId, limit))
        {
            batch.SampledOutCount++;
            return true;
        }

        var facts = default(SpanFacts);
        if (!decoder.Normalizer.TryReadFacts(message, fields, scratch, _resource, _scope, ref facts))
        {
            return false;
        }

        if (decoder.Normalizer.Filters(facts))
        {
            batch.FilteredCount++;
            return true;
        }

        scratch.Use.Search = scratch.Use.Policy.Redactor.MayHoldSecret(message);
        var start = (long)fields.StartNanos;
        var end = Math.Max(start, (long)fields.EndNanos);
        var spanId = BinaryPrimitives.ReadInt64BigEndian(fields.SpanId);
        var parentId = fields.ParentSpanId.IsEmpty ? 0 : BinaryPrimitives.ReadInt64BigEndian(fields.ParentSpanId);
        var status = fields.StatusCode is >= 0 and <= 2 ? (short)fields.StatusCode : (short)0;
        var rows = RowsFor(start);
        rows.StartRow(SpanColumns.Count);
        rows.Write(_projectId);
        rows.WriteBytes(fields.TraceId);
        rows.Write(spanId);
        WriteOptional(rows, parentId, parentId != 0);
        rows.Write(start);
        rows.Write(end);
        scratch.Use.WriteColumn(rows, fields.Name);
        rows.Write(fields.Kind is >= 0 and <= 5 ? (short)fields.Kind : (short)0);
        rows.Write(facts.Kind);
        rows.Write(status);
        WriteText(rows, fields.StatusMessage);
        rows.Write(_resource.Row.Id);
        rows.Write(_scope.Id);
        WriteText(rows, facts.SessionId);
        WriteText(rows, facts.UserId);
        WriteText(rows, facts.Model.Utf8);
        WriteText(rows, facts.Provider.Utf8);
        WriteOptional(rows, facts.Tokens.Prompt.GetValueOrDefault(), facts.Tokens.Prompt.HasValue);
        WriteOptional(rows, facts.Tokens.Completion.GetValueOrDefault(), facts.Tokens.Completion.HasValue);
        WriteOptional(rows, facts.CostPicoUsd.GetValueOrDefault(), facts.CostPicoUsd.HasValue);
        if (!TryWriteAttributes(rows, message))
        {
            return false;
        }

        SpanNormalizer.WriteDerived(rows, status, scratch, facts);
        if (!SpanChildren.TryWriteEvents(rows, message, scratch.Events, scratch.Use)
            || !SpanChildren.TryWriteLinks(rows, message, scratch.Links, scratch.Use))
        {
            return false;
        }

        WriteText(rows, fields.TraceState);
        SpanChildren.WriteExtra(rows, fields, scratch.ExcessAttributes);
        rows.EndRow();
        scratch.Deltas.Add(new SpanFigures
        {
            ProjectId = _projectId,
            TraceId = new Guid(fields.TraceId, bigEndian: true),
            SpanId = spanId,
            ParentId = parentId,
            OtlpBytes = message.Length,
            Error = facts.ErrorOf(status, message, scratch),
            StartNanos = start,
            EndNanos = end,
            Name = fields.Name,
            Service = _resource.Row.ServiceName,
            Texts = decoder.Normalizer.Texts,
            SpanKind = facts.Kind,
            Status = status,
            SessionId = facts.SessionId,
            UserId = facts.UserId,
            Model = facts.Model,
            Provider = facts.Provider,
            PromptTokens = facts.Tokens.Prompt.GetValueOrDefault(),
            CompletionTokens = facts.Tokens.Completion.GetValueOrDefault(),
            CostPicoUsd = facts.CostPicoUsd.GetValueOrDefault(),
        });
        return true;
    }

    private readonly bool TryWriteAttributes(CopyRows rows, ReadOnlySpan<byte> message)
    {
        var field = rows.BeginField();
        AttributeJson.WriteRaw(rows, "{"u8);
        var skip = 1;
        foreach (var attribute in scratch.Attributes)
        {
            if (attribute.Key is { } key && !AttributeJson.TryWriteMember(rows, key, attribute.Value(message), scratch.Use, ref skip))
            {
                return false;
            }
        }

        AttributeJson.WriteRaw(rows, "}"u8);
        rows.EndField(field);
        return true;
    }

    private CopyRows RowsFor(long startNanos)
    {
        var day = (int)(startNanos / NanosPerDay);
        if (day != _lastDay || _lastRows is null)
        {
            _lastDay = day;
            _lastRows = batch.RowsFor(day);
        }

        return _lastRows;
    }

    private readonly void WriteText(CopyRows rows, ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            rows.WriteNull();
        }
        else
        {
            scratch.Use.WriteColumn(rows, text);
        }
    }

    private static void WriteOptional(CopyRows rows, long value, bool isSet)
    {
        if (isSet)
        {
            rows.Write(value);
        }
        else
        {
            rows.WriteNull();
        }
    }

    private readonly void Reject(string reason)
    {
        batch.RejectedCount++;
        batch.RejectionMessage ??= $"resource_spans[{_resourceIndex}].scope_spans[{_scopeIndex}].spans[{_spanIndex}]: {reason}";
    }

    private bool Malformed(string where, int offset)
    {
        Error ??= $"Malformed protobuf in {where} at byte {offset}.";
        return false;
    }
}
