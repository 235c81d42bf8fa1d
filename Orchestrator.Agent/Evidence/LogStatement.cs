using System.Globalization;
using System.Text.RegularExpressions;

namespace Orchestrator.Agent.Evidence;

/// <summary>
/// Which statement of the program wrote a log record: its place in the source where the record tells it, else its text without values.
/// </summary>
/// <param name="Key">Equal for two records of the same statement; errors written by one framework statement are kept apart by exception
/// type.</param>
/// <param name="Label">What a person reads: <c>Class#line</c> or the template.</param>
internal readonly partial record struct LogStatement(string Key, string Label, bool IsError)
{
    public const int ErrorSeverity = 17;

    public static LogStatement Of(LogRecord log)
    {
        var error = log.Severity >= ErrorSeverity || log.SeverityText is "ERROR" or "FATAL" or "CRITICAL";
        var place = Place(log);
        if (place is null)
        {
            var template = Mask(log.Body.Length > 240 ? log.Body[..240] : log.Body);
            return new(template, template, error);
        }

        var exception = error ? ExceptionType().Match(log.Body) : Match.Empty;
        return new(exception.Success ? $"{place} {exception.Value}" : place, place, error);
    }

    /// <summary>The text with its values (numbers, ids, quoted text, bracketed lists) replaced by <c>*</c>.</summary>
    public static string Mask(string text) => text.AsSpan().IndexOfAnyInRange('0', '9') < 0 && !text.Contains('"') ? text : Values()
        .Replace(text, "*");

    /// <summary>
    /// A span's name without the ids in it: <c>GET /orders/4711</c> is <c>GET /orders/*</c>, but <c>/api/v1/orders</c> and
    /// <c>shop.v2.Cart/Get</c> stay.
    /// </summary>
    public static string MaskName(string name) => name.AsSpan().IndexOfAnyInRange('0', '9') < 0 ? name : Ids().Replace(name, "*");

    private static string? Place(LogRecord log)
    {
        if (Attribute(log, "code.line.number", "code.lineno") is { } line
            && Attribute(log, "code.file.path", "code.filepath", "code.namespace") is { } file)
        {
            return $"{file}#{line}";
        }

        var match = SourcePlace().Match(log.Body);
        return match.Success ? match.Value : null;
    }

    private static string? Attribute(LogRecord log, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            if (log.Attributes.TryGetValue(name, out var value))
            {
                return Convert.ToString(value, CultureInfo.InvariantCulture);
            }
        }

        return null;
    }

    [GeneratedRegex(
        @"[A-Za-z_$][\w$.\[\]]*#\d+|[A-Za-z_][\w/.-]*\.(?:java|kt|cs|py|go|js|ts|rb|rs|cpp|php):\d+", RegexOptions.CultureInvariant)]
    private static partial Regex SourcePlace();

    [GeneratedRegex(@"[A-Za-z_][\w.]*(?:Exception|Error)\b", RegexOptions.CultureInvariant | RegexOptions.RightToLeft)]
    private static partial Regex ExceptionType();

    [GeneratedRegex("\"[^\"]*\"|[\\w.:/+-]*\\d[\\w.:/+-]*", RegexOptions.CultureInvariant)]
    private static partial Regex Values();

    [GeneratedRegex(@"(?<!\w)(?:[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\d+|(?=[a-fA-F]*\d)[0-9a-fA-F]{8,})(?!\w)", RegexOptions.CultureInvariant)]
    private static partial Regex Ids();
}
