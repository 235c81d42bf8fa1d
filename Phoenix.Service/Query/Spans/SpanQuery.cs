using Phoenix.Service.Query.Http;
using Phoenix.Service.Storage;
using Phoenix.Service.Storage.Postgres.Readers;

namespace Phoenix.Service.Query.Spans;

/// <summary>The query parameters of the span lists.</summary>
internal static class SpanQuery
{
    /// <summary>
    /// Reads the filter; faults are left in <paramref name="query"/>. Null when a well-formed value can match no span at all.
    /// </summary>
    public static SpanFilter? Read(QueryValues query)
    {
        var (start, end) = query.TimeRange();
        var kinds = Labels(query, "span_kind", "span kind", SpanLabels.TryParse);
        var statuses = Labels(query, "status_code", "status code", SpanLabels.TryParseStatus);
        var conditions = new List<AttributeCondition>();
        foreach (var text in query.Texts("attribute") ?? [])
        {
            if (AttributeCondition.TryParse(text, out var condition) is { } fault)
            {
                query.Fail("attribute", fault);
            }
            else
            {
                conditions.Add(condition!);
            }
        }

        // An id that is no id belongs to no span: an empty list, as for an unknown one.
        var (traceIds, isTraceKnown) = Ids<Guid>(query.Texts("trace_id"), TelemetryIds.TryParseTrace);
        var (spanIds, isSpanKnown) = Ids<long>(query.Texts("span_id"), TelemetryIds.TryParseSpan);
        long parentId = 0;
        var parent = query.Text("parent_id");
        var isParentKnown = parent is null or "null" || TelemetryIds.TryParseSpan(parent, out parentId);
        return isTraceKnown && isSpanKnown && isParentKnown
            ? new SpanFilter
            {
                StartNanos = start,
                EndNanos = end,
                TraceIds = traceIds,
                SpanIds = spanIds,
                ParentId = parent is null or "null" ? null : parentId,
                RootsOnly = parent == "null",
                Names = query.Texts("name"),
                Kinds = kinds,
                Statuses = statuses,
                Attributes = conditions,
                Text = query.Text("text"),
            }
            : null;
    }

    private delegate bool TryParseId<T>(ReadOnlySpan<char> text, out T id);

    private delegate bool TryParseLabel(string text, out short number);

    private static (T[]? Ids, bool IsAnyKnown) Ids<T>(string[]? texts, TryParseId<T> tryParse)
    {
        if (texts is null)
        {
            return (null, true);
        }

        var ids = new List<T>();
        foreach (var text in texts)
        {
            if (tryParse(text, out var id))
            {
                ids.Add(id);
            }
        }

        return ([.. ids], ids.Count > 0);
    }

    private static short[]? Labels(QueryValues query, string name, string what, TryParseLabel tryParse)
    {
        if (query.Texts(name) is not { } texts)
        {
            return null;
        }

        var numbers = new List<short>();
        foreach (var text in texts)
        {
            if (tryParse(text, out var number))
            {
                numbers.Add(number);
            }
            else
            {
                query.Fail(name, $"Unknown {what} '{text}'", "enum");
            }
        }

        return [.. numbers];
    }
}
