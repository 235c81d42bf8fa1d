using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Forward;

/// <summary>
/// Holds a body to what was stored of it, so that nothing leaves by forwarding that storing took out: the same redaction rules for every
/// key and text of every message, no record that sampling, a filter or a fault left out, and no field that this service does not know,
/// because no rule can have looked into it. A body that holds none of these goes on as it came. Thread-safe.
/// </summary>
internal sealed class ForwardFilter
{
    // Messages around a value, and up to three for each level of lists that is stored.
    private const int MaxDepth = 10 + (3 * AttributeJson.MaxDepth);

    // A record is a field of the third message: request, resource's, scope's.
    private const int ScopeDepth = 2;

    // A data point is one of the fifth: its metric's and the metric's data lie between.
    private const int PointDepth = ScopeDepth + 2;

    private readonly Redactor _redactor;
    private readonly AttributeKeys _keys;

    /// <summary>Rules of its own, so that a value is counted once: where it is stored.</summary>
    public ForwardFilter(IOptions<RedactionOptions> options)
    {
        _redactor = new Redactor(options, new NormalizeMetrics());
        _keys = new AttributeKeys(_redactor, SessionRules.None);
    }

    /// <summary>
    /// True when something had to be left out or replaced: <paramref name="output"/> holds what may leave. False: the body may leave as it
    /// is.
    /// </summary>
    /// <param name="signal">What the body holds.</param>
    /// <param name="body">An export request that was decoded without a fault.</param>
    /// <param name="leftOut">Where the records, or the points of metrics, begin that must not leave, ascending.</param>
    /// <param name="output">Empty; its content is of no use when the answer is false.</param>
    public bool TryRewrite(Signal signal, ReadOnlySpan<byte> body, List<int>? leftOut, ProtobufWriter output)
    {
        var pass = new Pass(_redactor, _keys, body, leftOut, output);
        pass.WriteMessage(OtlpJsonSchema.For(signal), body, default, depth: 0);
        return pass.Changed;
    }

    /// <summary>One walk over one body.</summary>
    private ref struct Pass(Redactor redactor, AttributeKeys keys, ReadOnlySpan<byte> body, List<int>? leftOut, ProtobufWriter output)
    {
        private readonly ReadOnlySpan<byte> _body = body;

        /// <summary>Whether anything written so far differs from the body.</summary>
        public bool Changed { get; private set; }

        /// <summary>
        /// Copies <paramref name="message"/> field by field; <paramref name="key"/> is the attribute it belongs to, if any.
        /// </summary>
        public void WriteMessage(JsonMessage type, ReadOnlySpan<byte> message, ReadOnlySpan<byte> key, int depth)
        {
            if (type == OtlpJsonSchema.KeyValue && AnyValue.TryReadKeyValue(message, out var name, out _))
            {
                key = name;
            }

            var reader = new ProtobufReader(message);
            while (!reader.AtEnd)
            {
                var start = reader.Position;
                ReadOnlySpan<byte> content = default;
                if (!reader.TryReadTag(out var tag)
                    || !((tag & 7) == WireType.Bytes ? reader.TryReadBytes(out content) : reader.TrySkip(tag)))
                {
                    // Behind a field the decoder does not look into.
                    Changed = true;
                    return;
                }

                if (type.Find((int)(tag >> 3)) is not { } field || !Fits(field, tag & 7))
                {
                    Changed = true;
                }
                else if ((tag & 7) == WireType.Bytes)
                {
                    WriteContent(field, content, key, depth);
                }
                else
                {
                    output.WriteRaw(message[start..reader.Position]);
                }
            }
        }

        private void WriteContent(JsonField field, ReadOnlySpan<byte> content, ReadOnlySpan<byte> key, int depth)
        {
            if (field.Message is null)
            {
                output.WriteBytes(field.Number, field.Type == JsonFieldType.String ? Scrub(key, content) : content);
            }
            else if (depth == MaxDepth || IsLeftOut(content, depth))
            {
                Changed = true;
            }
            else if (field.Message != OtlpJsonSchema.KeyValue || !TryRedact(field, content))
            {
                var start = output.Begin(field.Number);
                WriteMessage(field.Message, content, key, depth + 1);
                output.End(start);
            }
        }

        /// <summary>An attribute whose key has a rule; false when it has none.</summary>
        private bool TryRedact(JsonField field, ReadOnlySpan<byte> pair)
        {
            if (!AnyValue.TryReadKeyValue(pair, out var key, out var value) || keys.Get(key).Redaction is not { } redaction)
            {
                return false;
            }

            Changed = true;
            if (redaction.Action != RedactionAction.Drop && AnyValue.TryRead(value, out var read))
            {
                var start = output.Begin(field.Number);
                output.WriteBytes(CommonFields.KeyValueKey, key);
                var any = output.Begin(CommonFields.KeyValueValue);
                output.WriteBytes(CommonFields.AnyString,
                    redactor.Replace(redaction, read.Kind == AnyValueKind.String ? read.Data : value));
                output.End(any);
                output.End(start);
            }

            return true;
        }

        private readonly bool IsLeftOut(ReadOnlySpan<byte> record, int depth) => leftOut is not null && depth is ScopeDepth or PointDepth
            && !record.IsEmpty && leftOut.BinarySearch(_body.OffsetOf(record)) >= 0;

        private ReadOnlySpan<byte> Scrub(ReadOnlySpan<byte> key, ReadOnlySpan<byte> text)
        {
            if (!redactor.MayHoldSecret(text) || redactor.Scrub(key, text) is not { } scrubbed)
            {
                return text;
            }

            Changed = true;
            return scrubbed;
        }

        /// <summary>Whether a field of that wire type is what the schema says; repeated numbers may be packed.</summary>
        private static bool Fits(JsonField field, uint wireType) => field.Type switch
        {
            JsonFieldType.Message or JsonFieldType.String or JsonFieldType.Bytes or JsonFieldType.Id => wireType == WireType.Bytes,
            _ => wireType is WireType.Varint or WireType.Fixed64 or WireType.Fixed32 || (wireType == WireType.Bytes && field.Repeated),
        };
    }
}
