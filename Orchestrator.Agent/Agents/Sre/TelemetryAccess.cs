using System.Collections.Concurrent;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>Reads one signal that a project recorded in [start, end), in Unix nanoseconds.</summary>
internal delegate Task<TelemetryWindow> ReadTelemetry(string project, string signal, long startNanos, long endNanos,
    CancellationToken cancellationToken);

/// <summary>Compares a window with its baseline.</summary>
internal delegate Diagnosis Diagnose(TelemetryWindow incident, TelemetryWindow? baseline);

/// <summary>
/// The windows a run has read: each is read once, and the tools of the model look into the same records as the engine. While
/// Phoenix.Service is away a read waits; what stays away becomes a gap that is named, and is not waited for again.
/// </summary>
/// <param name="patience">How long the reads of one signal wait.</param>
internal sealed class TelemetryAccess(ReadTelemetry read, PhoenixClient phoenix, InvestigationRun run, TimeSpan patience)
{
    /// <summary>How far before a window changes are looked for.</summary>
    public static readonly TimeSpan ChangesBefore = TimeSpan.FromMinutes(30);

    private readonly Dictionary<(string, TimeWindow?), TelemetryWindow> _read = [];
    private readonly ConcurrentDictionary<string, TelemetryGap> _lost = new(StringComparer.Ordinal);

    /// <summary>The records of a project in a window (null = all it has), as one traced tool call; from memory when read before.</summary>
    /// <exception cref="PhoenixUnavailableException">When no signal could be read, or the read was refused.</exception>
    public async Task<TelemetryWindow> WindowAsync(string project, TimeWindow? window, string source)
    {
        if (_read.TryGetValue((project, window), out var known))
        {
            return known;
        }

        var result = await run.CallToolAsync(
            "read_telemetry",
            "Reads the spans, log records and metric points of a project and a time window from Phoenix.Service.",
            ToolParameters.Window(project, window),
            source,
            stop => ReadAsync(project, window?.StartNanos ?? 0, window?.EndNanos ?? long.MaxValue, TelemetryWindow.Signals, stop),
            found => $"{found.Spans.Count} spans, {found.Logs.Count} log records, {found.Series.Count} metric series of {project}" +
                Gaps(found));
        Tell(result, window);
        return _read[(project, window)] = window is null ? WindowChoice.Extent(result) : result;
    }

    /// <summary>The window with the change events of the half hour before it.</summary>
    public async Task<TelemetryWindow> LookBackAsync(TelemetryWindow incident, TimeWindow window, string source)
    {
        var before = new TimeWindow(window.Start - ChangesBefore, window.Start);
        var found = await run.CallToolAsync(
            "list_changes", "Lists the change events of the half hour before the window.", ToolParameters.Window(incident.Project, before),
            source,
            stop => ReadAsync(incident.Project, before.StartNanos, before.EndNanos, [TelemetryWindow.Changes], stop),
            changes => $"{changes.Logs.Count} change events before the window" + Gaps(changes));
        Tell(found, before);
        return incident with { EarlierChanges = [.. found.Logs.Where(ChangeEvent.Is)], Gaps = [.. incident.Gaps.Union(found.Gaps)] };
    }

    private async Task<TelemetryWindow> ReadAsync(
        string project, long startNanos, long endNanos, IReadOnlyList<string> signals, CancellationToken cancellationToken)
    {
        var parts = await Task.WhenAll(signals.Select(signal => ReadAsync(project, signal, startNanos, endNanos, cancellationToken)));
        return parts.Skip(1).Aggregate(parts[0], static (all, part) => all.With(part)) is { } found
            && found.Lost.Count() < TelemetryWindow.Signals.Count
            ? found
            : throw new PhoenixUnavailableException(_lost[signals[0]].Reason, denied: false);
    }

    private async Task<TelemetryWindow> ReadAsync(string project, string signal, long startNanos, long endNanos,
        CancellationToken cancellationToken)
    {
        try
        {
            return await phoenix.PatientlyAsync(
                stop => read(project, signal, startNanos, endNanos, stop), cancellationToken,
                _lost.ContainsKey(signal) ? TimeSpan.Zero : run.Budget.Share(patience));
        }
        catch (PhoenixUnavailableException e) when (!e.Denied)
        {
            return TelemetryWindow.Empty(project, startNanos, endNanos, _lost.GetOrAdd(signal, _ => new(signal, e.Message)));
        }
    }

    private void Tell(TelemetryWindow found, TimeWindow? window)
    {
        foreach (var gap in found.Gaps)
        {
            run.State.Limit(
                gap.IsOutage
                    ? $"Not seen: the {gap.Signal} of {found.Project}{(window is null ? "" : $" from {window}")} ({gap.Reason})"
                    : $"Not seen in {found.Project}: {gap}");
        }
    }

    private static string Gaps(TelemetryWindow found) => found.Gaps.Count == 0 ? "" : $"; not seen: {string.Join("; ", found.Gaps)}";

    /// <summary>The projects to look at: the one asked for, else all but the orchestrator's own.</summary>
    public Task<IReadOnlyList<string>> ProjectsAsync(string ownProject, string source) => run.CallToolAsync(
        "list_projects", "Lists the telemetry projects of Phoenix.Service.", "{}", source,
        async stop => (IReadOnlyList<string>)[.. (await phoenix.ProjectsAsync(stop)).Where(name => name != ownProject)],
        names => names.Count == 0 ? "No project holds telemetry" : $"Projects: {string.Join(", ", names)}");
}

/// <summary>Tool parameters as the JSON text that spans and results carry.</summary>
internal static class ToolParameters
{
    public static string Window(string project, TimeWindow? window) => System.Text.Json.JsonSerializer.Serialize(
        new WindowParameters(project, window?.Start, window?.End), ToolJson.Default.WindowParameters);
}

internal sealed record WindowParameters(string Project, DateTimeOffset? StartTime, DateTimeOffset? EndTime);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(
    PropertyNamingPolicy = System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower,
    DefaultIgnoreCondition = System.Text.Json.Serialization.JsonIgnoreCondition.WhenWritingNull, Converters = [typeof(UtcTimeConverter)])]
[System.Text.Json.Serialization.JsonSerializable(typeof(WindowParameters))]
internal sealed partial class ToolJson : System.Text.Json.Serialization.JsonSerializerContext;
