using System.Buffers.Text;
using System.Globalization;
using System.Text;
using Microsoft.AspNetCore.Http.HttpResults;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Http;

/// <summary>
/// Where a list goes on, opaque to clients: base64url of the list's letter and the sort key and id of the last row handed out. A row that
/// arrives or vanishes meanwhile makes no other row appear twice or not at all, which row numbers could not promise.
/// </summary>
internal static class Cursor
{
    /// <summary>Reads a cursor of one kind of list; false when <paramref name="text"/> is none.</summary>
    public delegate bool TryParseKey<T>(string text, out T key);

    /// <summary>
    /// The place that the parameter <c>cursor</c> names, null without one; the second part is the answer to a cursor that is none.
    /// </summary>
    public static (T? Key, ContentHttpResult? BadCursor) Read<T>(QueryValues query, TryParseKey<T> tryParse)
        where T : struct =>
        query.Text("cursor") is not { } cursor ? (null, null)
            : tryParse(cursor, out var key) ? (key, null)
            : (null, ApiResults.Unprocessable($"Invalid cursor: {cursor}"));

    /// <summary>A place in a list of spans.</summary>
    public static string Format(SpanKey key) =>
        Encode($"s:{key.StartNanos}:{TelemetryIds.FormatTrace(key.TraceId)}:{TelemetryIds.FormatSpan(key.SpanId)}");

    /// <summary>A place in a list of traces sorted by <paramref name="sort"/>.</summary>
    public static string Format(TraceKey key, TraceSort sort) => Encode($"{(sort == TraceSort.Latency ? 'l' : 't')}:{key.Value}:{key.Id}");

    /// <summary>A place in a list of log records.</summary>
    public static string Format(LogKey key) => Encode($"r:{key.TimeNanos}:{key.Id}");

    /// <summary>False when <paramref name="text"/> is no cursor of a list of spans.</summary>
    public static bool TryParse(string text, out SpanKey key)
    {
        key = default;
        if (Decode(text, "s", 4) is not { } parts || !IsNumber(parts[1], out var start)
            || !TelemetryIds.TryParseTrace(parts[2], out var traceId) || !TelemetryIds.TryParseSpan(parts[3], out var spanId))
        {
            return false;
        }

        key = new SpanKey(start, traceId, spanId);
        return true;
    }

    /// <summary>False when <paramref name="text"/> is no cursor of a list of traces sorted by <paramref name="sort"/>.</summary>
    public static bool TryParse(string text, TraceSort sort, out TraceKey key)
    {
        key = default;
        if (Decode(text, sort == TraceSort.Latency ? "l" : "t", 3) is not { } parts || !IsNumber(parts[1], out var value)
            || !IsNumber(parts[2], out var id))
        {
            return false;
        }

        key = new TraceKey(value, id);
        return true;
    }

    /// <summary>False when <paramref name="text"/> is no cursor of a list of log records.</summary>
    public static bool TryParse(string text, out LogKey key)
    {
        key = default;
        if (Decode(text, "r", 3) is not { } parts || !IsNumber(parts[1], out var nanos) || !IsNumber(parts[2], out var id))
        {
            return false;
        }

        key = new LogKey(nanos, id);
        return true;
    }

    /// <summary>
    /// Two texts of a list's own making; false when <paramref name="text"/> is no cursor of the list <paramref name="letter"/>.
    /// </summary>
    public static bool TryParse(string text, string letter, out string first, out long second)
    {
        (first, second) = (string.Empty, 0);
        if (Decode(text, letter, 3) is not { } parts || !IsNumber(parts[1], out second))
        {
            return false;
        }

        first = parts[2];
        return true;
    }

    /// <summary>As read by <see cref="TryParse(string, string, out string, out long)"/>.</summary>
    public static string Format(string letter, string first, long second) => Encode($"{letter}:{second}:{first}");

    private static string Encode(FormattableString text) =>
        Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text.ToString(CultureInfo.InvariantCulture)));

    private static string[]? Decode(string text, string letter, int count)
    {
        if (!Base64Url.IsValid(text))
        {
            return null;
        }

        var parts = Encoding.UTF8.GetString(Base64Url.DecodeFromChars(text)).Split(':', count);
        return parts.Length == count && parts[0] == letter ? parts : null;
    }

    private static bool IsNumber(string text, out long number) =>
        long.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out number);
}
