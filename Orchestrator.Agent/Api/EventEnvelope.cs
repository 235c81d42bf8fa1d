using System.Text.Json;
using Orchestrator.Agent.Jobs;

namespace Orchestrator.Agent.Api;

/// <summary>An event as user interfaces show it.</summary>
internal sealed record EventEnvelope(EventHeader Header, string Type, EventPayload Payload, EventRendering UiRendering)
{
    /// <summary>The envelope of a stored event: the one it was published with, else made from its line.</summary>
    public static EventEnvelope From(StoredEvent stored)
    {
        if (stored.Envelope is { } published)
        {
            return JsonSerializer.Deserialize(published, MatsJson.Default.EventEnvelope)!;
        }

        var line = stored.Event;
        var (type, display) = line.Type switch
        {
            "INFO" => ("STATUS_UPDATE", "timeline_item"),
            "TOOL_USE" => ("TOOL_CALL", "console_log"),
            "OBSERVATION" => ("OBSERVATION", "console_log"),
            "ERROR" => ("ERROR", "alert"),
            "THOUGHT" => ("THOUGHT", "markdown"),
            "PLAN" => ("ACTION", "step_progress"),
            _ => ("LIFECYCLE", "console_log"),
        };
        return new(
            new(stored.EventId, line.Timestamp, stored.TraceId, line.Source, Role(line.Source)), type,
            new(line.Message, line.Type == "ERROR" ? "ERROR" : line.Message == "Job COMPLETED" ? "SUCCESS" : "INFO")
            {
                Metadata = stored.JobId is { } job
                    ? new Dictionary<string, string>(StringComparer.Ordinal) { ["job_id"] = job.ToString() }
                    : null,
            },
            new(display));
    }

    private static string Role(string source) => source switch
    {
        "mats-sre" => "triage",
        "mats-investigator" => "code_analysis",
        "mats-architect" => "synthesis",
        _ => "orchestration",
    };
}

internal sealed record EventHeader(Guid EventId, DateTimeOffset Timestamp, string? TraceId, string? AgentName, string? AgentRole);

/// <param name="Severity">INFO, WARN, ERROR or SUCCESS.</param>
internal sealed record EventPayload(string Message, string Severity)
{
    /// <summary>0..100.</summary>
    public int? Progress { get; init; }
    public IReadOnlyDictionary<string, string>? Metadata { get; init; }
}

internal sealed record EventRendering(string DisplayType)
{
    public string? Icon { get; init; }
    public string? Color { get; init; }
}
