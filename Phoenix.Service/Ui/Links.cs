using System.Text;
using Phoenix.Service.Query.Http;

namespace Phoenix.Service.Ui;

/// <summary>
/// Addresses of the pages, relative to the document's base, so that they work behind a path prefix. Every part is escaped; a project whose
/// name cannot stand in a path goes by its id.
/// </summary>
internal static class Links
{
    public const string Projects = "projects";

    /// <summary>How a path names the project.</summary>
    public static string Identifier(int id, string name) =>
        name.Contains('/', StringComparison.Ordinal) || name.Contains('\\', StringComparison.Ordinal) || name is "." or ".."
            || GlobalId.IsAny(name)
            ? GlobalId.Format("Project", id)
            : name;

    /// <summary>A tab of a project: traces, spans, sessions, logs or metrics.</summary>
    public static string Tab(string project, string tab) => $"{Projects}/{Escape(project)}/{tab}";

    /// <summary>A trace, optionally with a span opened.</summary>
    public static string Trace(string project, string traceId, string? spanId = null) =>
        $"{Tab(project, "traces")}/{Escape(traceId)}" + (spanId is null ? "" : $"?span={Escape(spanId)}");

    /// <summary>A trace whose project is not known.</summary>
    public static string AnyTrace(string traceId, string? spanId = null) =>
        $"redirects/traces/{Escape(traceId)}" + (spanId is null ? "" : $"?span={Escape(spanId)}");

    /// <summary>A session.</summary>
    public static string Session(string project, string sessionId) => $"{Tab(project, "session")}?id={Escape(sessionId)}";

    /// <summary>The query string of <paramref name="values"/>, empty ones left out; starts with '?' unless nothing is left.</summary>
    public static string Query(params IEnumerable<(string Key, string? Value)> values)
    {
        var text = new StringBuilder();
        foreach (var (key, value) in values)
        {
            if (!string.IsNullOrEmpty(value))
            {
                text.Append(text.Length == 0 ? '?' : '&').Append(key).Append('=').Append(Escape(value));
            }
        }

        return text.ToString();
    }

    private static string Escape(string text) => Uri.EscapeDataString(text);
}
