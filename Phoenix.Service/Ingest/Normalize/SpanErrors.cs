using System.Text;
using Phoenix.Service.Ingest.Decode;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ingest.Normalize;

/// <summary>The kinds of failure that alerts tell apart, read from what senders call them.</summary>
internal static class SpanErrors
{
    /// <summary>The column <c>status</c> of a failed span.</summary>
    public const short ErrorStatus = 2;

    // Part of the text in lower case, without separators, and what it means; the first that is found counts.
    private static readonly (string Part, SpanError Error)[] s_parts =
    [
        ("ratelimit", SpanError.RateLimit), ("toomanyrequests", SpanError.RateLimit), ("throttl", SpanError.RateLimit),
        ("resourceexhausted", SpanError.RateLimit),
        ("contentfilter", SpanError.ContentFilter), ("contentpolicy", SpanError.ContentFilter),
        ("contentmoderation", SpanError.ContentFilter),
        ("timeout", SpanError.Timeout), ("timedout", SpanError.Timeout), ("deadlineexceeded", SpanError.Timeout),
    ];

    /// <summary>The failure that an error type, code or exception names; <see cref="SpanError.None"/> for empty text.</summary>
    public static SpanError Of(ReadOnlySpan<byte> text)
    {
        if (text.IsEmpty)
        {
            return SpanError.None;
        }

        if (text.SequenceEqual("429"u8))
        {
            return SpanError.RateLimit;
        }

        Span<char> letters = stackalloc char[128];
        var length = 0;
        foreach (var unit in text[..Math.Min(text.Length, letters.Length)])
        {
            if (char.IsAsciiLetterOrDigit((char)unit))
            {
                letters[length++] = char.ToLowerInvariant((char)unit);
            }
        }

        foreach (var (part, error) in s_parts)
        {
            if (letters[..length].IndexOf(part, StringComparison.Ordinal) >= 0)
            {
                return error;
            }
        }

        return SpanError.Other;
    }

    /// <summary>As <see cref="Of(ReadOnlySpan{byte})"/>.</summary>
    public static SpanError Of(string? text) => Of(Encoding.UTF8.GetBytes(text ?? string.Empty));

    /// <summary>The failure that the span's <c>exception</c> event names in <c>exception.type</c>; none without such an event.</summary>
    public static SpanError OfException(ReadOnlySpan<byte> span, List<Slice> events)
    {
        foreach (var slice in events)
        {
            var found = SpanError.None;
            var reader = new ProtobufReader(span.Slice(slice.Start, slice.Length));
            while (!reader.AtEnd && reader.TryReadTag(out var tag))
            {
                if (tag != ((TraceFields.EventAttributes << 3) | WireType.Bytes))
                {
                    if (!reader.TrySkip(tag))
                    {
                        break;
                    }
                }
                else if (!reader.TryReadBytes(out var pair))
                {
                    break;
                }
                else if (AnyValue.TryReadKeyValue(pair, out var key, out var bytes) && key.SequenceEqual("exception.type"u8)
                    && AnyValue.TryRead(bytes, out var value))
                {
                    found = Of(SpanFacts.TextOf(value));
                }
            }

            if (found != SpanError.None)
            {
                return found;
            }
        }

        return SpanError.None;
    }

    /// <summary>The label of <paramref name="error"/>; empty for none.</summary>
    public static string Name(SpanError error) => error switch
    {
        SpanError.RateLimit => "rate_limit",
        SpanError.Timeout => "timeout",
        SpanError.ContentFilter => "content_filter",
        SpanError.Other => "other",
        _ => string.Empty,
    };
}
