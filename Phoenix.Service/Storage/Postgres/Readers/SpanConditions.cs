using Npgsql;

namespace Phoenix.Service.Storage.Postgres.Readers;

/// <summary>A <see cref="SpanFilter"/>'s conditions beside time and trace, as SQL.</summary>
internal static class SpanConditions
{
    /// <summary>
    /// " AND …" for each condition. Attribute conditions become a cheap necessary one (the row's JSON contains key and value somewhere);
    /// the exact test is <see cref="AttributeCondition.Matches"/>, because parsing every row's JSON in the server would cost far more.
    /// </summary>
    public static string Text(NpgsqlCommand command, SpanFilter filter)
    {
        var text = new List<string>();
        AppendAny(text, command, "span_id", filter.SpanIds);
        AppendAny(text, command, "name", filter.Names);
        AppendAny(text, command, "span_kind", filter.Kinds);
        AppendAny(text, command, "status", filter.Statuses);
        AppendAny(text, command, "llm_model", filter.Models);
        if (filter.ParentId is { } parentId)
        {
            text.Add($" AND parent_id = {command.Bind(parentId)}");
        }

        if (filter.RootsOnly)
        {
            text.Add(" AND parent_id IS NULL");
        }

        if (filter.Text is { } part)
        {
            var condition = new TextCondition(command, part);
            text.Add($" AND ({condition.HeldBy("name", "attributes", "derived", "events", "status_message")}"
                + $" OR {LoggedMessages.Completed(condition.HeldBy("logs.body", "logs.attributes"))})");
        }

        foreach (var condition in filter.Attributes)
        {
            var key = condition.RequiredKeyText is { } k ? command.Bind(k) : null;
            var value = condition.RequiredValueText is { } v ? command.Bind(v) : null;
            var needles = new[] { key, value }.Where(needle => needle is not null).ToArray();
            if (needles.Length > 0)
            {
                // What log records add has its form only once it is joined: any that can add something is a candidate.
                text.Add($" AND (({Contains("attributes", needles)}) OR ({Contains("derived", needles)}) OR {LoggedMessages.Completed("true")})");
            }
        }

        return string.Concat(text);
    }

    private static string Contains(string column, string?[] needles) =>
        string.Join(" AND ", needles.Select(needle => $"strpos({column}, {needle}) > 0"));

    private static void AppendAny<T>(List<string> text, NpgsqlCommand command, string column, T[]? values)
    {
        if (values is not null)
        {
            text.Add($" AND {column} = ANY({command.Bind(values)})");
        }
    }
}
