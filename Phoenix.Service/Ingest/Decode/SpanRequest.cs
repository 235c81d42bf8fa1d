using System.Runtime.CompilerServices;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// The spans of one ExportTraceServiceRequest. Of each: 1. fields and attribute slices, 2. facts of the known attributes, 3. the row, 4.
/// the sums.
/// </summary>
internal sealed class SpanRequest(
    TelemetryBatch batch, ProjectLookup projects, ResourceInterner interner, DecodeOptions options,
    string? projectOverride, SpanScratch scratch,
    SpanNormalizer normalizer, HeadSampler sampler)
    : RecordRequest(batch, projects, interner, options, projectOverride, "spans")
{
    private ulong? _sampleLimit;

    /// <inheritdoc/>
    protected override void EnterResource(string project) => _sampleLimit = sampler.LimitFor(project, Resource.Row.ServiceName);

    /// <inheritdoc/>
    protected override bool TryDecodeRecord(ReadOnlySpan<byte> message)
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

        if (!Takes((long)fields.StartNanos, "start_time_unix_nano"))
        {
            return true;
        }

        if (_sampleLimit is { } limit && !HeadSampler.Keeps(fields.TraceId, limit))
        {
            Batch.SampledOutCount++;
            return true;
        }

        scratch.Use.Search = scratch.Use.Policy.Redactor.MayHoldSecret(message);
        var facts = default(SpanFacts);
        if (!normalizer.TryReadFacts(message, fields, scratch, Resource, Scope, ref facts))
        {
            return false;
        }

        if (normalizer.Filters(facts))
        {
            Batch.FilteredCount++;
            return true;
        }

        fields.Name = scratch.Use.Keep(default, fields.Name, scratch.Use.Policy.MaxBytes);
        if (!TryWriteRow(message, fields, facts))
        {
            return false;
        }

        CountFigures(message, fields, facts);
        return true;
    }

    // Out of line, as are the other steps of a span: all in one method they have more state than a processor has registers.
    [MethodImpl(MethodImplOptions.NoInlining)]
    private bool TryWriteRow(ReadOnlySpan<byte> message, in SpanFields fields, in SpanFacts facts)
    {
        var start = (long)fields.StartNanos;
        var parentId = fields.ParentId;
        var status = fields.Status;
        var rows = RowsFor(start);
        rows.StartRow(SpanColumns.Count);
        rows.Write(ProjectId);
        rows.WriteBytes(fields.TraceId);
        rows.Write(fields.Id);
        WriteOptional(rows, parentId, parentId != 0);
        rows.Write(start);
        rows.Write(fields.ClampedEnd);
        scratch.Use.WriteKept(rows, fields.Name);
        rows.Write(fields.Kind is >= 0 and <= 5 ? (short)fields.Kind : (short)0);
        rows.Write(facts.Kind);
        rows.Write(status);
        WriteText(rows, fields.StatusMessage);
        rows.Write(Resource.Row.Id);
        rows.Write(Scope.Id);
        WriteLabel(rows, facts.SessionId);
        WriteLabel(rows, facts.UserId);
        WriteLabel(rows, facts.Model.Utf8);
        WriteLabel(rows, facts.Provider.Utf8);
        WriteOptional(rows, facts.Tokens.Prompt.GetValueOrDefault(), facts.Tokens.Prompt.HasValue);
        WriteOptional(rows, facts.Tokens.Completion.GetValueOrDefault(), facts.Tokens.Completion.HasValue);
        WriteOptional(rows, facts.CostPicoUsd.GetValueOrDefault(), facts.CostPicoUsd.HasValue);
        if (!TryWriteAttributes(rows, message))
        {
            return false;
        }

        SpanNormalizer.WriteDerived(rows, message, status, scratch, facts);
        if (!SpanChildren.TryWriteEvents(rows, message, scratch.Events, scratch.Use)
            || !SpanChildren.TryWriteLinks(rows, message, scratch.Links, scratch.Use))
        {
            return false;
        }

        WriteText(rows, fields.TraceState);
        SpanChildren.WriteExtra(rows, fields, scratch);
        rows.EndRow();
        return true;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private void CountFigures(ReadOnlySpan<byte> message, in SpanFields fields, in SpanFacts facts) =>
        scratch.Deltas.Add(new SpanFigures
        {
            ProjectId = ProjectId,
            TraceId = new Guid(fields.TraceId, bigEndian: true),
            SpanId = fields.Id,
            ParentId = fields.ParentId,
            OtlpBytes = message.Length,
            Error = facts.ErrorOf(fields.Status, message, scratch),
            StartNanos = (long)fields.StartNanos,
            EndNanos = fields.ClampedEnd,
            Name = fields.Name,
            Service = Resource.Row.ServiceName,
            Texts = normalizer.Texts,
            SpanKind = facts.Kind,
            Status = fields.Status,
            SessionId = facts.SessionId,
            SessionIsUsers = facts.SessionIsUsers,
            UserId = facts.UserId,
            Model = facts.Model,
            Provider = facts.Provider,
            PromptTokens = facts.Tokens.Prompt.GetValueOrDefault(),
            CompletionTokens = facts.Tokens.Completion.GetValueOrDefault(),
            CostPicoUsd = facts.CostPicoUsd.GetValueOrDefault(),
        });

    private bool TryWriteAttributes(CopyRows rows, ReadOnlySpan<byte> message)
    {
        var field = rows.BeginField();
        foreach (var attribute in scratch.Attributes)
        {
            if (attribute.Key is { } key && !AttributeJson.TryWriteMember(rows, key, attribute.Value(message), scratch.Use))
            {
                return false;
            }
        }

        AttributeJson.CloseObject(rows, field);
        rows.EndField(field);
        return true;
    }

    private void WriteText(CopyRows rows, ReadOnlySpan<byte> text) =>
        WriteLabel(rows, scratch.Use.Keep(default, text, scratch.Use.Policy.MaxBytes));

    private void WriteLabel(CopyRows rows, ReadOnlySpan<byte> kept)
    {
        if (kept.IsEmpty)
        {
            rows.WriteNull();
        }
        else
        {
            scratch.Use.WriteKept(rows, kept);
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
}
