namespace Phoenix.Service.Storage;

/// <summary>
/// OpenInference span kinds and OTLP status codes: the small numbers of the columns <c>span_kind</c> and <c>status</c>, and their names.
/// </summary>
internal static class SpanLabels
{
    private static readonly string[] s_kinds =
        ["UNKNOWN", "LLM", "EMBEDDING", "CHAIN", "RETRIEVER", "RERANKER", "TOOL", "AGENT", "GUARDRAIL", "EVALUATOR", "PROMPT"];

    private static readonly string[] s_statuses = ["UNSET", "OK", "ERROR"];

    /// <summary>Every kind's name, by its number.</summary>
    public static IReadOnlyList<string> Names => s_kinds;

    /// <summary>The kind's name; UNKNOWN for a number out of range.</summary>
    public static string Name(short kind) => (uint)kind < (uint)s_kinds.Length ? s_kinds[kind] : s_kinds[0];

    /// <summary>The status code's name; UNSET for a number out of range.</summary>
    public static string StatusName(short status) => (uint)status < (uint)s_statuses.Length ? s_statuses[status] : s_statuses[0];

    /// <summary>The number of a kind's name, in any case.</summary>
    public static bool TryParse(string name, out short kind) => TryFind(s_kinds, name, out kind);

    /// <summary>The number of a status code's name, in any case.</summary>
    public static bool TryParseStatus(string name, out short status) => TryFind(s_statuses, name, out status);

    private static bool TryFind(string[] names, string name, out short number)
    {
        number = (short)Array.FindIndex(names, known => string.Equals(known, name, StringComparison.OrdinalIgnoreCase));
        return number >= 0;
    }
}
