using System.Globalization;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.AI;
using Orchestrator.Agent.Evidence;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Agents.Sre;

/// <summary>
/// The four tools a model may ask for: bounded looks into the windows the triage has read. The project and the time are the triage's; a
/// model cannot reach another one.
/// </summary>
internal sealed class TelemetryTools(InvestigationRun run, TelemetryAccess telemetry)
{
    private const int MaxRows = 20;
    private const int MaxCellChars = 240;

    public static readonly IReadOnlyList<AITool> Declarations =
    [
        ModelTools.Declare("read_logs", "Log records of the incident window that contain a text, the most severe first.", "filter_str"),
        ModelTools.Declare("query_spans", "Spans of the incident window by service and name, failing ones and slow ones first.", "service"),
        ModelTools.Declare("query_metrics", "Metric series of a service in the incident window: least, mean and largest value.", "service"),
        ModelTools.Declare(
            "list_changes", "Change events (deployments, settings, access) shortly before and in the incident window.", "service"),
    ];

    /// <summary>The answer to one call, as text; an unknown tool or a bad argument is answered in words.</summary>
    public async Task<string> CallAsync(FunctionCallContent call)
    {
        var argument = call.Arguments?.Values.FirstOrDefault()?.ToString() ?? "";
        if (Declarations.All(tool => tool.Name != call.Name))
        {
            return $"There is no tool '{call.Name}'.";
        }

        var state = run.State;
        var window = await telemetry.WindowAsync(state.Project!, state.Window, SreAgent.Name);
        return await run.CallToolAsync(
            call.Name, "A look into the telemetry that the model asked for.",
            JsonSerializer.Serialize(new LookParameters(argument), LookJson.Default.LookParameters), SreAgent.Name,
            _ => Task.FromResult(Answer(call.Name, argument, window)), text => text.Length <= 500 ? text : text[..500] + "…");
    }

    private static string Answer(string tool, string argument, TelemetryWindow window) => tool switch
    {
        "read_logs" => Rows(
            window.Logs.Where(log => log.Body.Contains(argument, StringComparison.OrdinalIgnoreCase)).OrderByDescending(log => log.Severity)
                .ThenBy(log => log.TimeNanos),
            log => $"{TimeWindow.Time(log.TimeNanos):HH:mm:ss.fff} {log.Service} severity {log.Severity} record {log.RecordId}: {log.Body}",
            $"No logs found for filter: {argument}"),
        "query_spans" => Rows(
            window.Spans.Where(span => argument.Length == 0 || span.Service == argument || span.Name == argument)
                .OrderByDescending(span => span.Status).ThenByDescending(span => span.DurationNanos),
            span => $"{span.TraceId}/{span.SpanId} {span.Service} {span.Name} {span.DurationNanos / 1e6:0.0} ms status {span.Status} " +
                $"{span.StatusMessage}", $"No spans of {argument}"),
        "query_metrics" => Rows(
            window.Series.Where(series => (argument.Length == 0 || series.Service == argument) && series.Points.Count > 0),
            series => $"{series.Service} {series.Name}: least {series.Points.Min(p => p.Value):0.###}, mean " +
                $"{series.Points.Average(p => p.Value):0.###}, largest {series.Points.Max(p => p.Value):0.###} {series.Unit}",
            $"No metrics of {argument}"),
        _ => Rows(
            window.EarlierChanges.Concat(window.Logs)
                .Where(log => ChangeEvent.Is(log) && (argument.Length == 0 || log.Service == argument)),
            log => $"{TimeWindow.Time(log.TimeNanos):HH:mm:ss} {log.Service}: {log.Body}", "No change events"),
    };

    private static string Rows<T>(IEnumerable<T> records, Func<T, string> line, string none)
    {
        var text = new StringBuilder();
        var count = 0;
        foreach (var record in records)
        {
            if (count++ < MaxRows)
            {
                var row = line(record).ReplaceLineEndings(" ");
                text.AppendLine(row.Length <= MaxCellChars ? row : row[..MaxCellChars] + "…");
            }
        }

        return count == 0 ? none : count > MaxRows
            ? text.Append(CultureInfo.InvariantCulture, $"({count - MaxRows} more)").ToString() : text.ToString();
    }
}

internal sealed record LookParameters(string Argument);

[System.Text.Json.Serialization.JsonSourceGenerationOptions(PropertyNamingPolicy =
    System.Text.Json.Serialization.JsonKnownNamingPolicy.SnakeCaseLower)]
[System.Text.Json.Serialization.JsonSerializable(typeof(LookParameters))]
internal sealed partial class LookJson : System.Text.Json.Serialization.JsonSerializerContext;
