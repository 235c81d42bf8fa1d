using System.Globalization;
using Phoenix.Service.Storage;

namespace Phoenix.Service.Ui;

/// <summary>Choices of the span filters, and the cursor of the span list.</summary>
internal static class SpanFilters
{
    /// <summary>Every kind.</summary>
    public static IReadOnlyList<(string Value, string Label)> Kinds { get; } = [.. SpanLabels.Names.Select(static name => (name, name))];

    /// <summary>Every status.</summary>
    public static IReadOnlyList<(string Value, string Label)> Statuses { get; } = [("ERROR", "Error"), ("OK", "OK"), ("UNSET", "Unset")];

    /// <summary>A place in the list as text for an address.</summary>
    public static string Format(SpanKey key) =>
        string.Create(
            CultureInfo.InvariantCulture, $"{key.StartNanos}-{TelemetryIds.FormatTrace(key.TraceId)}-{TelemetryIds.FormatSpan(key.SpanId)}");

    /// <summary>What <see cref="Format"/> made, else null.</summary>
    public static SpanKey? Parse(string? cursor) =>
        cursor?.Split('-') is [var start, var trace, var span]
        && long.TryParse(start, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var startNanos)
        && TelemetryIds.TryParseTrace(trace, out var traceId) && TelemetryIds.TryParseSpan(span, out var spanId)
            ? new SpanKey(startNanos, traceId, spanId)
            : null;
}
