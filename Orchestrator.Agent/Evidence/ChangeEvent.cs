namespace Orchestrator.Agent.Evidence;

/// <summary>A change somebody made: a log record with <c>event.name</c> = <c>change</c> and <c>change.*</c> attributes.</summary>
internal sealed record ChangeEvent(LogRecord Log, string Id, string Type, string Target, string Field, string Before, string After)
{
    public const string Name = "change";

    /// <summary>The changes of a window and of the time before it that was looked back on, by time.</summary>
    public static List<ChangeEvent> Find(TelemetryWindow window) =>
    [
        .. window.EarlierChanges.Concat(window.Logs).Where(Is).Select(Read).OrderBy(static change => change.Log.TimeNanos),
    ];

    /// <summary>True for a log record that tells of a change.</summary>
    public static bool Is(LogRecord log) => log.EventName == Name || log.Attributes.ContainsKey("change.type");

    private static ChangeEvent Read(LogRecord log)
    {
        string Text(string key) =>
            log.Attributes.TryGetValue("change." + key, out var value)
                ? Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture) ?? ""
                : "";
        return new(
            log, Text("id"), Text("type"), Text("target") is { Length: > 0 } target ? target : log.Service, Text("field"),
            Text("before"), Text("after"));
    }
}
