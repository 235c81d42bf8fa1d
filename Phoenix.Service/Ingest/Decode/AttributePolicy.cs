using System.Text;
using Microsoft.Extensions.Options;
using Phoenix.Service.Ingest.Normalize;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Decode;

/// <summary>
/// What the decoders do to attributes beside encoding them: redaction and the size limit. Shared by all signals and thread-safe.
/// </summary>
internal sealed class AttributePolicy(AttributeKeys keys, Redactor redactor, NormalizeMetrics metrics, IOptions<NormalizeOptions> options)
{
    /// <summary>
    /// Longest name of a session, user, model, provider, service, project or metric: such names are in index keys, of which PostgreSQL
    /// takes at most a third of a page, and two of them are in one.
    /// </summary>
    public const int MaxLabelBytes = 1024;

    /// <summary>Longest text or bytes of one value that is kept.</summary>
    public int MaxBytes { get; } = (int)options.Value.MaxTraceBytes;

    /// <summary>Most entries of one list of attributes that are kept.</summary>
    public int MaxAttributes { get; } = options.Value.MaxAttributes;

    /// <summary>Keys with what the rules say of them.</summary>
    public AttributeKeys Keys { get; } = keys;

    /// <summary>The rules.</summary>
    public Redactor Redactor { get; } = redactor;

    /// <summary>What was changed, over all requests.</summary>
    public NormalizeMetrics Metrics { get; } = metrics;

    /// <summary>
    /// What may be read of a value as facts about its record: the value itself, what a rule for its key stores instead, or nothing.
    /// <paramref name="message"/> is the value's AnyValue.
    /// </summary>
    public AnyValue Readable(AttributeKey key, AnyValue value, ReadOnlySpan<byte> message) => key.Redaction switch
    {
        null => value,
        { Action: RedactionAction.Drop } => default,
        var rule => AnyValue.OfText(Redactor.Replacement(rule.Action, value.Kind == AnyValueKind.String ? value.Data : message)),
    };

    /// <summary>The bytes of the text or bytes of an AnyValue <paramref name="message"/> that is longer than is kept; null of others.</summary>
    public int? LengthBeforeCut(ReadOnlySpan<byte> message) =>
        message.Length > MaxBytes && AnyValue.TryRead(message, out var value) && value.Kind is AnyValueKind.String or AnyValueKind.Bytes
        && value.Data.Length > MaxBytes
            ? value.Data.Length
            : null;

    /// <summary>The first <paramref name="limit"/> bytes of a longer <paramref name="text"/> at most, cut between characters.</summary>
    public static ReadOnlySpan<byte> Cut(ReadOnlySpan<byte> text, int limit)
    {
        if (text.Length <= limit)
        {
            return text;
        }

        var length = limit;
        while (length > limit - 4 && (text[length] & 0xC0) == 0x80)
        {
            length--;
        }

        return text[..length];
    }

    /// <summary>What is kept of a longer <paramref name="text"/>, with a mark behind it.</summary>
    public static byte[] CutAndMark(ReadOnlySpan<byte> text, int limit) => [.. Cut(text, limit), .. CutMark(text.Length)];

    /// <summary>What is put behind a text that was cut.</summary>
    public static byte[] CutMark(int length) => Encoding.UTF8.GetBytes($" …[truncated, {length} bytes in all]");
}

/// <summary>The policy in use for one request: writes texts and counts what it changed. One thread at a time.</summary>
internal sealed class AttributeUse(AttributePolicy policy)
{
    /// <summary>The policy.</summary>
    public AttributePolicy Policy { get; } = policy;

    /// <summary>
    /// Whether texts are searched for secrets; switched off by callers that have looked at a whole message and found none.
    /// </summary>
    public bool Search { get; set; } = true;

    /// <summary>Texts repaired so far.</summary>
    public int Repaired { get; set; }

    /// <summary>Values cut so far.</summary>
    public int Truncated { get; private set; }

    /// <summary>Whether a rule has taken anything out so far.</summary>
    public bool Redacted { get; set; }

    /// <summary>Adds what was changed to the metrics and starts anew.</summary>
    public void Report(int sampledOut)
    {
        Policy.Metrics.CountRequest(Truncated, Repaired, sampledOut);
        Forget();
    }

    /// <summary>Adds what a request changed, if it is not decoded once more, and starts anew.</summary>
    public void ReportOf(DecodeResult result)
    {
        if (result.Batch is { } batch)
        {
            Report(batch.SampledOutCount);
        }
        else
        {
            Forget();
        }
    }

    /// <summary>Starts anew: what was changed is not kept.</summary>
    public void Forget() => (Repaired, Truncated, Redacted, Search) = (0, 0, false, true);

    /// <summary>A text value of <paramref name="key"/> as a JSON string: searched, cut, repaired, escaped.</summary>
    public void WriteString(CopyRows rows, ReadOnlySpan<byte> key, ReadOnlySpan<byte> text)
    {
        if (Search)
        {
            text = Scrub(key, text);
        }

        if (text.Length <= Policy.MaxBytes)
        {
            Repaired += JsonText.WriteString(rows, text);
            return;
        }

        Truncated++;
        AttributeJson.WriteRaw(rows, "\""u8);
        Repaired += JsonText.WriteEscaped(rows, AttributePolicy.Cut(text, Policy.MaxBytes));
        JsonText.WriteEscaped(rows, AttributePolicy.CutMark(text.Length));
        AttributeJson.WriteRaw(rows, "\""u8);
    }

    /// <summary>A text column: searched, cut, repaired.</summary>
    public void WriteColumn(CopyRows rows, ReadOnlySpan<byte> text) => WriteKept(rows, Keep(default, text, Policy.MaxBytes));

    /// <summary>A text column of what <see cref="Keep"/> or <see cref="Label"/> returned: repaired.</summary>
    public void WriteKept(CopyRows rows, ReadOnlySpan<byte> kept) => Repaired += JsonText.WriteColumn(rows, kept);

    /// <summary>
    /// What is kept of a name (<see cref="AttributePolicy.MaxLabelBytes"/>), in its column as in the roll-ups; the value of
    /// <paramref name="key"/>.
    /// </summary>
    public ReadOnlySpan<byte> Label(scoped ReadOnlySpan<byte> key, ReadOnlySpan<byte> text) =>
        Keep(key, text, AttributePolicy.MaxLabelBytes);

    /// <summary>What is kept of a text outside the attributes: searched as the value of <paramref name="key"/>, cut and marked.</summary>
    public ReadOnlySpan<byte> Keep(scoped ReadOnlySpan<byte> key, ReadOnlySpan<byte> text, int limit)
    {
        if (Search)
        {
            text = Scrub(key, text);
        }

        // A text that has to be repaired can get three times as long.
        if (text.Length <= limit / 3)
        {
            return text;
        }

        var storable = JsonText.IsStorable(text) ? text : JsonText.Repair(text);
        if (storable.Length <= limit)
        {
            return text;
        }

        Truncated++;
        return AttributePolicy.CutAndMark(storable, limit);
    }

    /// <summary>The part of a bytes value that is kept.</summary>
    public ReadOnlySpan<byte> CutBytes(ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length <= Policy.MaxBytes)
        {
            return bytes;
        }

        Truncated++;
        return bytes[..Policy.MaxBytes];
    }

    /// <summary>A text as the value of <paramref name="key"/>, without the secrets and patterns found in it.</summary>
    public ReadOnlySpan<byte> Scrub(scoped ReadOnlySpan<byte> key, ReadOnlySpan<byte> text)
    {
        if (!Policy.Redactor.MayHoldSecret(text) || Policy.Redactor.Scrub(key, text) is not { } scrubbed)
        {
            return text;
        }

        Redacted = true;
        return scrubbed;
    }
}
